"""The Python side of the widget without a browser: messages in, messages out; what annotate takes; forms."""

from __future__ import annotations

import io
import json
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.errors import DestinationExistsError, InvalidInputError, InvalidTypeError, MissingFileError, StateError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.volumes import open_volume
from tests.fake_training import accept_some, fake_training
from tests.jupyter.fake_worker import FRAMES, HEIGHT, WIDTH, fake_session, give_fake, pictures, until, worker_of
from tests.test_docs import blocks

pytest.importorskip("anywidget", reason="needs anywidget; install the group test")

from sam2_jupyter import AnnotationWidget, annotate, fine_tune_form, propagation_form
from sam2_jupyter.lab_front_end import open_in_lab
from sam2_jupyter.protocol import MAX_POINTS


class Wire:
    """What a view sends to a widget, and what it hears."""

    def __init__(self, widget: AnnotationWidget) -> None:
        self.widget = widget
        self.heard: list[tuple[dict[str, Any], list[bytes]]] = []
        comm: Any = widget.comm
        comm.publish_msg = self._publish
        self.number = 0

    def _publish(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        if data and data.get("method") == "custom":
            self.heard.append((json.loads(json.dumps(data["content"])), [bytes(one) for one in buffers or []]))

    def send(self, content: Any) -> None:
        self.widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def ask(self, kind: str, **payload: Any) -> tuple[dict[str, Any], list[bytes]]:
        """The answer to a request."""
        self.number += 1
        self.send({"v": 1, "view": "a", "id": self.number, "kind": kind, "payload": payload})
        until(lambda: any(one.get("id") == self.number for one, _ in self.heard))
        return next((one, buffers) for one, buffers in self.heard if one.get("id") == self.number)

    def error(self, kind: str, **payload: Any) -> str:
        """What the answer complains of."""
        answer, _ = self.ask(kind, **payload)
        assert answer["type"] == "error", answer
        assert answer["error"]["details"] == "", answer  # our own errors need no traceback
        return str(answer["error"]["message"])

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [one for one, _ in self.heard if one["type"] == "event" and one["kind"] == kind]


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    with fake_session() as session:
        yield session


@pytest.fixture
def wire(session: AnnotationSession) -> Iterator[Wire]:
    widget = AnnotationWidget(session)
    yield Wire(widget)
    widget.close()


CLICK = {
    "tool": "point",
    "gesture": "point",
    "frame": 0,
    "positive": True,
    "object": 0,
    "points": [[40, 50]],
    "options": {},
}


def test_a_click_over_the_wire(wire: Wire, session: AnnotationSession) -> None:
    """The answer names the object; the mask comes as an event that is numbered, packed and of its box only."""
    answer, _ = wire.ask("draw", **CLICK)
    assert answer["payload"] == {"objects": [1]}
    until(lambda: any("inline" in one["payload"] for one in wire.events("changed")))
    event, buffers = next((one, data) for one, data in wire.heard if "inline" in (one.get("payload") or {}))
    (entry,) = event["payload"]["inline"]["masks"]
    assert entry["box"] == [28, 38, 53, 63]
    assert entry["record"]["predicted_iou"] == 0.875
    assert len(buffers[0]) == entry["length"] < 25 * 25
    numbers = [one["seq"] for one in wire.events("changed")]
    assert numbers == sorted(set(numbers))
    assert [step.label for step in session.history] == ["draw point"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": [[40, 50], [1, 2]]}, "1 points; got 2"),
        ({"points": "here"}, "list of"),
        ({"points": [[1]]}, "list of"),
        ({"points": [[0, 0]] * (MAX_POINTS + 1)}, "Draw less"),
        ({"frame": FRAMES}, "no frame"),
        ({"frame": True}, "whole number"),
        ({"object": 77}, "no object 77"),
        ({"object": -1}, "0 or above"),
        ({"tool": "no-such-tool"}, "no-such-tool"),
        ({"tool": None}, "text"),
        ({"gesture": "box"}, "2 points"),
        ({"positive": 1}, "true or false"),
        ({"options": {"nonsense": 1}}, "nonsense"),
        ({"options": [1]}, "object of names"),
        ({"tool": "mask", "gesture": "brush", "radius": 0}, "radius"),
        ({"tool": "mask", "gesture": "brush", "radius": 5, "points": []}, "at least one point"),
    ],
)
def test_a_drawing_that_makes_no_sense_changes_nothing(
    wire: Wire, session: AnnotationSession, change: dict[str, Any], words: str
) -> None:
    assert words in wire.error("draw", **{**CLICK, **change})
    assert session.history == []


