"""A record is the same after it was written and read, in every dtype."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.frame_record import (
    FrameRecord,
    facts_from_bytes,
    facts_to_bytes,
    logits_from_bytes,
    logits_to_bytes,
)

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def random_record(seed: int, height: int, width: int, dtype: torch.dtype, from_prompt: bool) -> FrameRecord:
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(1, 1, height, width, generator=generator) * 10).to(dtype).float()
    return FrameRecord(
        mask_logits=logits,
        mask=logits > 0,
        object_pointer=torch.randn(1, 12, generator=generator).to(dtype),
        object_score_logits=torch.randn(1, 1, generator=generator).to(dtype),
        predicted_iou=torch.rand(1, generator=generator),
        from_prompt=from_prompt,
    )


@given(
    seed=st.integers(0, 2**31),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    dtype=st.sampled_from(DTYPES),
    from_prompt=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost(seed: int, height: int, width: int, dtype: torch.dtype, from_prompt: bool) -> None:
    record = random_record(seed, height, width, dtype, from_prompt)
    assert record.mask_logits is not None
    logits = logits_from_bytes(logits_to_bytes(record.mask_logits, dtype))
    read = facts_from_bytes(facts_to_bytes(record), logits, torch.device("cpu"))

    assert read.mask_logits is not None
    assert torch.equal(read.mask_logits, record.mask_logits)
    for name in ("mask", "object_pointer", "object_score_logits", "predicted_iou"):
        assert torch.equal(getattr(read, name), getattr(record, name)), name
        assert getattr(read, name).dtype == getattr(record, name).dtype
    assert read.from_prompt == from_prompt


def test_logits_that_do_not_fit_the_dtype_keep_theirs() -> None:
    logits = torch.tensor([0.1, -1024.0, float("nan"), float("inf"), -0.0])
    read = logits_from_bytes(logits_to_bytes(logits, torch.bfloat16))

    assert torch.equal(read.view(torch.int32), logits.view(torch.int32))


def test_half_precision_takes_half_the_space() -> None:
    logits = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    rounded = logits.bfloat16().float()

    assert len(logits_to_bytes(rounded, torch.bfloat16)) < 0.6 * len(logits_to_bytes(logits, torch.float32))


@pytest.mark.parametrize("empty", [True, False])
def test_a_mask_remains_when_logits_are_gone(empty: bool) -> None:
    record = random_record(1, 8, 8, torch.float32, False)
    if empty:
        record.mask[:] = False
    read = facts_from_bytes(facts_to_bytes(record), None, torch.device("cpu"))

    assert read.mask_logits is None
    assert torch.equal(read.shown_logits > 0, record.mask)
    assert set(read.shown_logits.unique().tolist()) <= {-10.0, 10.0}
