"""Volumes over time: what tracking finds is drawn here, right or wrong, so that what is made of it is known exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.line_tracking import LineTrack, TrackedMask
from sam2_core.session.worker.volume_carrying import CarryingOptions, VolumeCarrying

DEPTH, SIDE, TIMES = 12, 24, 3
OBJECT, NEIGHBOUR = 1, 2


def drawn(times: int = TIMES) -> NDArray[np.uint8]:
    """Labels (t, z, y, x): a cell that drifts by a slice and a pixel a time, and a larger one beside it."""
    t, z, y, x = np.mgrid[:times, :DEPTH, :SIDE, :SIDE]
    labels = np.zeros((times, DEPTH, SIDE, SIDE), np.uint8)
    labels[((z - 5 - t) / 3.6) ** 2 + ((y - 7) / 4) ** 2 + ((x - 6 - t) / 4) ** 2 < 1] = OBJECT
    labels[((y - 15) / 5.5) ** 2 + ((x - 16) / 5.5) ** 2 < 1] = NEIGHBOUR
    return labels


@dataclass
class DrawnTracking:
    """Follows whatever object most of a given mask lies on, without a mistake, except where it is told to make one.

    Attributes
    ----------
    labels : ndarray, (t, z, y, x)
    mistakes : mapping of (t, z) to int
        Label that is found along t in place of the object; 0 loses it.
    """

    labels: NDArray[np.uint8]
    mistakes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    asked: list[tuple[str, tuple[int, ...], Mapping[int, LineTrack]]] = field(default_factory=list)

    def track(
        self, frames: Sequence[int], axis: str, objects: Mapping[int, LineTrack]
    ) -> Iterator[tuple[int, dict[int, TrackedMask]]]:
        self.asked.append((axis, tuple(frames), objects))
        for place, frame in enumerate(frames):
            found = {}
            for one, track in objects.items():
                assert track.masks
                assert all(mask.area for mask in track.masks.values())
                given = min(track.masks)
                mask = track.masks[given].paste((SIDE, SIDE))
                label = int(np.bincount(self._at(frames[given])[mask], minlength=3).argmax())
                if axis == "t":
                    label = self.mistakes.get(divmod(frame, DEPTH), label)
                there = (self._at(frame) == label) & (label > 0)
                found[one] = TrackedMask(MaskPixels.cut(there), 0.9, 5.0 if there.any() else -5.0)
            yield place, found

    def _at(self, frame: int) -> NDArray[np.uint8]:
        time, place = divmod(frame, DEPTH)
        return self.labels[time, place]


def carried(
    tracking: DrawnTracking,
    *,
    fixed: Mapping[int, NDArray[np.bool_]] | None = None,
    times: Sequence[int] = range(TIMES),
    **options: float,
) -> NDArray[np.bool_]:
    """The object's volumes (t, z, y, x) carried from the first of the times on; others are empty."""
    masks = {times[0] * DEPTH + z: MaskPixels.cut(tracking.labels[times[0], z] == OBJECT) for z in range(DEPTH)}
    masks |= {frame: MaskPixels.cut(mask) for frame, mask in (fixed or {}).items()}
    lines = [range(t * DEPTH, (t + 1) * DEPTH) for t in times]
    work = VolumeCarrying(tracking, lines, {OBJECT: masks}, CarryingOptions(**options))  # type: ignore[arg-type]
    found = np.zeros((len(tracking.labels), DEPTH, SIDE, SIDE), bool)
    last = 0
    for done, new in work.run():
        assert last <= done <= work.unit_count
        last = done
        for frame, by_object in new.items():
            found[divmod(frame, DEPTH)] = by_object[OBJECT].mask.paste((SIDE, SIDE))
    assert last == work.unit_count
    return found


def test_a_cell_that_drifts_through_the_slices_is_followed() -> None:
    labels = drawn()

    assert np.array_equal(carried(DrawnTracking(labels))[1:], labels[1:] == OBJECT)


def test_without_reconciling_it_loses_the_slices_that_it_drifts_into() -> None:
    labels = drawn()
    found = carried(DrawnTracking(labels), reconciles=False)

    there = (labels == OBJECT).any(axis=(2, 3))
    assert np.array_equal(found[1, :9], labels[1, :9] == OBJECT)
    assert there[1, 9]
    assert not found[1, 9].any()


def test_backward_too() -> None:
    labels = drawn()
    found = carried(DrawnTracking(labels), times=[2, 1, 0])

    assert np.array_equal(found[:2], labels[:2] == OBJECT)