@pytest.mark.parametrize(
    ("kind", "payload", "words"),
    [
        ("no-such-request", {}, "There is no request"),
        ("job", {"id": 5, "do": "cancel"}, "no job 5"),
        ("propagate", {"objects": [1, "2"], "propagator": "both"}, "list of ids"),
        ("propagate", {"objects": None, "propagator": "both"}, "nothing to track"),
        ("undo", {}, "nothing to undo"),
        ("save", {"path": " "}, "Say where"),
        ("set_points", {"object": 1, "frame": 0, "points": [], "labels": 3}, "labels"),
        ("tile", {"frame": 0, "level": 3, "column": 0, "row": 0, "limits": [[0, 1]], "codec": "jpeg"}, "levels 0 to 0"),
        ("tile", {"frame": 0, "level": 0, "column": 9, "row": 0, "limits": [[0, 1]], "codec": "jpeg"}, "no tile"),
        ("tile", {"frame": 0, "level": 0, "column": 0, "row": 0, "limits": [[1, 1]], "codec": "jpeg"}, "low < high"),
        (
            "tile",
            {"frame": 0, "level": 0, "column": 0, "row": 0, "limits": [[0, 1]] * 2, "codec": "jpeg"},
            "1 channels",
        ),
        ("tile", {"frame": 0, "level": 0, "column": 0, "row": 0, "limits": [[0, 1]], "codec": "png"}, "deflate"),
        ("tile", {"frame": 0, "level": 0, "column": 0, "row": 0, "limits": 7, "codec": "jpeg"}, "limits must be"),
        ("frame", {"frame": 99}, "no frame 99"),
    ],
)
def test_a_request_that_cannot_be_done_says_why(wire: Wire, kind: str, payload: dict[str, Any], words: str) -> None:
    assert words in wire.error(kind, **payload)


@pytest.mark.parametrize("content", [None, 7, [], {}, {"v": 2}, {"v": 1, "view": "a", "id": "x"}, {"v": 1, "id": 3}])
def test_a_message_that_is_no_request_is_told(wire: Wire, content: Any) -> None:
    """It is told to all, and the widget goes on."""
    wire.send(content)
    assert len(wire.events("message")) == 1
    assert wire.ask("hello")[0]["type"] == "ok"


def test_another_version_is_told_to_who_speaks_it(wire: Wire) -> None:
    wire.send({"v": 0, "view": "old", "id": 1, "kind": "hello", "payload": {}})
    assert wire.heard[-1][0]["view"] == "old"
    assert "Reload the page" in wire.heard[-1][0]["error"]["message"]


