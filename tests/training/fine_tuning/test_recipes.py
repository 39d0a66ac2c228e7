"""The built-in fine-tuning recipes: what each changes, and what not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core import load_model
from sam2_core.builtin import recipes
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import Plugins, Recipe, Selection, TrainingEvent


class Square:
    """A bright square, the second frame without labels."""

    name = "square"

    def __len__(self) -> int:
        return 2

    def image(self, frame: int) -> Any:
        return np.repeat((255 * self.masks(0)[5]).astype(np.uint8)[..., None], 3, axis=2)

    def masks(self, frame: int) -> Any:
        if frame == 1:
            return None
        mask = np.zeros((48, 80), bool)
        mask[10:30, 20:50] = True
        return {5: mask}


class Empty(Square):
    def masks(self, frame: int) -> Any:
        mask = np.zeros((6400, 6400), bool)
        mask[5, 5] = True
        return {1: mask}


class Run:
    def __init__(self, folder: Path, stop_at: int = 99) -> None:
        self.folder = folder
        self.stop_at = stop_at
        self.events: list[TrainingEvent] = []
        self.done = 0.0

    @property
    def is_stopping(self) -> bool:
        return len(self.events) >= self.stop_at

    def stop(self, reason: str) -> None:
        raise AssertionError(reason)

    def report(self, event: TrainingEvent) -> None:
        self.events.append(event)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", image_size=64)


def train(model: Any, videos: Any, run: Run, name: str = "decoder", **options: Any) -> None:
    plugins = Plugins(Selection(), strict=True)
    plugins.register(recipes, name="recipes")
    recipe = plugins.find(Recipe, name)
    plugins.call(recipe, recipe.contribution.train, model, videos, run, **options)


def test_only_the_decoder_changes(model: Any, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    run = Run(tmp_path)

    train(model, [Square()], run, steps=4, learning_rate=1e-3, objects=2)

    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed
    # the features that are kept have gone through conv_s0 and conv_s1
    assert all(name.startswith("sam_mask_decoder.") and ".conv_s" not in name for name in changed)
    assert [event.step for event in run.events] == [1, 2, 3, 4]
    assert all(event.measures["loss"] > 0 for event in run.events)
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert not model.training


def test_it_ends_when_the_run_does(model: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, stop_at=1)

    train(model, [Square()], run, steps=50)

    assert len(run.events) == 1


def test_nothing_to_learn_from(model: Any, tmp_path: Path) -> None:
    for videos in ([], [Empty()]):
        with pytest.raises(InvalidInputError, match="nothing to learn from"):
            train(model, videos, Run(tmp_path))


class Moving(Square):
    """Three labelled frames."""

    def __len__(self) -> int:
        return 3

    def masks(self, frame: int) -> Any:
        return {5: np.roll(super().masks(0)[5], 2 * frame, axis=1)}


@pytest.mark.parametrize(
    ("recipe", "learns", "stays"),
    [
        ("memory", ("memory_attention.", "memory_encoder.", "sam_mask_decoder."), ("image_encoder.",)),
        ("lora", ("image_encoder.", "sam_mask_decoder."), ("sam_prompt_encoder.",)),
        ("all", ("image_encoder.", "sam_mask_decoder."), ("memory_", "sam_prompt_encoder.")),
    ],
)
def test_what_a_recipe_changes(model: Any, tmp_path: Path, recipe: str, learns: Any, stays: Any) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}

    train(model, [Moving()], Run(tmp_path), recipe, steps=4, learning_rate=1e-3, objects=1, replay=0.3)

    after = model.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name, value in after.items() if not value.equal(before[name])}
    for part in learns:
        assert any(name.startswith(part) for name in changed), part
    assert not any(name.startswith(stays) for name in changed)
    model.load_state_dict(before)


def test_frames_that_do_not_follow_each_other(model: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="3 labelled frames in a row"):
        train(model, [Square()], Run(tmp_path), "memory", steps=1)


def test_the_built_in_ones_can_be_asked_for_by_name() -> None:
    found = {recipe.name: recipe for recipe in recipes.sam2_recipes()}

    assert list(found) == ["decoder", "memory", "lora", "all"]
    for recipe in found.values():
        recipe.check()
        assert recipe.summary
