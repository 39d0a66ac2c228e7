from __future__ import annotations

import torch

from sam2_core.inference.model_autocast_off import without_autocast


def test_nothing_is_cast_inside_and_the_callers_setting_is_back_afterwards() -> None:
    one = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with without_autocast("cpu"):
            assert (one @ one).dtype == torch.float32
        assert (one @ one).dtype == torch.bfloat16
    with without_autocast(torch.device("cpu")):
        assert (one @ one).dtype == torch.float32


def test_autocast_of_another_kind_of_device_is_left_alone() -> None:
    one = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16), without_autocast("cuda:0"):
        assert (one @ one).dtype == torch.bfloat16


def test_a_device_without_autocast_is_no_error() -> None:
    with without_autocast("meta"):
        assert torch.ones(1, device="meta").device.type == "meta"
