"""A session's model learns from its masks, and the session goes on with what it became."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.checkpoints.catalogue import known_models
from sam2_core.checkpoints.own_models import own_models_folder
from sam2_core.errors import DestinationExistsError, InvalidInputError, InvalidTypeError, PluginError, StateError
from sam2_core.hooks import TrainingEvent
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.job import Job
from sam2_core.session.training_record import MOST_POINTS, TrainingRecord
from sam2_core.training.fine_tuning import fine_tune as fine_tune_module
from sam2_core.volumes.frames import open_frames
from tests.session.job_scene import PATIENCE, predictor

SIZE = 64
MODEL = "sam2.1_hiera_micro"
FEW: dict[str, Any] = {"steps": 2, "image_size": SIZE, "objects": 2, "views": 1, "replay": 0.0}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "cache"))


def scene(model: Any = MODEL, worker: Any = None, accepted: int = 3) -> AnnotationSession:
    """Two discs on five frames, accepted on the first few and painted without being locked on the others."""
    y, x = np.mgrid[:SIZE, :SIZE]
    discs = [[(y - 18) ** 2 + (x - 18 - t) ** 2 < 90, (y - 44) ** 2 + (x - 40 - t) ** 2 < 120] for t in range(5)]
    noise = np.random.default_rng(0).integers(0, 40, (5, SIZE, SIZE))
    pixels = np.array([noise[t] + 160 * (a | b) for t, (a, b) in enumerate(discs)], np.uint8)
    session = AnnotationSession.create(open_frames(pixels), model=model, worker=worker)
    for number in range(2):
        one = session.add_object()
        for frame in range(5):
            session.paint(one.id, frame, discs[frame][number], lock=frame < accepted)
    return session


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    with scene() as made:
        yield made


def test_the_new_model_works_in_the_place_of_the_old_one() -> None:
    """The worker's process is another one then, with the new weights; what is told can be looked at afterwards."""
    with scene(worker="process") as session:
        session.worker_options = {"encodes_ahead": False, "measures": False}
        one = session.add_object()
        session.add_points(one.id, 4, (44, 44))
        assert session.segment(one.id, 4) is not None
        runner: Any = session.runner
        before = runner._link.process_id

        job = session.start_train(budget="10 min", name="discs", **FEW)
        result = job.wait(PATIENCE)

        assert (job.kind, job.label, job.state) == ("train", "fine-tune, recipe decoder", "done")
        assert (session.model, result.name) == ("discs", "discs")
        assert result.split.training == (0, 2)
        assert result.split.validation == (1,)
        assert session.segment(one.id, 4) is not None
        assert runner._link.process_id != before
        told = job.training
        assert told is not None
        assert [step for step, _ in told.losses] == [1, 2]
        assert told.before == result.before
        assert told.best == result.after
        assert told.picture is not None
        assert told.picture.shape == (SIZE, SIZE, 3)
        assert (told.base, told.model, told.is_used) == (MODEL, "discs", True)


def test_stopping_keeps_the_best_and_cancelling_keeps_nothing() -> None:
    with scene(worker="thread") as session:
        job = session.start_train(budget="10 min", use=False, **FEW | {"steps": 10**6})
        assert job.training is not None
        job.training.changed.connect(lambda told: job.stop() if told.step == 2 and not told.is_stopping else None)
        result = job.wait(PATIENCE)
        assert job.state == "done"
        assert result.steps < 10
        assert result.name in known_models()
        assert session.model == MODEL

        before = set(known_models())
        job = session.start_train(budget="10 min", **FEW | {"steps": 10**6})
        assert job.training is not None
        job.training.changed.connect(lambda told: job.cancel() if told.step == 2 else None)
        assert job.wait(PATIENCE) is None
        assert job.state == "cancelled"
        session.start_train(budget="10 min", **FEW | {"steps": 1}).wait(PATIENCE)  # the lane is free again
        assert len(known_models()) == len(before) + 1


