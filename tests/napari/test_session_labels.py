"""The labels of a session as an array, compared with numpy's indexing; and where frames lie in a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.items import Change
from sam2_napari.frame_placement import FramePlacement, guessed_axes
from sam2_napari.session_labels import SessionLabels


class Painted:
    """As much of a session as the labels ask for."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def labels(self, frame: int) -> np.ndarray:
        return self.frames[frame].copy()


#: Axes of the layer, its shape, frames along, plane, position on the others.
PLACES = [
    ("zyx", (4, 5, 6), "z", "yx", {}),
    ("yx", (5, 6), None, "yx", {}),
    ("tzyx", (3, 4, 5, 6), "z", "yx", {"t": 2}),
    ("tzyx", (3, 4, 5, 6), "t", "yx", {"z": 1}),
    ("zyx", (4, 5, 6), "y", "zx", {}),
    ("zxy", (4, 6, 5), "z", "yx", {}),
    ("czyx", (2, 4, 5, 6), "z", "yx", {}),
]


def made(place: tuple[Any, ...]) -> tuple[SessionLabels, np.ndarray, Painted]:
    """The labels, and the same as a numpy array."""
    axes, shape, along, plane, at = place
    placement = FramePlacement.of(axes, shape, along=along, plane=plane, at=at)
    random = np.random.default_rng(0)
    frames = random.integers(0, 9, (placement.frame_count, *placement.frame_size)).astype(np.int32)
    whole = np.zeros(shape, np.int32)
    for frame in range(placement.frame_count):
        index: list[Any] = [slice(None)] * len(axes)
        for letter, value in at.items():
            index[axes.index(letter)] = value
        if placement.along:
            index[axes.index(placement.along)] = frame
        part = frames[frame] if axes.index(plane[0]) < axes.index(plane[1]) else frames[frame].T
        whole[tuple(index)] = part
    session = Painted(frames)
    return SessionLabels(session, placement, kept_bytes=0), whole, session  # type: ignore[arg-type]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} along {place[2]}")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reading_is_numpys(place: tuple[Any, ...], data: st.DataObject) -> None:
    labels, whole, _ = made(place)
    index = data.draw(basic_indices(whole.shape, allow_newaxis=False))

    np.testing.assert_array_equal(labels[index], whole[index])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} along {place[2]}")
def test_points_and_painting_are_numpys(place: tuple[Any, ...]) -> None:
    labels, whole, session = made(place)
    random = np.random.default_rng(1)
    points = tuple(random.integers(0, size, 7) for size in whole.shape)
    np.testing.assert_array_equal(labels[points], whole[points])

    before = session.frames.copy()
    index = tuple(slice(1, 3) if size > 3 else slice(None) for size in whole.shape)
    labels[index] = 77
    after = np.asarray(labels)
    inside = np.zeros(whole.shape, bool)
    inside[index] = True
    np.testing.assert_array_equal(after[~inside], whole[~inside])
    for frame, old, new in labels.take_painted():
        np.testing.assert_array_equal(old, before[frame])
        assert (new[new != old] == 77).all()
    assert labels.take_painted() == []


def test_only_the_box_that_changed_is_computed_anew() -> None:
    labels, _, session = made(PLACES[0])
    labels.frame(1)
    session.frames[1] += 100
    labels.update(Change(frozenset({"mask"}), frozenset({1}), frozenset({1}), {1: (2, 1, 4, 3)}))

    changed = labels.frame(1) >= 100
    expected = np.zeros((5, 6), bool)
    expected[1:3, 2:4] = True
    np.testing.assert_array_equal(changed, expected)


def test_a_change_while_a_frame_is_read_is_not_missed() -> None:
    labels, _, session = made(PLACES[0])
    read = session.labels

    def labels_before_the_change(frame: int) -> np.ndarray:
        session.labels = read  # type: ignore[method-assign]
        old = read(frame)
        session.frames[1] += 100
        labels.update(Change(frozenset({"mask"}), frozenset({1}), frozenset({1}), {1: (0, 0, 6, 5)}))
        return old

    session.labels = labels_before_the_change  # type: ignore[method-assign]
    assert (labels.frame(1) >= 100).all()


def test_what_is_read_while_all_is_forgotten_is_read_again() -> None:
    labels, _, session = made(PLACES[0])
    read = session.labels

    def labels_before_all_changed(frame: int) -> np.ndarray:
        session.labels = read  # type: ignore[method-assign]
        old = read(frame)
        session.frames += 100
        labels.forget()
        return old

    session.labels = labels_before_all_changed  # type: ignore[method-assign]
    assert (labels[1] >= 100).all()


def test_what_was_painted_is_not_forgotten() -> None:
    labels, whole, session = made(PLACES[0])
    labels[1, 2, 3] = 77
    labels.forget()
    session.frames += 100
    assert labels[1, 2, 3] == 77
    assert (labels[2] >= 100).all()
    ((frame, before, after),) = labels.take_painted()
    np.testing.assert_array_equal(before, whole[1])
    assert (frame, after[2, 3]) == (1, 77)


@pytest.mark.parametrize("is_reading", [False, True])
def test_after_the_end_there_is_what_was_kept_or_background(is_reading: bool) -> None:
    labels, whole, session = made(PLACES[0])
    labels.frame(1)

    def closed(frame: int) -> np.ndarray:
        # the session may go while it is asked
        labels.close()
        raise StateError("The session is closed; open it again.")

    session.labels = closed  # type: ignore[method-assign]
    if not is_reading:
        labels.close()
    found = np.asarray(labels)
    np.testing.assert_array_equal(found[1], whole[1])
    assert not found[[0, 2, 3]].any()
    # what goes wrong before is told
    other, _, broken = made(PLACES[0])
    broken.labels = lambda frame: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(ZeroDivisionError):
        other.frame(0)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} along {place[2]}")
def test_positions_and_points_are_inverse(place: tuple[Any, ...]) -> None:
    axes, shape, along, plane, at = place
    placement = FramePlacement.of(axes, shape, along=along, plane=plane, at=at)
    frame = placement.frame_count - 1
    (position,) = placement.positions(frame, [(3.25, 1.5)])

    assert placement.frame_at(position) == frame
    assert placement.point_at(position) == (3.25, 1.5)
    if along:
        position[axes.index(along)] = shape[axes.index(along)]
        assert placement.frame_at(position) is None


def test_axes_are_taken_from_names_or_guessed() -> None:
    assert guessed_axes(("time", "z", "y", "x"), (2, 3, 4, 5)) == "tzyx"
    assert guessed_axes(("-3", "-2", "-1"), (9, 64, 64)) == "zyx"
    assert guessed_axes(("-3", "-2", "-1"), (3, 64, 64)) == "cyx"
    with pytest.raises(InvalidInputError, match="another letter"):
        FramePlacement.of("zzx", (3, 4, 5), at={})
    with pytest.raises(InvalidInputError, match="cannot be counted along"):
        FramePlacement.of("zyx", (3, 4, 5), along="y", at={})
