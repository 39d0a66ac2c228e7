"""The memory tree takes back a mistake that plain tracking carries on to the end."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sam2_memory_tree
import torch

from sam2_core import SAM2VideoPredictor, load_model
from sam2_core.hooks import Plugins, Propagator, Selection, options_of, using_plugins
from sam2_core.hooks.contract import PluginContract
from sam2_core.hooks.scripted_tracking import Mask, Network, ScriptedTracking

COUNT, SIZE = 12, 48


class TestContract(PluginContract):
    plugin = sam2_memory_tree


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    plugins.load_installed()
    plugins.register(sam2_memory_tree, name="memory-tree")
    return plugins


@pytest.fixture(scope="module")
def propagator(plugins: Plugins) -> Propagator:
    return plugins.find(Propagator, "memory-tree").contribution


def square(x: int, y: int, side: int = 8) -> Mask:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def target(frame: int) -> Mask:
    return square(4 + 2 * frame, 6)


def neighbour(frame: int) -> Mask:
    return square(30 - 2 * frame, 26)


def iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))


def is_target(mask: Mask) -> bool:
    return bool(mask[:20].any())


def misled(object_id: Hashable, frame: int, remembered: list[Mask]) -> list[tuple[Mask, float, float]]:
    """On frame 4 the neighbour looks a little better; who goes on with it finds it worse and worse."""
    if frame == 4:
        return [(neighbour(frame), 0.9, 5.0), (target(frame), 0.85, 5.0), (target(frame), 0.3, 5.0)]
    if is_target(remembered[0]):
        return [(target(frame), 0.9, 5.0), (target(frame), 0.6, 5.0), (square(0, 0), 0.2, 5.0)]
    return [(neighbour(frame), 0.8, 5.0), (neighbour(frame), 0.6, 5.0), (square(0, 0), 0.2, 5.0)]


def tracked(propagator: Propagator, network: Network, **options: Any) -> tuple[ScriptedTracking, list[Any]]:
    tracking = ScriptedTracking(COUNT, {1: {0: target(0)}}, network)
    shown = [
        (done.frame, done.objects, tracking.kept[1, done.frame].mask)
        for done in propagator.propagate(tracking, direction="forward", **options)
    ]
    return tracking, shown


def agreement(tracking: ScriptedTracking) -> list[float]:
    return [iou(tracking.kept[1, frame].mask, target(frame)) for frame in range(1, COUNT)]


def test_a_mistake_is_taken_back(propagator: Propagator) -> None:
    plain = ScriptedTracking(COUNT, {1: {0: target(0)}}, misled)
    list(plain.sweep(range(COUNT)))
    tracking, shown = tracked(propagator, misled)

    assert agreement(plain) == [1.0] * 3 + [0.0] * (COUNT - 4)
    assert agreement(tracking) == [1.0] * (COUNT - 1)
    # what was shown at first is shown again, with the object it is about, and only what changed
    assert is_target(shown[3][2])
    assert not is_target(shown[4][2])
    again = [
        (frame, objects)
        for place, (frame, objects, _) in enumerate(shown)
        if frame in [one[0] for one in shown[:place]]
    ]
    assert (4, (1,)) in again
    assert all(objects == (1,) for _, objects in again)
    assert {frame for frame, _ in again} <= set(range(4, COUNT))


def test_one_pathway_is_greedy(propagator: Propagator) -> None:
    tracking, shown = tracked(propagator, misled, pathways=1)

    assert agreement(tracking) == [1.0] * 3 + [0.0] * (COUNT - 4)
    assert [frame for frame, _, _ in shown] == list(range(COUNT))


def test_a_decision_is_final_after_the_horizon(propagator: Propagator) -> None:
    def late(object_id: Hashable, frame: int, remembered: list[Mask]) -> list[tuple[Mask, float, float]]:
        said = misled(object_id, frame, remembered)
        # for three frames the neighbour goes on looking better
        if 4 < frame < 8 and not is_target(remembered[0]):
            return [(said[0][0], 0.95, 5.0), *said[1:]]
        return said

    patient, _ = tracked(propagator, late, horizon=8)
    hasty, _ = tracked(propagator, late, horizon=2)

    assert agreement(patient)[3] == 1.0
    assert agreement(hasty)[3] == 0.0


def test_each_pathway_remembers_its_own_masks(propagator: Propagator) -> None:
    tracking, _ = tracked(propagator, misled)

    for frame, choice in tracking.choices:
        latest = next((one for one in choice.masks if one is not None), None)
        if frame == 6:
            assert latest is not None
            assert not isinstance(latest, int)
            own = [one.mask for one in choice.masks if one is not None and not isinstance(one, int)]
            assert len({is_target(mask) for mask in own}) == 1
        settled = [one for one in choice.masks if isinstance(one, int)]
        assert all(one < frame for one in settled)
    assert len([frame for frame, _ in tracking.choices if frame == 6]) == 3


def test_masks_are_remembered_where_the_object_was_seen_well(propagator: Propagator) -> None:
    def network(object_id: Hashable, frame: int, remembered: list[Mask]) -> list[tuple[Mask, float, float]]:
        if frame == 3:
            return [(np.zeros((SIZE, SIZE), bool), 0.9, -4.0)] * 3
        if frame == 4:
            return [(target(frame), 0.2, 5.0)]
        return [(target(frame), 0.9, 5.0)]

    tracking, _ = tracked(propagator, network)
    frames = [
        one if isinstance(one, int) else one.frame
        for number, choice in tracking.choices
        if number == 6
        for one in choice.masks
        if one is not None
    ]

    assert frames == [5, 2, 1]


@pytest.mark.parametrize(("score", "differs"), [(1.0, True), (5.0, False)])
def test_where_the_network_is_unsure_pathways_are_kept_apart(
    propagator: Propagator, score: float, differs: bool
) -> None:
    def network(object_id: Hashable, frame: int, remembered: list[Mask]) -> list[tuple[Mask, float, float]]:
        if frame == 1:
            alike = [(square(4, 6, 8 + more), 0.9 - 0.01 * more, score) for more in range(3)]
            return [*alike, (neighbour(frame), 0.4, score)]
        seen.add(is_target(remembered[0]))
        return [(target(frame), 0.9, 5.0)]

    seen: set[bool] = set()
    tracked(propagator, network)

    assert seen == ({True, False} if differs else {True})


def test_a_persons_mask_ends_all_doubt(propagator: Propagator) -> None:
    tracking = ScriptedTracking(COUNT, {1: {2: target(2), 7: target(7)}}, misled)
    done = tracking.run(propagator)

    assert [one.frame for one in done if one.objects is None] == [*range(2, COUNT), 1, 0]
    assert tracking.kept[1, 7].mask is not None
    # before the second prompt is passed, everything before it is settled
    last_of_the_first_half = max(place for place, one in enumerate(done) if one.frame in range(2, 7))
    assert last_of_the_first_half < next(place for place, one in enumerate(done) if one.frame == 8)


def test_the_readme_names_every_option(propagator: Propagator) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

    for option in options_of(propagator.propagate):
        shown = f"`{option.default}`" if isinstance(option.default, str) else f"{option.default:g}"
        assert f"| `{option.name}` | {shown} |" in readme


def test_with_the_network_one_pathway_that_remembers_all_is_plain_tracking(plugins: Plugins) -> None:
    """Bit by bit, where all masks are good enough: the same memories, the same masks."""
    predictor = load_model(
        "sam2.1_hiera_micro",
        device="cpu",
        precision="fp32",
        overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"],
    )
    assert isinstance(predictor, SAM2VideoPredictor)
    y, x = np.mgrid[:96, :96]
    frames = np.stack([30 + 170 * (np.hypot(x - 40 - shift, y - 48) < 12) for shift in range(5)]).astype(np.uint8)
    outcomes: list[Any] = []
    with using_plugins(plugins):
        for options in (
            {},
            {"propagator": "memory-tree", "pathways": 1, "min_iou": 0.0},
            {"propagator": "memory-tree"},
        ):
            state = predictor.init_state(frames)
            predictor.prompt_points(state, 0, 1, [[40.0, 48.0]], [1])
            for _ in predictor.propagate(state, direction="forward", **options):
                pass
            outcomes.append([predictor.masks_on_frame(state, frame).logits for frame in range(5)])
            state.close()

    plain, alone, tree = outcomes
    assert all(torch.equal(one, other) for one, other in zip(plain, alone, strict=True))
    assert all(bool(logits[0, 0, 48, 40 + frame] > 0) for frame, logits in enumerate(tree))