@pytest.mark.parametrize("when", ["saved", "told", "used"])
def test_cancelled_at_its_very_end_it_leaves_nothing(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model is written, when it has been, and when the session has begun to work with it."""
    with scene() as session:
        real = fine_tune_module.save_own_model

        def save(*args: Any) -> Path:
            folder = real(*args)
            if when == "saved":
                session.jobs[-1].cancel()
            return folder

        def listen(job: Job) -> None:
            if job.training is not None and when == "told":
                job.training.changed.connect(lambda told: job.cancel() if told.model is not None else None)

        monkeypatch.setattr(fine_tune_module, "save_own_model", save)
        session.jobs.changed.connect(listen)
        if when == "used":
            session.model_changed.connect(lambda model: session.jobs[-1].cancel() if model != MODEL else None)
        before = set(known_models())

        job = session.start_train(budget="10 min", **FEW | {"steps": 1})

        assert (job.state, job.result) == ("cancelled", None)
        assert set(known_models()) == before
        assert not any(own_models_folder().iterdir())
        assert session.model == MODEL
        assert job.training is not None
        assert (job.training.model, job.training.is_used) == (None, False)


def test_what_is_learned_from(session: AnnotationSession) -> None:
    everything = session.start_train(budget="10 min", masks="all", use=False, **FEW | {"steps": 1}).wait()
    assert (everything.split.training, everything.split.validation) == ((0, 1, 3, 4), (2,))
    some = session.start_train(
        budget="10 min", labelled_frames=[0, 2], validation_frames=[], use=False, **FEW | {"steps": 1}
    ).wait()
    assert (some.split.training, some.split.validation, some.after) == ((0, 2), (), None)


def test_labels_of_other_software_are_learned_from(session: AnnotationSession) -> None:
    """They stand in the place of the masks: not one of these is there."""
    session.delete_objects([one.id for one in session.objects])
    labels = np.zeros((5, SIZE, SIZE), np.int32)
    labels[1:4, 10:26, 10:26] = 7
    job = session.start_train(budget="10 min", labels=labels, use=False, **FEW | {"steps": 1})
    split = job.wait().split
    assert (split.training, split.validation) == ((1, 3), (2,))
    some = session.start_train(
        budget="10 min", labels=labels, labelled_frames=[1, 2], validation_frames=[], use=False, **FEW | {"steps": 1}
    ).wait()
    assert some.split.training == (1, 2)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"recipe": "no-such-recipe"}, PluginError, "no-such-recipe"),
        ({"budget": "soon"}, InvalidInputError, "budget"),
        ({"masks": "some"}, InvalidInputError, "accepted"),
        ({"labelled_frames": [4]}, StateError, "no accepted masks"),
        ({"labelled_frames": [0]}, InvalidInputError, "One labelled frame only"),
        ({"labelled_frames": [9]}, InvalidInputError, "no frame 9"),
        ({"validation_frames": [4]}, InvalidInputError, "shows no label"),
        ({"name": MODEL}, DestinationExistsError, "already"),
        ({"speed": 3}, InvalidInputError, "speed"),
        ({"image_size": "64"}, InvalidTypeError, "image_size"),
        ({"labels": np.ones((5, 9, 9), np.uint8)}, InvalidInputError, "shape"),
        ({"labels": np.zeros((5, SIZE, SIZE), np.uint8)}, InvalidInputError, "label"),
        ({"labels": 3}, InvalidTypeError, "labels"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_begins(
    session: AnnotationSession, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        session.start_train(**given)
    assert list(session.jobs) == []


def test_a_predictor_has_no_name() -> None:
    with scene(predictor()) as session, pytest.raises(StateError, match="model="):
        session.start_train()


def test_a_long_curve_is_thinned() -> None:
    record = TrainingRecord("decoder", MODEL)
    for step in range(1, 5001):
        record.note(TrainingEvent("step", step, measures={"loss": 1 / step}))
    record.note(TrainingEvent("step", 5008, measures={"loss": float("nan")}))
    steps = [step for step, _ in record.losses]
    assert MOST_POINTS / 2 <= len(steps) <= MOST_POINTS
    assert set(np.diff(steps)) == {16}
    assert record.step == 5008
