"""A session against a plain model of dictionaries and arrays, and what each of its calls does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scipy import ndimage

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError, StateError
from sam2_core.hooks import Drawn
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.frame_candidates import FrameCandidates
from sam2_core.session.items import Change, MaskReference, SessionObject, SessionPrompt
from sam2_core.session.journal import Journal
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.messages import CandidatesFound
from sam2_core.volumes import open_volume
from sam2_core.volumes.frames import open_frames

FRAMES, HEIGHT, WIDTH = 4, 9, 11


def stack(frames: int = FRAMES) -> Any:
    return open_frames(np.zeros((frames, HEIGHT, WIDTH), np.uint8))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[AnnotationSession]:
    with AnnotationSession.create(stack(), tmp_path / "session") as opened:
        yield opened


def rectangle(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@dataclass
class Plain:
    """What a session should hold."""

    objects: dict[int, str] = field(default_factory=dict)
    points: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    masks: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    locked: set[tuple[int, int]] = field(default_factory=set)
    boxes: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    next_id: int = 1


class SessionMachine(RuleBasedStateMachine):
    """Random work with undo, redo and reopening."""

    frames = st.integers(0, FRAMES - 1)
    boxes = st.tuples(st.integers(0, HEIGHT), st.integers(0, HEIGHT), st.integers(0, WIDTH), st.integers(0, WIDTH))

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.session = AnnotationSession.create(stack(), self.folder / "session")
        self.past = [Plain()]
        self.future: list[Plain] = []

    @property
    def now(self) -> Plain:
        return self.past[-1]

    def step(self) -> Plain:
        self.past.append(deepcopy(self.now))
        self.future.clear()
        return self.now

    def chosen(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.now.objects)))

    @rule(name=st.sampled_from(["a", "b", None]))
    def add(self, name: str | None) -> None:
        made = self.session.add_object(name)
        plain = self.step()
        assert made.id == plain.next_id
        plain.objects[made.id] = name or f"object {made.id}"
        plain.next_id += 1

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data(), frame=frames, box=boxes, lock=st.booleans())
    def paint(self, data: st.DataObject, frame: int, box: tuple[int, int, int, int], lock: bool) -> None:
        object_id = self.chosen(data)
        mask = rectangle(*box)
        before = self.session.record(object_id, frame)
        self.session.paint(object_id, frame, mask, lock=lock)
        if self.session.record(object_id, frame) == before:
            assert not mask.any(), "only an empty mask is the same one again"
            return
        plain = self.step()
        plain.masks[object_id, frame] = mask
        plain.locked = plain.locked - {(object_id, frame)} | ({(object_id, frame)} if lock else set())

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data(), frame=frames, x=st.integers(0, WIDTH - 1), y=st.integers(0, HEIGHT - 1))
    def click(self, data: st.DataObject, frame: int, x: int, y: int) -> None:
        object_id = self.chosen(data)
        self.session.add_points(object_id, frame, [(x, y)])
        self.step().points.setdefault((object_id, frame), []).append((float(x), float(y)))

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        object_id = self.chosen(data)
        self.session.delete_objects([object_id])
        plain = self.step()
        del plain.objects[object_id]
        for kept in (plain.points, plain.masks, plain.boxes):
            for key in [key for key in kept if key[0] == object_id]:
                del kept[key]  # type: ignore[attr-defined]
        plain.locked = {key for key in plain.locked if key[0] != object_id}

    @precondition(lambda self: len(self.now.objects) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        first, second = data.draw(st.permutations(sorted(self.now.objects)))[:2]
        self.session.merge_objects([first, second])
        plain = self.step()
        del plain.objects[second]
        for frame in range(FRAMES):
            points = plain.points.pop((second, frame), [])
            if points:
                plain.points[first, frame] = plain.points.get((first, frame), []) + points
            box = plain.boxes.pop((second, frame), None)
            if box is not None:
                plain.boxes.setdefault((first, frame), box)
            mask = plain.masks.pop((second, frame), None)
            if mask is not None:
                both = (first, frame) in plain.masks
                plain.masks[first, frame] = plain.masks[first, frame] | mask if both else mask
            if (second, frame) in plain.locked:
                plain.locked = plain.locked - {(second, frame)} | {(first, frame)}

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data(), name=st.sampled_from(["a", "b"]))
    def rename(self, data: st.DataObject, name: str) -> None:
        object_id = self.chosen(data)
        self.session.change_object(object_id, name=name)
        if self.now.objects[object_id] != name:
            self.step().objects[object_id] = name

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data(), frame=frames, x=st.integers(0, WIDTH - 2), y=st.integers(0, HEIGHT - 2))
    def draw_box(self, data: st.DataObject, frame: int, x: int, y: int) -> None:
        key = self.chosen(data), frame
        box = (float(x), float(y), float(WIDTH - 1), float(HEIGHT - 1))
        self.session.set_box(*key, box)
        if self.now.boxes.get(key) != box:
            self.step().boxes[key] = box

    @precondition(lambda self: self.now.objects)
    @rule(data=st.data(), frame=frames)
    def clear(self, data: st.DataObject, frame: int) -> None:
        key = self.chosen(data), frame
        self.session.clear_prompt(*key)
        if key in self.now.points or key in self.now.boxes:
            plain = self.step()
            plain.points.pop(key, None)
            plain.boxes.pop(key, None)

    @precondition(lambda self: self.now.masks)
    @rule(data=st.data(), locked=st.booleans())
    def lock(self, data: st.DataObject, locked: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.now.masks)))
        self.session.lock(*key, locked)
        if (key in self.now.locked) != locked:
            plain = self.step()
            plain.locked = plain.locked | {key} if locked else plain.locked - {key}

    @rule()
    def undo(self) -> None:
        if len(self.past) == 1:
            with pytest.raises(StateError):
                self.session.undo()
        else:
            self.session.undo()
            self.future.append(self.past.pop())

    @rule()
    def redo(self) -> None:
        if not self.future:
            with pytest.raises(StateError):
                self.session.redo()
        else:
            self.session.redo()
            self.past.append(self.future.pop())

    @rule()
    def reopen(self) -> None:
        self.session.close()
        self.session = AnnotationSession.open(self.folder / "session", stack())

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "session"):
            return
        plain = self.now
        assert {one.id: one.name for one in self.session.objects} == plain.objects
        for object_id in plain.objects:
            for frame in range(FRAMES):
                key = (object_id, frame)
                assert list(self.session.prompt(*key).points) == plain.points.get(key, [])
                assert self.session.prompt(*key).box == plain.boxes.get(key)
                record = self.session.record(*key)
                assert (record is None) == (key not in plain.masks)
                if record is not None:
                    assert np.array_equal(self.session.mask(*key), plain.masks[key])
                    assert record.locked == (key in plain.locked)
                    assert record.area == plain.masks[key].sum()
        for frame in range(FRAMES):
            expected = np.zeros((HEIGHT, WIDTH), int)
            for object_id in sorted(plain.objects, reverse=True):
                if (object_id, frame) in plain.masks:
                    expected[plain.masks[object_id, frame]] = object_id
            assert np.array_equal(self.session.labels(frame, priority="lower id"), expected)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            shutil.rmtree(self.folder)


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)


@pytest.mark.soak
class TestSessionMachineLong(SessionMachine.TestCase):
    settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def test_events_say_what_changed_and_where(session: AnnotationSession) -> None:
    heard: list[Change] = []
    session.changed.connect(heard.append)

    one = session.add_object("cell")
    session.paint(one.id, 2, rectangle(1, 3, 2, 6))
    session.paint(one.id, 2, rectangle(4, 6, 0, 3))
    session.undo()

    assert [change.step for change in heard] == ["new cell", "paint cell", "paint cell", "paint cell"]
    assert [change.what for change in heard] == [{"object"}, {"mask"}, {"mask"}, {"mask"}]
    assert heard[1].boxes == {2: (2, 1, 6, 3)}
    assert heard[2].boxes == heard[3].boxes == {2: (0, 1, 6, 6)}, "what went and what came"
    assert heard[3].objects == {one.id}
    assert heard[3].frames == {2}


def test_who_gets_a_pixel(session: AnnotationSession) -> None:
    first, second = session.add_object(), session.add_object()
    session.paint(first.id, 0, rectangle(0, 4, 0, 4), lock=False)
    session.paint(second.id, 0, rectangle(2, 6, 2, 6), lock=True)

    assert session.labels(0)[3, 3] == second.id, "a locked mask has been looked at"
    assert session.labels(0, priority="lower id")[3, 3] == first.id
    assert session.labels(0, priority="higher id")[3, 3] == second.id
    assert session.labels(0, priority=[first.id])[3, 3] == first.id
    assert session.labels(0, objects=[first.id]).max() == first.id
    session.delete_objects([second.id])
    assert np.array_equal(session.labels(0) == first.id, rectangle(0, 4, 0, 4)), "what lay beneath shows again"
    with pytest.raises(InvalidInputError, match="priority is one of"):
        session.labels(0, priority="loudest")  # type: ignore[arg-type]


def test_ids_are_not_used_again(session: AnnotationSession) -> None:
    session.delete_objects([session.add_object().id])

    assert session.add_object().id == 2


def test_colours_differ() -> None:
    colours = {SessionObject.new(number).colour for number in range(1, 100)}

    assert len(colours) == 99


def test_changing_an_object(session: AnnotationSession) -> None:
    one = session.add_object()

    session.change_object(one.id, name="nucleus 7", colour="#00ff00", category="nucleus")

    assert session.object(one.id) == SessionObject(one.id, "nucleus 7", "#00ff00", "nucleus")
    with pytest.raises(InvalidInputError, match="#rrggbb"):
        session.change_object(one.id, colour="green")
    with pytest.raises(StateError, match="no object 9"):
        session.change_object(9, name="x")


@pytest.mark.parametrize("daughters_first", [True, False])
def test_related_objects_go_together(session: AnnotationSession, daughters_first: bool) -> None:
    mother, father = session.add_object(), session.add_object()
    (both,) = session.mark_division(mother.id, count=1)
    session.mark_division(father.id, [both.id])
    (grandchild,) = session.mark_division(both.id, count=1)
    session.paint(both.id, 0, rectangle(1, 4, 1, 4))
    before = session.objects
    family = [both.id, mother.id] if daughters_first else [mother.id, both.id]

    session.delete_objects(family)
    assert {one.id: one.parents for one in session.objects} == {father.id: (), grandchild.id: ()}
    session.undo()
    assert session.objects == before
    session.delete_objects([mother.id, father.id])
    assert {one.id: one.parents for one in session.objects} == {both.id: (), grandchild.id: (both.id,)}
    session.undo()
    session.merge_objects([grandchild.id, *family])
    assert {one.id: one.parents for one in session.objects} == {father.id: (), grandchild.id: ()}
    assert np.array_equal(session.mask(grandchild.id, 0), rectangle(1, 4, 1, 4))


def test_split_makes_an_object_of_each_part(session: AnnotationSession) -> None:
    one = session.add_object("pair", category="nucleus")
    for frame in range(3):
        # two parts that drift, the right one ends early; they touch nowhere
        left, right = rectangle(1, 5, frame, frame + 3), rectangle(1, 4, 8, 10)
        session.paint(one.id, frame, left | right if frame < 2 else left)

    parts = session.split_object(one.id)

    assert [part.category for part in parts] == ["nucleus", "nucleus"]
    assert parts[0].id == one.id
    assert session.masked_frames(parts[0].id) == [0, 1, 2]
    assert session.masked_frames(parts[1].id) == [0, 1]
    assert np.array_equal(session.mask(parts[1].id, 1), rectangle(1, 4, 8, 10))
    session.undo()
    assert [one.name for one in session.objects] == ["pair"]


def test_parts_that_meet_at_a_corner_are_one(session: AnnotationSession) -> None:
    one = session.add_object()
    corner = rectangle(1, 3, 1, 3) | rectangle(3, 5, 3, 5)
    session.paint(one.id, 0, corner)
    assert session.split_object(one.id) == [one]

    session.paint(one.id, 0, corner | rectangle(1, 3, 6, 8))
    parts = session.split_object(one.id)
    assert [session.mask(part.id, 0).sum() for part in parts] == [8, 4]


def test_split_leaves_what_hangs_together_over_frames(session: AnnotationSession) -> None:
    one = session.add_object()
    session.paint(one.id, 0, rectangle(1, 4, 0, 3) | rectangle(1, 4, 6, 9))
    session.paint(one.id, 1, rectangle(1, 4, 0, 9))

    assert session.split_object(one.id) == [one]
    assert len(session.history) == 3


def test_divisions(session: AnnotationSession) -> None:
    mother = session.add_object(category="cell")

    first, second = session.mark_division(mother.id)
    (granddaughter,) = session.mark_division(first.id, [session.add_object().id])

    assert (first.parents, second.parents, granddaughter.parents) == ((mother.id,), (mother.id,), (first.id,))
    assert session.ancestors(granddaughter.id) == {mother.id, first.id}
    with pytest.raises(InvalidInputError, match="ancestor"):
        session.mark_division(granddaughter.id, [mother.id])
    session.delete_objects([mother.id])
    assert session.object(first.id).parents == ()
    session.undo()
    assert session.object(first.id).parents == (mother.id,)


def test_links_to_parents_are_taken_away(session: AnnotationSession) -> None:
    mother, aunt = session.add_object().id, session.add_object().id
    first, second = (one.id for one in session.mark_division(mother))
    session.mark_division(aunt, [first])
    steps = len(session.history)

    (changed,) = session.unlink_objects([first, aunt], [aunt])
    assert changed == session.object(first)
    assert changed.parents == (mother,)
    assert [one.id for one in session.unlink_objects([first, second])] == [first, second]
    assert session.object(second).parents == ()
    for objects, parents in (([mother], None), ([first], [mother]), ([first], [])):
        with pytest.raises(StateError, match="no link"):
            session.unlink_objects(objects, parents)
    with pytest.raises(StateError, match="no object 99"):
        session.unlink_objects([first], [99])
    assert len(session.history) == steps + 2
    session.undo()
    session.undo()
    assert session.object(first).parents == (mother, aunt)


def test_interpolation_lies_between(session: AnnotationSession) -> None:
    one = session.add_object()
    session.paint(one.id, 0, rectangle(1, 4, 1, 4))
    session.paint(one.id, 3, rectangle(4, 7, 7, 10))

    assert session.interpolate(one.id, 0, 3) == [1, 2]

    centres = [ndimage.center_of_mass(session.mask(one.id, frame)) for frame in range(4)]
    assert np.allclose(np.diff(centres, axis=0), [[1, 2]] * 3, atol=0.4)
    assert all(6 <= session.mask(one.id, frame).sum() <= 12 for frame in (1, 2))
    session.delete_masks(one.id, [2])
    with pytest.raises(StateError, match="no mask on frame 2 to"):
        session.interpolate(one.id, 0, 2)


def test_interpolation_leaves_locked_frames(session: AnnotationSession) -> None:
    one = session.add_object()
    for frame, mask in ((0, rectangle(0, 3, 0, 3)), (1, rectangle(8, 9, 8, 9)), (3, rectangle(3, 6, 3, 6))):
        session.paint(one.id, frame, mask)

    assert session.interpolate(one.id, 0, 3) == [2]
    assert np.array_equal(session.mask(one.id, 1), rectangle(8, 9, 8, 9))


def test_ids_of_an_import_are_not_given_to_others(session: AnnotationSession) -> None:
    """Somebody goes on while labels are imported, and takes that back."""
    labels = np.zeros((2, HEIGHT, WIDTH), np.int32)
    labels[0, :2, :2], labels[1, :2, :2], labels[1, 5:7, 5:7], labels[1, 7:9, 7:9] = 1, 1, 2, 3
    mine = []

    def frames() -> Iterator[tuple[int, np.ndarray]]:
        yield 0, labels[0]
        mine.append(session.add_object("mine").id)
        yield 1, labels[1]

    ids = session.import_labels(frames())

    mine.append(session.add_object().id)
    assert not {*mine} & {*ids.values()}
    assert len({*mine, *ids.values()}) == 5
    session.undo()
    session.undo()
    assert [one.id for one in session.objects] == sorted(ids.values())
    assert session.add_object().id not in ids.values()
    assert np.array_equal(session.mask(ids[3], 1), labels[1] == 3)


def test_import_labels(session: AnnotationSession) -> None:
    session.add_object("mine")
    labels = np.zeros((2, HEIGHT, WIDTH), np.uint16)
    labels[0, :3, :3], labels[0, 5:, 5:], labels[1, 2:4, 2:4] = 7, 300, 7

    ids = session.import_labels(dict(enumerate(labels)))

    assert ids == {7: 2, 300: 3}
    for frame in range(2):
        expected = np.zeros((HEIGHT, WIDTH), int)
        for label, object_id in ids.items():
            expected[labels[frame] == label] = object_id
        assert np.array_equal(session.labels(frame), expected)
    assert session.add_object().id == 4
    session.undo()
    session.undo()
    assert [one.name for one in session.objects] == ["mine"]


def test_a_broken_import_imports_nothing(session: AnnotationSession) -> None:
    good = np.ones((HEIGHT, WIDTH), int)
    for wrong, error in (
        (good.astype(float), InvalidTypeError),
        (good[:3], InvalidInputError),
        (-good, InvalidInputError),
    ):
        with pytest.raises(error):
            session.import_labels({0: good, 1: wrong})

        assert session.objects == []
        assert session.record(1, 0) is None


@pytest.mark.parametrize(
    ("points", "labels", "error"),
    [
        ([(WIDTH, 0)], None, InvalidInputError),
        ([(-1, 0)], None, InvalidInputError),
        ([(0, np.nan)], None, InvalidInputError),
        ([(0, 0, 0)], None, InvalidInputError),
        ([(0, 0)], [2], InvalidInputError),
        ([(0, 0)], [1, 1], InvalidInputError),
        ("here", None, InvalidTypeError),
    ],
)
def test_bad_points(session: AnnotationSession, points: Any, labels: Any, error: type[Exception]) -> None:
    one = session.add_object()

    with pytest.raises(error):
        session.add_points(one.id, 0, points, labels)

    assert len(session.history) == 1


@pytest.mark.parametrize("box", [(5, 1, 2, 3), (1, 1, 1, 3), (20, 1, 30, 3), (1, 2, 3), (0, 0, np.inf, 1)])
def test_bad_boxes(session: AnnotationSession, box: Any) -> None:
    one = session.add_object()

    with pytest.raises(InvalidInputError):
        session.set_box(one.id, 0, box)


def test_bad_masks_frames_and_ids(session: AnnotationSession) -> None:
    one = session.add_object()

    with pytest.raises(InvalidTypeError, match="bool or integers"):
        session.paint(one.id, 0, np.zeros((HEIGHT, WIDTH)))
    with pytest.raises(InvalidInputError, match="frame's size"):
        session.paint(one.id, 0, np.zeros((3, 3), bool))
    with pytest.raises(InvalidInputError, match="frames 0 to 3"):
        session.paint(one.id, FRAMES, rectangle(0, 1, 0, 1))
    with pytest.raises(InvalidTypeError, match="frame is an integer"):
        session.mask(one.id, 0.5)  # type: ignore[arg-type]
    with pytest.raises(StateError, match=r"Its objects: 1\."):
        session.mask(5, 0)
    with pytest.raises(InvalidInputError, match="at least one pixel"):
        session.set_mask_prompt(one.id, 0, rectangle(0, 0, 0, 0))
    assert len(session.history) == 1


def test_prompts(session: AnnotationSession) -> None:
    one = session.add_object()
    session.add_points(one.id, 1, (3, 4))
    session.add_points(one.id, 1, [(5, 6)], [0])
    session.set_box(one.id, 1, (1, 1, 8, 8))

    assert session.prompt(one.id, 1).points == ((3.0, 4.0), (5.0, 6.0))
    assert session.prompt(one.id, 1).labels == (1, 0)
    assert session.prompt(one.id, 1).box == (1.0, 1.0, 8.0, 8.0)
    session.set_mask_prompt(one.id, 1, rectangle(1, 3, 1, 3))
    assert session.prompt(one.id, 1).points == ()
    assert session.prompted_frames(one.id) == [1]
    session.clear_prompt(one.id, 1)
    assert session.prompted_frames(one.id) == []
    session.undo()
    session.undo()
    session.set_points(one.id, 1, [(2, 2)], [1])
    assert session.prompt(one.id, 1).points == ((2.0, 2.0),)
    session.set_box(one.id, 1, None)
    session.set_points(one.id, 1, [], [])
    assert session.prompted_frames(one.id) == [], "nothing said is no prompt"


def test_a_second_process_is_told(session: AnnotationSession) -> None:
    session.add_object("mine")
    code = f"""