def test_an_error_that_nobody_expected_is_told_with_its_traceback(
    wire: Wire, session: AnnotationSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(session, "undo", broken)
    answer, _ = wire.ask("undo")
    assert answer["error"]["kind"] == "ZeroDivisionError"
    assert "in broken" in answer["error"]["details"]
    assert "The request 'undo' failed" in caplog.text


def test_tiles_are_the_pixels_and_a_cancelled_one_is_left_out(session: AnnotationSession) -> None:
    """Without loss they are exact; the newest comes first, and one that was given up before it began does not."""
    widget = AnnotationWidget(session)
    wire = Wire(widget)
    asked = {"level": 0, "column": 0, "row": 0, "limits": [[0, 255]], "codec": "deflate"}
    answer, buffers = wire.ask("tile", frame=2, **asked)
    assert (answer["payload"]["width"], answer["payload"]["height"]) == (WIDTH, HEIGHT)
    pixels = np.frombuffer(zlib.decompress(buffers[0]), np.uint8).reshape(HEIGHT, WIDTH)
    assert np.array_equal(pixels, pictures()[2])

    begun, may_go_on = threading.Event(), threading.Event()
    real = widget._tiles.tile

    def slow(*args: Any) -> Any:
        begun.set()
        assert may_go_on.wait(60)
        return real(*args)

    widget._tiles.tile = slow  # type: ignore[method-assign]
    for number in (101, 102, 103):
        wire.send({"v": 1, "view": "a", "id": number, "kind": "tile", "payload": {"frame": 0, **asked}})
        assert begun.wait(60)
    wire.send({"v": 1, "view": "a", "id": 102, "kind": "cancel", "payload": {}})
    may_go_on.set()
    until(lambda: {101, 102, 103} <= {one.get("id") for one, _ in wire.heard})
    order = [(one["id"], one["type"]) for one, _ in wire.heard if one.get("id", 0) > 100]
    assert order == [(102, "cancelled"), (101, "ok"), (103, "ok")]
    widget.close()


def test_python_reads_and_writes(wire: Wire, session: AnnotationSession) -> None:
    widget = wire.widget
    heard: list[Any] = []
    widget.changed.connect(heard.append)
    wire.ask("draw", **CLICK)
    until(lambda: any("mask" in change.what for change in heard))
    assert widget.prompts[1][0].points == ((40.0, 50.0),)
    assert widget.to_labels().shape == (FRAMES, HEIGHT, WIDTH)
    assert np.array_equal(widget.to_labels([0])[0], widget.masks[1])
    assert {what for change in heard for what in change.what} == {"object", "prompt", "mask"}
    widget.frame = 3
    assert session.current_frame == 3
    with pytest.raises(InvalidInputError, match="no frame 8"):
        widget.frame = FRAMES
    with pytest.raises(InvalidInputError, match="no frame"):
        widget.to_labels([FRAMES])


def test_where_no_widget_can_be_shown_there_is_a_word_of_it(wire: Wire, session: AnnotationSession) -> None:
    plain = wire.widget._repr_mimebundle_()[0]["text/plain"]
    assert plain.startswith(f"<AnnotationWidget of {session.stack.name} in ")


def test_labels_that_would_fill_the_memory_are_refused(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2_jupyter.widget.MOST_LABEL_BYTES", 1000)
    with pytest.raises(InvalidInputError, match="start_export"):
        wire.widget.to_labels()


def test_progress_is_told_now_and_then_and_every_state_once(wire: Wire, session: AnnotationSession) -> None:
    wire.ask("draw", **CLICK)
    wire.ask("propagate", objects=None, propagator="both", count=None, options={})
    until(lambda: not session.jobs.active)
    states = [one["payload"]["state"] for one in wire.events("job") if one["payload"]["kind"] == "propagate"]
    assert [state for at, state in enumerate(states) if at == 0 or states[at - 1] != state] == [
        "waiting",
        "running",
        "done",
    ]
    assert states.count("done") == 1


def test_annotate_takes_images_and_sessions(tmp_path: Path) -> None:
    """Arrays, files and sessions; a folder with a session in it is gone on with."""
    tifffile.imwrite(tmp_path / "cells.tif", pictures())
    w = annotate(tmp_path / "cells.tif", tmp_path / "kept", axes="tyx", model=None, opacity=0.5)
    one = w.session.add_object("a cell")
    w.session.paint(one.id, 0, np.ones((HEIGHT, WIDTH), bool))
    assert w.opacity == 0.5
    with pytest.raises(StateError, match="Another process"):
        annotate(tmp_path / "cells.tif", tmp_path / "kept", axes="tyx", model=None)
    w.close()
    again = annotate(tmp_path / "cells.tif", tmp_path / "kept", axes="tyx", model=None)
    assert again.masks[1].all()
    on_top = annotate(again.session)
    on_top.close()
    with pytest.raises(InvalidInputError, match="kept in"):
        annotate(again.session, tmp_path / "elsewhere")
    assert again.session.objects[0].name == "a cell"
    again.close()


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("no/such/file.tif", MissingFileError, "no/such/file.tif"),
        (np.zeros(7), InvalidInputError, "dimension"),
        (np.zeros((2, 3, 4, 5, 6, 7)), InvalidInputError, "dimension"),
        (np.zeros((2, 3, 20, 20), np.uint8), InvalidInputError, "axes"),
        (np.zeros((5, 5), complex), InvalidTypeError, "complex"),
        (7, InvalidTypeError, "Cannot read"),
    ],
)
def test_annotate_refuses_what_is_no_image(source: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        annotate(source, model=None)


def test_another_axis_is_moved_along(tmp_path: Path) -> None:
    """A z-stack at each time: each has a session of its own, which is there again when one comes back."""
    movie = np.stack([pictures(4), pictures(4) // 2, pictures(4) // 4])
    w = annotate(movie, tmp_path / "kept", axes="tzyx", axis="z", model=None, frame=1)
    wire = Wire(w)
    assert wire.ask("hello")[0]["payload"]["about"]["positions"] == [{"axis": "t", "length": 3, "position": 0}]
    one = w.session.add_object()
    w.session.paint(one.id, 1, np.ones((HEIGHT, WIDTH), bool))
    first = w.session
    wire.ask("move", axis="t", position=2)
    assert len(wire.events("session")) == 1
    assert w.session is not first
    assert w.masks == {}
    assert w.session.current_frame == 1
    asked = {"frame": 1, "level": 0, "column": 0, "row": 0, "limits": [[0, 255]], "codec": "deflate"}
    _, buffers = wire.ask("tile", **asked)
    pixels = np.frombuffer(zlib.decompress(buffers[0]), np.uint8).reshape(HEIGHT, WIDTH)
    assert np.array_equal(pixels, movie[2, 1])
    assert "positions 0 to 2" in wire.error("move", axis="t", position=3)
    assert "no axis 'c'" in wire.error("move", axis="c", position=0)
    w.selected = 5
    w.move("t", 0)
    assert w.masks[1].all()
    assert w.selected == 0
    again = w.session
    w.move("t", 0)
    assert w.session is again
    w.close()
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["t00000", "t00002"]


def test_how_frames_are_looked_at_goes_along_to_another_position(tmp_path: Path) -> None:
    w = annotate(np.stack([pictures(4), pictures(4)]), tmp_path, axes="tzyx", axis="z", model=None)
    wire = Wire(w)
    assert "preset is one of" in wire.error("preset", preset="tiles")
    assert wire.ask("preset", preset="crops")[0]["payload"] == {"preset": "crops"}
    assert wire.events("changed")[-1]["payload"]["state"]["preset"] == "crops"
    w.move("t", 1)
    assert w.session.preset == "crops"
    w.close()


def test_volumes_over_time_are_one_session(tmp_path: Path) -> None:
    w = annotate(np.stack([pictures(4)] * 3), tmp_path, axes="tzyx", axis="tz", model=None)
    session, wire = w.session, Wire(w)
    about = wire.ask("hello")[0]["payload"]["about"]
    assert about["axes"] == [{"axis": "t", "length": 3}, {"axis": "z", "length": 4}]
    assert about["positions"] == []
    for t, z in ((0, 1), (2, 1), (2, 3)):
        session.paint(session.add_object().id, session.frame_at(t=t, z=z), np.ones((HEIGHT, WIDTH), bool))
    overview = wire.ask("state", selected=0, frame=session.frame_at(t=2, z=0))[0]["payload"]["state"]["overview"]
    assert [one["coverage"] for one in overview] == [[1, 0, 2], [0, 1, 0, 1]]
    assert [one["masked"] for one in overview] == [2, 2]
    assert "no frame 12" in wire.error("state", selected=0, frame=12)
    w.close()


def test_propagation_along_an_axis(tmp_path: Path) -> None:
    stack = open_volume(np.stack([pictures(4)] * 2), axes="tzyx").stack("tz")
    with AnnotationSession.create(stack, tmp_path, model="a fake", worker="thread") as session:
        give_fake(session)
        w = AnnotationWidget(session)
        wire = Wire(w)
        one = session.add_object().id
        session.add_points(one, 5, (40, 50))
        for along, expected in (("z", {4, 5, 6, 7}), ("t", {1, 5})):
            wire.ask("propagate", objects=None, propagator="both", count=None, options={}, along=along, start=5)
            until(lambda: not session.jobs.active)
            assert set(session.jobs[-1].result) == expected
        assert "axes of this stack" in wire.error(
            "propagate", objects=None, propagator="both", count=None, options={}, along="c", start=5
        )
        w.close()


def test_volumes_are_carried_to_other_times(tmp_path: Path) -> None:
    """From the time of the frame, in the direction and as far as asked; elsewhere than in z-stacks over time not."""
    stack = open_volume(np.stack([pictures(4)] * 3), axes="tzyx").stack("tz")
    with AnnotationSession.create(stack, tmp_path, model="a fake", worker="thread") as session:
        give_fake(session)
        wire = Wire(AnnotationWidget(session))
        fields = {one["name"]: one["default"] for one in wire.ask("hello")[0]["payload"]["about"]["carrying"]}
        assert (fields["reconciles"], fields["agreement"]) == (True, 0.7)
        for z in (1, 2):
            session.paint(session.add_object().id, session.frame_at(t=1, z=z), np.ones((HEIGHT, WIDTH), bool))
        asked = {"frame": session.frame_at(t=1, z=0), "direction": "backward", "count": None, "options": {}}
        assert wire.ask("carry", objects=[1], **asked | {"options": {"growth": 3}})[0]["payload"]["kind"] == "carry"
        until(lambda: not session.jobs.active)
        assert session.masked_frames(1) == [1, 5]
        assert worker_of(session).options[-1] == {"growth": 3}
        wire.ask("carry", objects=None, **asked | {"direction": "forward", "count": 1})
        until(lambda: not session.jobs.active)
        assert (session.masked_frames(1), session.masked_frames(2)) == ([1, 5, 9], [6, 10])
        assert "direction is" in wire.error("carry", objects=None, **asked | {"direction": "up"})
        assert "count must be 1" in wire.error("carry", objects=None, **asked | {"count": 0})
        assert "no frame 12" in wire.error("carry", objects=None, **asked | {"frame": 12})
        wire.widget.close()


def test_what_is_no_stack_over_time_carries_nothing(wire: Wire) -> None:
    assert wire.ask("hello")[0]["payload"]["about"]["carrying"] is None
    asked = {"frame": 0, "direction": "forward", "count": None, "options": {}}
    assert "along t and z" in wire.error("carry", objects=None, **asked)


def test_a_second_opinion_over_the_wire(wire: Wire, session: AnnotationSession) -> None:
    """No mask is changed, and where the ways differ is in the review."""
    assert "nothing to track" in wire.error("compare", objects=None, propagator="inward", frame=0)
    one = session.add_object().id
    session.add_points(one, 0, (40, 50))
    assert "nothing to compare" in wire.error("compare", objects=None, propagator="inward", frame=0)
    small = np.zeros((HEIGHT, WIDTH), bool)
    small[50:60, 38:48] = True
    step = session.begin_results("another way")
    session.add_results(step, 3, {one: (MaskPixels.cut(small), 0.9, 5.0)}, "track")
    session.finish_results(step)
    assert "no-such-way" in wire.error("compare", objects=None, propagator="no-such-way", frame=0)
    assert wire.ask("compare", objects=None, propagator="inward", frame=0)[0]["payload"]["kind"] == "compare"
    until(lambda: not session.jobs.active)
    assert session.masked_frames(one) == [3]
    (item,) = wire.ask("review", count=5)[0]["payload"]["items"]
    assert (item["frame"], item["reasons"]) == (3, ["propagators disagree"])


def test_an_accepted_mask_is_let_go_again(wire: Wire, session: AnnotationSession) -> None:
    one = session.add_object().id
    session.paint(one, 0, np.ones((HEIGHT, WIDTH), bool))
    for locked, frames in ((True, [0]), (False, [])):
        assert wire.ask("accept", object=one, frame=0, locked=locked)[0]["payload"] == {"accepted": locked}
        assert session.locked_frames(one) == frames
    assert "true or false" in wire.error("accept", object=one, frame=0, locked=1)


def test_the_form_has_every_propagator_and_its_options(session: AnnotationSession) -> None:
    widget = AnnotationWidget(session)
    form = propagation_form(widget)
    assert {"both", "forward", "backward"} <= set(form.choice.choices)
    assert form.root.native.children  # an ipywidgets box
    assert form.run() is None
    assert "nothing to track" in form.message.value
    one = session.add_object()
    session.add_points(one.id, 2, (40, 50))
    form.choice.value = "forward"
    job = form.run()
    assert job is not None
    job.wait(60)
    assert worker_of(session).options[-1]["propagator"] == "forward"
    until(lambda: "done" in form.message.value)
    widget.close()


def test_the_form_goes_along_either_axis(tmp_path: Path) -> None:
    """In a z-stack over time, from the frame that the widget shows."""
    stack = open_volume(np.stack([pictures(4)] * 2), axes="tzyx").stack("tz")
    with AnnotationSession.create(stack, tmp_path, model="a fake", worker="thread") as session:
        give_fake(session)
        widget = AnnotationWidget(session, frame=5)
        session.add_points(session.add_object().id, 5, (40, 50))
        form = propagation_form(widget)
        assert form.common.along.value == "z"
        for along, expected in (("z", {4, 5, 6, 7}), ("t", {1, 5})):
            form.common.along.value = along
            job = form.run()
            assert job is not None
            job.wait(60)
            assert set(job.result) == expected
        widget.close()


def test_a_training_over_the_wire(wire: Wire, session: AnnotationSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes with their options are told; then curves, each preview once, and the model that is used at last."""
    training = fake_training(monkeypatch)
    about = wire.ask("hello")[0]["payload"]["about"]
    assert {one["name"] for one in about["recipes"]} >= {"decoder", "memory", "lora", "all"}
    assert about["recipes"][0]["name"] == "decoder"
    rate = next(one for one in about["recipes"][0]["options"] if one["name"] == "learning_rate")
    assert (rate["kind"], rate["min"]) == ("float", 0.0)
    assert wire.ask("training")[0]["payload"] == {"model": "a fake", "job": None}
    asked = {"recipe": "decoder", "budget": "30 s", "masks": "accepted"}
    assert "no accepted masks" in wire.error("train", **asked)
    accept_some(session)
    assert "budget" in wire.error("train", **asked | {"budget": "soon"})
    assert "hold_back" in wire.error("train", **asked, hold_back=1)
    assert "options must be" in wire.error("train", **asked, options=[1])

    answer, _ = wire.ask("train", **asked, name=" mine ", options={"learning_rate": 0.01})
    number = answer["payload"]["id"]
    until(lambda: any(len(one["payload"].get("ious", ())) == 2 for one in wire.events("training")))
    told, buffers = wire.ask("training")
    assert Image.open(io.BytesIO(buffers[0])).size == (60, 40)
    assert [step for step, _ in told["payload"]["losses"]][:5] == [1, 2, 3, 4, 5]
    assert told["payload"]["ious"] == [[0, 0.5], [5, 0.75]]
    assert "no job 99" in wire.error("job", id=99, do="stop")
    wire.ask("job", id=number, do="stop")
    until(lambda: wire.events("training")[-1]["payload"].get("state") == "done")
    last = wire.events("training")[-1]["payload"]
    assert (last["model"], last["new_model"], last["is_used"]) == ("mine", "mine", True)
    assert (last["before"], last["best"]) == (0.5, 0.75)
    pictures = [len(data) for one, data in wire.heard if one.get("kind") == "training"]
    assert sum(pictures) == 2
    (options,) = training.options
    assert (options["recipe"], options["budget"], options["learning_rate"]) == ("decoder", 30.0, 0.01)
    assert options["labelled_frames"] == [0, 1, 2]
    assert options["labels"].read(1).sum() == 40 * 50


def test_everything_asks_what_suits_the_model(wire: Wire, session: AnnotationSession) -> None:
    """The form begins with it, and it is asked for where the person has left it so."""
    usual = {one["name"]: one["default"] for one in wire.ask("hello")[0]["payload"]["about"]["everything"]}
    session._model = "sam2.1_hiera_micro"
    suits = everything_thresholds("sam2.1_hiera_micro")
    fields = {one["name"]: one["default"] for one in wire.ask("hello")[0]["payload"]["about"]["everything"]}
    assert fields == usual | suits
    assert fields != usual

    for options in ({}, {"pred_iou_thresh": 0.9}):
        wire.ask("everything", frame=0, options=options)
        until(lambda: not session.jobs.active)
        assert worker_of(session).options[-1] == suits | options


def test_a_new_model_goes_along_to_another_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_training(monkeypatch)
    movie = np.stack([pictures(4), pictures(4) // 2])
    w = annotate(movie, tmp_path / "kept", axes="tzyx", axis="z", model="a fake", worker="thread")
    w.session.use_model("another")
    w.move("t", 1)
    assert w.session.model == "another"
    w.close()


def test_the_form_has_every_recipe_and_its_options(session: AnnotationSession, monkeypatch: pytest.MonkeyPatch) -> None:
    training = fake_training(monkeypatch)
    widget = AnnotationWidget(session)
    form = fine_tune_form(widget)
    assert {"decoder", "memory", "lora", "all"} <= set(form.choice.choices)
    assert form.root.native.children
    assert form.run() is None
    assert "no accepted masks" in form.message.value
    accept_some(session)
    form.common.budget.value = "20 s"
    form.choice.value = "memory"
    form.options.frames.value = 2
    job = form.run()
    assert job is not None
    form.stop()
    job.wait(60)
    until(lambda: "used from now on" in form.message.value)
    assert "0.500 before, 0.750 now" in form.message.value
    assert session.model == "cells-memory"
    (options,) = training.options
    assert (options["budget"], options["frames"], options["learning_rate"]) == (20.0, 2, 1e-4)
    assert options.get("steps") is None
    form.options.steps.value = "many"
    assert form.run() is None
    assert "steps" in form.message.value
    form.options.steps.value = "3"
    training.gate.set()
    job = form.run()
    assert job is not None
    job.wait(60)
    assert training.options[-1]["steps"] == 3
    widget.close()


def test_sam2_open_writes_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cell runs; an other notebook of that name is left alone."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", pictures(), metadata={"axes": "TYX"}, imagej=True)
    open_in_lab("cells.tif", start=False)
    book = json.loads(Path("annotate.ipynb").read_text())
    scope: dict[str, Any] = {}
    exec(book["cells"][0]["source"], scope)
    assert scope["w"].session.frame_count == FRAMES
    assert scope["w"].session.folder == Path("annotate_session")
    scope["w"].close()
    open_in_lab("cells.tif", start=False)
    with pytest.raises(DestinationExistsError, match="another"):
        open_in_lab("other.tif", start=False)


def test_the_page_runs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/notebook.md, top to bottom."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("stack.tif", pictures())
    for code in blocks(repository / "docs" / "notebook.md", "python"):
        scope: dict[str, Any] = {}
        exec(code, scope)
        assert scope["labels"].shape == (FRAMES, HEIGHT, WIDTH)


def test_a_session_without_a_model(session: AnnotationSession, tmp_path: Path) -> None:
    """It takes prompts, and says why it answers none."""
    with AnnotationSession.create(session.stack, tmp_path / "s") as plain:
        wire = Wire(AnnotationWidget(plain))
        about = wire.ask("hello")[0]["payload"]["about"]
        assert not about["can_segment"]
        assert about["propagators"] == []
        wire.ask("draw", **CLICK)
        assert plain.prompts_on(0)[1].points == ((40.0, 50.0),)
        assert "cannot segment" in wire.error("segment", object=1, frame=0)
        wire.widget.close()
