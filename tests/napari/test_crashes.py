"""What dies in the middle of the work: the worker, the device's memory, the window, the whole process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.hooks import Drawn, PromptType, get_plugins
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.worker import model_choice
from sam2_napari import session_folders
from tests.napari.hand import until
from tests.napari.scene import CELLS, FRAMES, MANIFEST, cells, micro_model, opened_dock

MODEL = "sam2.1_hiera_micro"

#: Begins a session as the dock does, works in it, and is killed.
KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from napari.layers import Image
from sam2_napari.frame_placement import FramePlacement
from sam2_napari.session_start import SessionRequest, open_session

folder, described = Path(sys.argv[1]), json.loads(sys.argv[2])
image = Image(np.load(sys.argv[3]), name=described["name"])
placement = FramePlacement.of(
    described["axes"], described["shape"], along=described["along"], plane=described["plane"], at=described["at"]
)
session = open_session(SessionRequest(image, placement, None, None, "process", described, folder), print)
session.paint(session.add_object("kept").id, 1, np.load(sys.argv[3])[1] > 99)
os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""


@pytest.fixture(scope="module")
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    micro_model()  # skips where it is not there
    made = AnnotateDock(ViewerModel())
    yield made
    made.close_session()
    made.deleteLater()


@pytest.fixture(autouse=True)
def _clean(dock: Any) -> Iterator[None]:
    yield
    dock.close_session()
    dock.viewer.layers.clear()


def begun(dock: Any, worker: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: worker if name == "worker" else "")
    dock.viewer.add_image(cells(), name="image", axis_labels=("z", "y", "x"))
    dock.start.model.setCurrentIndex(dock.start.model.findData(MODEL))
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock.annotation


def click(annotation: Any) -> None:
    point = get_plugins().find(PromptType, "point").contribution
    annotation.draw(point, Drawn("point", 0, True, np.array([CELLS[0]], np.float32)))
    # a process of its own imports the network first
    until(lambda: [row.frames for row in annotation.rows] == [1], 400)


def tracking(annotation: Any) -> Any:
    """A propagation that has begun."""
    annotation.propagate()
    until(lambda: any(job.kind == "propagate" and job.done > 0 for job in annotation.session.jobs), 400)
    return next(job for job in annotation.session.jobs if job.kind == "propagate")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_worker_that_is_killed_while_it_tracks_is_replaced(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    annotation = begun(dock, "process", monkeypatch)
    click(annotation)
    process = annotation.session.runner._link.process_id
    job = tracking(annotation)
    os.kill(process, signal.SIGKILL)
    until(lambda: not job.is_active, 400)
    assert job.error is None
    until(lambda: [row.frames for row in annotation.rows] == [FRAMES], why=lambda: dock.status.text())


def test_a_gpu_without_memory_is_told_and_the_cpu_goes_on(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = model_choice.opened_predictor

    def opened(model: Any, device: str | None = None) -> Any:
        if device is None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(model, device)

    monkeypatch.setattr(model_choice, "opened_predictor", opened)
    annotation, said = begun(dock, "thread", monkeypatch), []
    annotation.said.connect(lambda text, is_wrong: said.append((text, is_wrong)))
    click(annotation)
    until(lambda: any("Memory ran out on the GPU" in text and is_wrong for text, is_wrong in said))
    assert annotation.session.worker_options["device"] == "cpu"


def test_a_viewer_that_is_closed_while_it_tracks_loses_nothing(
    display: None, qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    qapp.processEvents()
    annotation = begun(opened_dock(viewer), "process", monkeypatch)
    session = annotation.session
    folder, stack = session.folder, session.stack
    click(annotation)
    tracking(annotation)
    viewer.close()
    until(lambda: annotation.closing is not None and annotation.closing.done())
    with AnnotationSession.open(folder, stack) as again:
        assert again.mask(1, 0)[CELLS[0][1], CELLS[0][0]]
        # what was found until then stays, as one step
        assert len(again.masked_frames(1)) >= 1


def test_after_a_crash_the_session_is_offered_again(dock: Any, tmp_path: Any) -> None:
    image = cells(3)
    np.save(tmp_path / "image.npy", image)
    dock.viewer.add_image(image, name="crashed", axis_labels=("z", "y", "x"))
    described = dock.start._description(dock.start.placement())
    folder = session_folders.sessions_folder() / "crashed"
    command = [sys.executable, "-c", KILLED, str(folder), json.dumps(described), str(tmp_path / "image.npy")]
    done = subprocess.run(command, cwd=MANIFEST.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr

    dock.start.list_sessions()
    until(lambda: dock.start.session.currentData() == folder, why=lambda: done.stderr)
    dock.start.model.setCurrentIndex(dock.start.model.findData(MODEL))
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    until(lambda: [row.name for row in dock.annotation.rows] == ["kept"])
    np.testing.assert_array_equal(dock.annotation.session.mask(1, 1), image[1] > 99)
