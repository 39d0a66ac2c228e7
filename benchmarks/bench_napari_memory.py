"""Memory of the napari window on a stack of 50 GB, beside that on a small one with the same work in it.

Needs napari with a Qt binding and a screen (`xvfb-run -a python benchmarks/bench_napari_memory.py`). The stacks are
zarr arrays of which only the slices in the middle are written; all others are fill values, so the 50 GB are there for
whoever reads them and take no room on the disk. Each stack has a process of its own: it is opened in the dock, clicked
on, looked through from one end to the other, tracked in the middle, shown in three dimensions and closed. What is
reported is the largest resident memory of the window's process in each step, and of the worker's process after it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import record
import zarr
from bench_napari import until
from peak_memory import MIB, Peak

WRITTEN = 16
LOOKED_AT = 60


def drawn(folder: Path, slices: int, side: int) -> tuple[Path, tuple[int, int]]:
    """A stack (z, y, x) with cells in the middle; returns its path and a cell's (x, y) there."""
    from sam2_core.training.generator import draw_stack

    part = draw_stack(3, frames=WRITTEN, size=(256, 256), kind="z")
    tiles = side // 256
    image = np.tile(part.image.astype(np.uint16) * 16, (1, tiles, tiles))
    path = folder / f"{slices} slices.zarr"
    stack = zarr.create_array(
        path, shape=(slices, side, side), chunks=(1, 512, 512), dtype="uint16", fill_value=180,
        dimension_names=("z", "y", "x"),
    )  # fmt: skip
    first = slices // 2 - WRITTEN // 2
    stack[first : first + WRITTEN, : image.shape[1], : image.shape[2]] = image
    middle = part.labels[WRITTEN // 2]
    largest = max(np.unique(middle)[1:], key=lambda one: int((middle == one).sum()))
    y, x = np.argwhere(middle == largest).mean(0).round().astype(int).tolist()
    return path, (x, y)


class Steps:
    """The largest memory in each step, of this process and of those it started."""

    def __init__(self) -> None:
        self._peak = Peak()
        self.found: dict[str, dict[str, int]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._peak.restart()
        yield
        workers = sum(child.memory_info().rss for child in self._peak._process.children(recursive=True))
        self.found[name] = {"window": self._peak.mib(), "worker": round(workers / MIB)}
        print(name, self.found[name], file=sys.stderr, flush=True)


def work(path: Path, x: int, y: int, model: str) -> dict[str, dict[str, int]]:
    """Work on a stack in a window, as a person does."""
    import napari
    from npe2 import PluginManager, PluginManifest

    import sam2_napari.session_folders as folders
    from sam2_core.hooks import Drawn, PromptType, get_plugins

    folders.sessions_folder = lambda: path.parent / "sessions"  # type: ignore[assignment]
    if "sam2-lab" not in PluginManager.instance():
        PluginManager.instance().register(PluginManifest.from_file(Path(folders.__file__).with_name("napari.yaml")))
    steps = Steps()
    with steps.step("window and dock"):
        viewer = napari.Viewer()
        _, dock = viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")
    with steps.step("image shown"):
        dock.open_image(str(path))
        until(lambda: len(viewer.layers) > 0)
    with steps.step("first click answered"):
        dock.start.model.setCurrentIndex(dock.start.model.findData(model))
        dock.start.begin.click()
        until(lambda: dock.annotation is not None)
        annotation = dock.annotation
        session = annotation.session
        middle = session.frame_count // 2
        annotation.go_to_frame(middle)
        point = get_plugins().find(PromptType, "point").contribution
        annotation.draw(point, Drawn("point", middle, True, np.asarray([[x, y]], np.float32)))
        until(lambda: session.objects and session.record(session.objects[0].id, middle) is not None)
    with steps.step(f"looked at {LOOKED_AT} slices from end to end"):
        for frame in np.linspace(0, session.frame_count - 1, LOOKED_AT).astype(int).tolist():
            annotation.go_to_frame(frame)
            until(lambda frame=frame: annotation.frame == frame)
    with steps.step(f"tracked through {WRITTEN - 1} slices"):
        annotation.go_to_frame(middle)
        annotation.propagate(start=middle, count=WRITTEN // 2 - 1)
        until(lambda: any(job.kind == "propagate" and not job.is_active for job in session.jobs))
    with steps.step("three dimensions"):
        viewer.dims.ndisplay = 3
        until(lambda: len(dock.companion.layers) > 0)
        viewer.dims.ndisplay = 2
    with steps.step("closed"):
        dock.close_session()
        until(annotation.closing.done)
    viewer.close()
    return steps.found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=50.0, help="of the large stack")
    parser.add_argument("--side", type=int, default=2048, help="pixels of a slice, each way")
    parser.add_argument("--small-slices", type=int, default=64, help="of the small stack")
    parser.add_argument("--model", default="sam2.1_hiera_micro")
    parser.add_argument("--one", nargs=3, metavar=("PATH", "X", "Y"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        path, x, y = chosen.one
        print(json.dumps(work(Path(path), int(x), int(y), chosen.model)))
        return
    large = round(chosen.gigabytes * 1e9 / (2 * chosen.side**2))
    rows: dict[str, dict[str, Any]] = {}
    notes: dict[str, Any] = {
        "stacks": f"uint16, {chosen.side} x {chosen.side}, chunks of 1 x 512 x 512, {chosen.model}"
    }
    with tempfile.TemporaryDirectory() as folder:
        for slices in (chosen.small_slices, large):
            path, (x, y) = drawn(Path(folder), slices, chosen.side)
            size = f"{slices * 2 * chosen.side**2 / 1e9:.1f} GB"
            notes[f"on the disk, of {size}"] = f"{sum(one.stat().st_size for one in path.rglob('*')) / 1e6:.0f} MB"
            command = [sys.executable, __file__, "--model", chosen.model, "--one", str(path), str(x), str(y)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            for step, found in json.loads(done.stdout.splitlines()[-1]).items():
                row = rows.setdefault(step, {"step": step})
                row |= {f"{process}, {size} (MiB)": memory for process, memory in found.items()}
    record.save("napari-memory", "Memory of the napari window on a large stack", list(rows.values()), notes)


if __name__ == "__main__":
    main()
