"""How long the napari window stands still while the model works, and how long a person waits for it.

Needs napari with a Qt binding and a screen (`xvfb-run -a python benchmarks/bench_napari.py`). A drawn stack is tracked
and encoded by the worker process while the window's event loop ticks; the longest time between two ticks is the stall.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Heartbeat:
    """Measures how late the event loop is."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    def begin(self) -> None:
        self.gaps.clear()
        self._last = time.perf_counter()

    @property
    def report(self) -> str:
        ordered = sorted(self.gaps)
        late = sum(gap > 0.05 for gap in ordered)
        most = ordered[int(0.999 * (len(ordered) - 1))]
        return (
            f"longest {ordered[-1] * 1e3:.0f} ms, 99.9 % within {most * 1e3:.0f} ms, "
            f"{late} of {len(ordered)} ticks later than 50 ms"
        )


def until(happened: Callable[[], Any], seconds: float = 600.0) -> float:
    """Run the event loop until something has happened; returns the seconds it took."""
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    begun = time.perf_counter()
    while not happened():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        if time.perf_counter() - begun > seconds:
            raise TimeoutError(f"it has not happened in {seconds:g} s")
        time.sleep(0.0005)
    return time.perf_counter() - begun


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=200)
    arguments.add_argument("--size", type=int, default=256)
    arguments.add_argument("--objects", type=int, default=3)
    arguments.add_argument("--clicks", type=int, default=20)
    arguments.add_argument("--model", default="sam2.1_hiera_micro")
    arguments.add_argument("--worker", choices=["process", "thread"], default="process")
    chosen = arguments.parse_args()

    import napari
    import numpy as np
    from npe2 import PluginManager, PluginManifest

    import sam2_napari.session_folders as folders
    from sam2_core.hooks import Drawn, PromptType, get_plugins
    from sam2_core.training.generator import draw_stack
    from sam2_napari.dock import AnnotateDock

    place = tempfile.TemporaryDirectory()
    folders.sessions_folder = lambda: Path(place.name)  # type: ignore[assignment]
    if "sam2-lab" not in PluginManager.instance():
        PluginManager.instance().register(PluginManifest.from_file(Path(folders.__file__).with_name("napari.yaml")))
    drawn = draw_stack(3, frames=min(chosen.frames, 16), size=(chosen.size, chosen.size), kind="z")
    # there and back again, so that objects stay
    order = [abs(number % 30 - 15) for number in range(chosen.frames)]
    image, truth = drawn.image[order], drawn.labels[order]
    viewer = napari.Viewer()
    viewer.add_image(image, name="bench", axis_labels=("z", "y", "x"))
    _, dock = viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")
    assert isinstance(dock, AnnotateDock)
    heart = Heartbeat()
    import sam2_napari.start_panel as start_panel

    start_panel.setting = lambda group, name, default=None: chosen.worker if name == "worker" else ""  # type: ignore[assignment]
    dock.start.model.setCurrentIndex(dock.start.model.findData(chosen.model))
    dock.start.begin.click()
    until(lambda: dock.annotation is not None)
    annotation = dock.annotation
    assert annotation is not None
    session = annotation.session
    viewer.dims.set_point(0, 0)
    point = get_plugins().find(PromptType, "point").contribution
    ids = np.unique(truth[0])[1:][: chosen.objects]
    middles = [np.argwhere(truth[0] == one).mean(0)[::-1] for one in ids]

    def click(middle: Any) -> float:
        before = len(session.objects)
        annotation.select(None)
        begun = time.perf_counter()
        annotation.draw(point, Drawn("point", 0, True, np.asarray([middle], np.float32)))
        until(lambda: len(session.objects) > before and session.record(session.objects[-1].id, 0) is not None)
        until(lambda: session.objects[-1].id in annotation.layer._slice.image.raw)
        return time.perf_counter() - begun

    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{chosen.frames} frames of {chosen.size} x {chosen.size}")

    def take_back() -> None:
        """Undo a click; the next one on the same cell would lie under its mask."""
        before = len(session.objects)
        annotation.undo()
        until(lambda: len(session.objects) < before)

    print(f"first click, model loaded with it: {click(middles[0]):.1f} s", flush=True)
    take_back()
    waits = []
    for number in range(chosen.clicks):
        waits.append(click(middles[number % len(middles)]))
        take_back()
    ordered = sorted(waits)
    print(
        f"click to mask on the screen, warm: 50 % within {statistics.median(ordered) * 1e3:.0f} ms, "
        f"95 % within {ordered[int(0.95 * (len(ordered) - 1))] * 1e3:.0f} ms ({len(ordered)} clicks)"
    )
    for middle in middles:
        click(middle)

    heart.begin()
    annotation.work.do(lambda: session.start_encode(list(range(chosen.frames))))
    annotation.propagate()
    until(lambda: any(job.kind == "propagate" and job.done > 3 for job in session.jobs))
    begun = time.perf_counter()
    until(lambda: not any(job.kind == "propagate" and job.is_active for job in session.jobs), 3600)
    print(f"tracking {chosen.frames} frames beside encoding: {time.perf_counter() - begun:.0f} s")
    print(f"window meanwhile: {heart.report}")

    annotation.propagate()
    until(lambda: any(job.kind == "propagate" and job.is_active and job.done > 2 for job in session.jobs))
    changes: list[float] = []
    session.changed.connect(lambda _: changes.append(time.perf_counter()))
    begun = time.perf_counter()
    annotation.cancel()
    acknowledged = time.perf_counter() - begun
    until(lambda: time.perf_counter() - begun > 2)
    last = max([one - begun for one in changes], default=0.0)
    print(
        f"cancel: acknowledged after {acknowledged * 1e3:.0f} ms, "
        f"last change applied after {max(0.0, last) * 1e3:.0f} ms"
    )
    dock.close_session()
    viewer.close()


if __name__ == "__main__":
    main()
