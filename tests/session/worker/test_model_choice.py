"""The model of a session: given, or named and loaded."""

from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.session.worker.model_choice import opened_predictor
from tests.session.job_scene import predictor


def test_one_that_is_named_is_loaded_where_it_is_wanted() -> None:
    opened = opened_predictor("sam2.1_hiera_micro", "cpu")
    assert isinstance(opened, SAM2VideoPredictor)
    assert opened.device.type == "cpu"
    with pytest.raises(InvalidInputError, match="unknown device 'toaster'"):
        opened_predictor("sam2.1_hiera_micro", "toaster")


def test_one_that_is_given_stays_as_it_is() -> None:
    assert opened_predictor(predictor(), "cuda:7") is predictor()
    with pytest.raises(InvalidTypeError, match="got int"):
        opened_predictor(3)  # type: ignore[arg-type]