import numpy as np
from sam2_core.errors import StateError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.frames import open_frames
stack = open_frames(np.zeros(({FRAMES}, {HEIGHT}, {WIDTH}), np.uint8))
try:
    AnnotationSession.open({str(session.folder)!r}, stack)
except StateError as error:
    print(error)
with AnnotationSession.open({str(session.folder)!r}, stack, read_only=True) as other:
    print(other.objects[0].name)
    try:
        other.add_object()
    except StateError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    told, name, refused = done.stdout.splitlines()
    assert "read_only=True" in told
    assert name == "mine"
    assert "reading only" in refused


def test_opening_what_is_not_there_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no session in"):
        AnnotationSession.open(tmp_path, stack())
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="not empty"):
        AnnotationSession.create(stack(), tmp_path)
    AnnotationSession.create(stack(), tmp_path / "new").close()
    with pytest.raises(InvalidInputError, match=r"AnnotationSession\.open"):
        AnnotationSession.create(stack(), tmp_path / "new")
    with pytest.raises(InvalidInputError, match="frames 4 then and 5 now"):
        AnnotationSession.open(tmp_path / "new", stack(frames=5))
    AnnotationSession.open(tmp_path / "new", stack()).close()


def test_a_temporary_session_goes_when_it_is_closed() -> None:
    session = AnnotationSession.create(stack())
    session.add_object()
    session.close()

    assert not session.folder.exists()


