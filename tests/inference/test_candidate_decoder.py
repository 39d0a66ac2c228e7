"""Candidates are what the predictor gives for each point, drawn only where they are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.inference.candidate_decoder import CandidateDecoder
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.image_prompts import ImagePrompts
from sam2_core.model.mask_decoder import MaskDecoder
from tests.inference.image_scene import picture, shared_model

POINTS = torch.tensor([[20.0, 30.0], [90.0, 60.0], [64.0, 120.0]])


@pytest.fixture(scope="module")
def predictor() -> SAM2ImagePredictor:
    predictor = SAM2ImagePredictor(shared_model())
    predictor.set_image(picture())
    return predictor


def decoder(predictor: SAM2ImagePredictor) -> CandidateDecoder:
    encoded = predictor._require_images()
    return CandidateDecoder(predictor.model, encoded.embedding, encoded.fine(0, predictor.model.sam_mask_decoder))


def by_predictor(predictor: SAM2ImagePredictor) -> tuple[np.ndarray, np.ndarray]:
    """Low-resolution logits (B, 3, h, w) within +-32 and predicted IoUs (B, 3)."""
    _, ious, low_res = predictor._predict(POINTS[:, None], torch.ones(3, 1, dtype=torch.int32), return_logits=True)
    return low_res.numpy(), ious.numpy()


def test_all_candidates_in_order(predictor: SAM2ImagePredictor) -> None:
    low_res, ious = by_predictor(predictor)

    found = decoder(predictor).decode(POINTS, None)

    np.testing.assert_allclose(found.logits.clamp(-32, 32), low_res.reshape(9, *low_res.shape[2:]), atol=1e-3)
    np.testing.assert_allclose(found.predicted_ious, ious.flatten(), atol=1e-4)
    ones = torch.ones(3, 1, dtype=torch.int32)
    with torch.no_grad():
        decoded = predictor._decode(0, ImagePrompts(POINTS[:, None], ones, None, None), multimask_output=True)
    np.testing.assert_allclose(found.object_scores, decoded.object_score_logits.expand(3, 3).flatten(), atol=1e-4)
    assert found.prompt_index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_only_those_above_the_threshold(predictor: SAM2ImagePredictor, share: float) -> None:
    low_res, ious = by_predictor(predictor)
    least = float(np.quantile(ious, share))

    found = decoder(predictor).decode(POINTS, least)

    wanted = ious > least
    np.testing.assert_allclose(found.logits.clamp(-32, 32), low_res[wanted], atol=1e-3)
    assert found.prompt_index.tolist() == np.nonzero(wanted)[0].tolist()


def test_nothing_is_drawn_where_nothing_is_wanted(
    predictor: SAM2ImagePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr(MaskDecoder, "draw", never)

    found = decoder(predictor).decode(POINTS, 1e6)

    assert found.logits.shape == (0, 32, 32)
    assert found.predicted_ious.shape == found.object_scores.shape == found.prompt_index.shape == (0,)


def test_a_callers_autocast_changes_nothing(predictor: SAM2ImagePredictor) -> None:
    expected = decoder(predictor).decode(POINTS, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = decoder(predictor).decode(POINTS, None)
    assert torch.equal(found.logits, expected.logits)
