"""Which frames get which prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.training.prompt_plan import PromptOptions, draw_plan


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 1000),
    frames=st.integers(1, 6),
    prompted=st.integers(1, 4),
    more=st.integers(0, 3),
    points=st.sampled_from([0.0, 0.5, 1.0]),
    randomly=st.booleans(),
)
def test_every_plan_can_be_followed(
    seed: int, frames: int, prompted: int, more: int, points: float, randomly: bool
) -> None:
    options = PromptOptions(points, 0.5, prompted + more, randomly, prompted, randomly)
    plan = draw_plan(np.random.default_rng(seed), options, frames)
    assert plan.prompted[0] == 0
    assert sorted((*plan.prompted, *plan.tracked)) == list(range(frames))
    assert list(plan.tracked) == sorted(plan.tracked)
    assert len(plan.boxes) == len(plan.prompted) <= prompted
    if plan.uses_points:
        assert set(plan.prompted) <= plan.corrected
        assert len(plan.corrected) <= max(prompted + more, 1)
    else:
        assert frames > 1
        assert plan.tracked  # something is left to learn from
        assert not plan.corrected
        assert not any(plan.boxes)


def test_prompts_and_corrections_fall_on_labelled_frames() -> None:
    options = PromptOptions(1.0, 0.0, 4, False, 2, False)
    for seed in range(20):
        plan = draw_plan(np.random.default_rng(seed), options, 6, usable=[0, 2, 5])
        assert set(plan.prompted) | plan.corrected <= {0, 2, 5}
        assert len(plan.corrected) == 3
    with pytest.raises(InvalidInputError, match="frame 0"):
        draw_plan(np.random.default_rng(0), options, 6, usable=[2, 5])