#: What each call of a session is given; calls that are not here take nothing.
GIVEN: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("object", "has_object", "prompted_frames", "records", "masked_frames", "locked_frames", "disagreements"), (1,)
    ),
    **dict.fromkeys(("prompt", "record", "mask", "clear_prompt", "lock", "start_segment", "segment"), (1, 0)),
    **dict.fromkeys(
        ("prompts_on", "records_on", "labels", "start_everything", "start_features", "disagreements_on"), (0,)
    ),
    **dict.fromkeys(("change_object", "split_object", "mark_division", "ancestors", "delete_masks"), (1,)),
    **dict.fromkeys(("paint", "set_mask_prompt"), (1, 0, rectangle(1, 3, 1, 3))),
    **dict.fromkeys(("delete_objects", "merge_objects"), ([1, 2],)),
    "pixels": (MaskReference((0, 0, 1, 1), 1),),
    "add_points": (1, 0, (1, 1)),
    "set_points": (1, 0, [(1, 1)], [1]),
    "set_box": (1, 0, (1, 1, 3, 3)),
    "add_drawn": ("point", Drawn("point", 0, points=np.array([[1.0, 1.0]], np.float32)), 1),
    "interpolate": (1, 0, 1),
    "answer": (1, 0, SessionPrompt(points=((1.0, 1.0),), labels=(1,)), MaskPixels.empty(), None, None),
    "add_found_objects": (0, [(MaskPixels.cut(rectangle(1, 3, 1, 3)), None, None)]),
    "add_candidates": (
        FrameCandidates.of(CandidatesFound(1, 0, ()), {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.5}),
    ),
    "start_candidates": (0,),
    "unlink_objects": ([1],),
    "begin_results": ("results",),
    "add_results": (1, 0, {}, "track"),
    "finish_results": (1,),
    "import_labels": ({},),
    "import_tracks": ({}, []),
    "add_disagreements": (1, 0, {1: MaskPixels.empty()}),
    "start_export": ("labels.tif",),
    "use_model": (object(),),
}
#: What says the same whether the session is open or not.
ALWAYS = {"close", "create", "open", "checked_frame", "frame_at", "position"}


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in dir(AnnotationSession)
        if not name.startswith("_") and name not in ALWAYS and callable(getattr(AnnotationSession, name))
    ),
)
def test_a_closed_session_says_so(session: AnnotationSession, name: str) -> None:
    session.use_model(object())  # type: ignore[arg-type]
    for number in range(2):
        session.add_object()
        session.paint(number + 1, 0, rectangle(1, 3, 1, 3))
    session.close()
    options = {"label": "found"} if name == "add_found_objects" else {}

    with pytest.raises(StateError, match="session is closed"):
        getattr(session, name)(*GIVEN.get(name, ()), **options)

    with pytest.raises(StateError, match="session is closed"):
        _ = session.objects
    with pytest.raises(StateError, match="session is closed"):
        _ = session.history
    assert "closed" in repr(session)
    assert list(session.jobs) == []
    session.close()