@pytest.mark.parametrize("label", [NEIGHBOUR, 0])
def test_a_slice_that_slips_to_a_neighbour_or_is_lost_is_taken_from_the_others(label: int) -> None:
    labels = drawn()
    mistakes = {(1, 4): label, (2, 5): label}

    assert np.array_equal(carried(DrawnTracking(labels, mistakes))[1:], labels[1:] == OBJECT)
    alone = carried(DrawnTracking(labels, mistakes), reconciles=False)
    assert not (alone[1, 4] & (labels[1, 4] == OBJECT)).any()


@given(st.sets(st.integers(3, 8), max_size=2))
@settings(max_examples=20, deadline=None)
def test_wrong_slices_are_mended_as_long_as_most_are_right(wrong: set[int]) -> None:
    labels = drawn(2)
    # every slice that slips is larger than any that does not, so that it is the first to be believed
    tracking = DrawnTracking(labels, {(1, place): NEIGHBOUR for place in wrong})

    assert np.array_equal(carried(tracking, times=[0, 1])[1], labels[1] == OBJECT)


def test_where_nothing_agrees_what_was_tracked_along_t_stays() -> None:
    labels = drawn(2)
    tracking = DrawnTracking(labels)
    real = tracking.track
    tracking.track = lambda frames, axis, objects: (  # type: ignore[method-assign]
        real(frames, axis, objects)
        if axis == "t"
        else ((place, {OBJECT: TrackedMask(MaskPixels.empty())}) for place in range(DEPTH))
    )
    found = carried(tracking, times=[0, 1])

    there = (labels[0] == OBJECT).any(axis=(1, 2)) & (labels[1] == OBJECT).any(axis=(1, 2))
    assert np.array_equal(found[1][there], (labels[1] == OBJECT)[there])


def test_a_persons_slice_stays_and_is_gone_by() -> None:
    labels = drawn(2)
    mine = labels[1, 6] == OBJECT
    mine[7, 7] = False
    # all else slips, so that only what the person drew tells where the cell is
    tracking = DrawnTracking(labels, {(1, place): NEIGHBOUR for place in range(DEPTH)})
    found = carried(tracking, fixed={DEPTH + 6: mine}, times=[0, 1])

    assert np.array_equal(found[1, 6], mine)
    others = [place for place in range(DEPTH) if place != 6]
    assert np.array_equal(found[1, others], labels[1, others] == OBJECT)
    assert all(frames[-1] != DEPTH + 6 for axis, frames, _ in tracking.asked if axis == "t"), "not tracked there"


def test_a_slice_that_a_person_emptied_stays_empty() -> None:
    labels = drawn(2)
    found = carried(DrawnTracking(labels), fixed={DEPTH + 9: np.zeros((SIDE, SIDE), bool)}, times=[0, 1])

    assert not found[1, 9].any()
    assert np.array_equal(found[1, :9], labels[1, :9] == OBJECT)


def test_an_object_that_ends_does_not_come_back() -> None:
    labels = drawn()
    labels[1][labels[1] == OBJECT] = 0

    assert not carried(DrawnTracking(labels))[1:].any()


def test_a_mask_of_a_person_brings_an_object_back() -> None:
    labels = drawn()
    hidden = labels.copy()
    hidden[1][hidden[1] == OBJECT] = 0
    found = carried(DrawnTracking(hidden), fixed={2 * DEPTH + 7: labels[2, 7] == OBJECT})

    assert not found[1].any()
    assert np.array_equal(found[2, 5:10], labels[2, 5:10] == OBJECT), "and two slices on both sides"


def test_it_grows_by_so_many_slices_a_time() -> None:
    labels = drawn(2)
    labels[1, :, 7, 7] = OBJECT
    found = carried(DrawnTracking(labels), times=[0, 1], growth=1)

    before = np.flatnonzero((labels[0] == OBJECT).any(axis=(1, 2)))
    after = np.flatnonzero(found[1].any(axis=(1, 2)))
    assert after.min() >= before.min() - 1
    assert after.max() <= before.max() + 1


def test_earlier_times_are_remembered() -> None:
    labels = drawn()
    tracking = DrawnTracking(labels)
    carried(tracking, remembered=2)

    given = {frames: set(objects[OBJECT].masks) for axis, frames, objects in tracking.asked if axis == "t"}
    assert given[6, DEPTH + 6, 2 * DEPTH + 6] == {0, 1}


@pytest.mark.parametrize("options", [{"agreement": 0.0}, {"agreement": 1.5}, {"growth": -1}, {"remembered": 0}])
def test_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        CarryingOptions(**options)  # type: ignore[arg-type]
