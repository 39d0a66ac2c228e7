"""What keeps a model's answers on drawn scenes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from sam2_core import load_model
from sam2_core.training.fine_tuning import keeping as keeping_module
from sam2_core.training.fine_tuning.keeping import Keeping, masks_changed
from sam2_core.training.losses import PromptStep


@pytest.fixture
def model() -> Any:
    return load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", image_size=64)


def learning(model: Any, *parts: str) -> Any:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(parts))
    return model


def loss(keeping: Keeping, model: Any, seed: int = 0) -> Any:
    return keeping.loss(model, 3, np.random.default_rng(seed))


def test_nothing_has_changed_before_a_step(model: Any) -> None:
    keeping = Keeping(learning(model, "sam_mask_decoder."))
    value, measures = loss(keeping, model)
    assert float(value) == pytest.approx(0, abs=1e-4)
    assert measures["changed"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("part", ["sam_mask_decoder.transformer", "image_encoder.trunk"])
def test_what_has_changed_is_led_back(model: Any, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Steps down the gradient give the former answers again, whichever part was changed."""
    monkeypatch.setattr(keeping_module, "SCENES", 1)
    monkeypatch.setattr(keeping_module, "VIEWS", 1)
    learning(model, "sam_mask_decoder.", "image_encoder.")
    keeping = Keeping(model)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(part) and parameter.ndim > 1:
                parameter += 0.3 * parameter.std() * torch.randn_like(parameter)
    optimiser = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=1e-4)
    first = float(loss(keeping, model)[0])
    assert first > 0.01
    for _ in range(12):
        optimiser.zero_grad()
        loss(keeping, model)[0].backward()
        optimiser.step()
    assert float(loss(keeping, model)[0]) < 0.8 * first


def test_weights_that_do_not_learn_are_not_copied(model: Any) -> None:
    learning(model, "sam_mask_decoder.")
    before: Callable[[str], Any] = Keeping(model)._before.get_parameter
    for name, parameter in model.named_parameters():
        assert (before(name) is parameter) == (not name.startswith("sam_mask_decoder.")), name


@pytest.mark.parametrize(("fits", "scenes", "views"), [(1000, 64, 4), (130, 64, 2), (20, 20, 1), (0, 1, 1)])
def test_what_is_kept_of_scenes_is_bounded(
    model: Any, monkeypatch: pytest.MonkeyPatch, fits: int, scenes: int, views: int
) -> None:
    size = Keeping(model)._views[0].draw(np.random.default_rng(0)).size
    monkeypatch.setattr(keeping_module, "KEPT_BYTES", fits * size + size // 2)
    kept = Keeping(model)._views
    assert len(kept) == scenes
    assert {each._most for each in kept} == {views}


def test_the_change_of_masks_is_their_divergence_over_their_area() -> None:
    torch.manual_seed(1)
    now, before = (3 * torch.randn(2, 4, 16, 16) for _ in range(2))
    wrong = kl_divergence(Bernoulli(logits=before), Bernoulli(logits=now)).sum((-2, -1))
    expected = (wrong / before.sigmoid().sum((-2, -1))).mean()
    none = torch.zeros(2, 4)
    found = masks_changed(PromptStep(now, none, none[:, :1]), PromptStep(before, none, none[:, :1]))
    torch.testing.assert_close(found, expected)