def test_another_thread_may_close_what_one_opened(tmp_path: Path) -> None:
    stack = open_frames(np.zeros((2, 8, 8), np.uint8))
    session = AnnotationSession.create(stack, tmp_path / "session")
    thread = threading.Thread(target=session.close)
    thread.start()
    thread.join()

    AnnotationSession.open(tmp_path / "session", stack).close()


def test_numpy_integers_are_ids_and_frames(session: AnnotationSession) -> None:
    one, two = session.add_object(), session.add_object()
    first, frames = np.int64(one.id), np.array([0, 2])
    for frame in frames:
        session.paint(first, frame, rectangle(1, 4, 2, 5), lock=False)
    session.add_points(first, frames[0], (3, 3))
    session.lock(first, frames)
    session.lock(first, frames[0], locked=False)
    session.mark_division(first, [np.int64(two.id)])
    session.change_object(first, name="mother")

    assert session.masked_frames(one.id) == [0, 2]
    assert session.locked_frames(one.id) == [2]
    assert session.prompted_frames(one.id) == [0]
    assert session.object(two.id).parents == (one.id,)
    assert [each.name for each in session.objects] == ["mother", "object 2"]


def test_another_stack_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AnnotationSession.create(stack(), tmp_path / "session").close()
    closed: list[Path] = []
    real = Journal.close

    def close(journal: Journal) -> None:
        closed.append(journal.path)
        real(journal)

    monkeypatch.setattr(Journal, "close", close)
    with pytest.raises(InvalidInputError, match="another stack"):
        AnnotationSession.open(tmp_path / "session", stack(FRAMES + 1))

    assert closed == [tmp_path / "session" / "session.db"]


def test_frames_along_another_axis_are_another_stack(tmp_path: Path) -> None:
    cube = open_volume(np.zeros((12, 12, 12), np.uint8), axes="zyx")
    AnnotationSession.create(cube.stack("z"), tmp_path / "session").close()
    with pytest.raises(InvalidInputError, match="axis z then and y now"):
        AnnotationSession.open(tmp_path / "session", cube.stack("y", plane="zx"))


def test_points_and_boxes_replace_a_mask_prompt_and_taking_them_away_does_not(session: AnnotationSession) -> None:
    one = session.add_object()
    kept = session.set_mask_prompt(one.id, 0, rectangle(1, 4, 2, 5)).mask
    assert session.set_box(one.id, 0, None).mask == kept
    assert session.set_points(one.id, 0, [], []).mask == kept
    assert session.set_points(one.id, 0, [(2, 2)], [1]).mask is None


def test_labels_and_boxes_that_are_none(session: AnnotationSession) -> None:
    one = session.add_object()
    for labels in (1, [[1]]):
        with pytest.raises(InvalidTypeError, match="Labels are a list"):
            session.add_points(one.id, 0, (2, 2), labels)  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="four numbers"):
        session.set_box(one.id, 0, "abcd")  # type: ignore[arg-type]


def test_frames_to_export_come_one_by_one(session: AnnotationSession, tmp_path: Path) -> None:
    one = session.add_object()
    session.paint(one.id, 2, rectangle(1, 4, 2, 5))
    path = session.start_export(tmp_path / "labels.tif", frames=(frame for frame in (1, 2))).wait()

    assert path.exists()
    assert session.jobs[-1].total == 2
    with pytest.raises(InvalidInputError, match="no frame 9"):
        session.start_export(tmp_path / "more.tif", frames=[9])
