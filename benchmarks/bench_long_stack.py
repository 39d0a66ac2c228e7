"""Stacks that are long, and stacks with many objects: what a frame takes, and what memory does meanwhile.

`long`: a 3,000-frame 1024 x 1024 zarr stack, a few objects through all of it. `many`: 200 objects through 300 frames.
`cold`: the time from starting Python to the first mask on the long stack. The stacks are drawn: cells that drift on
dark ground; many objects share 25 of them, each with a click of its own. Memory is the largest of this process, in
the ten frames up to frame 50 and after that.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
import zarr
from peak_memory import Peak

from sam2_core import load_model, open_volume
from sam2_core.inference.video_predictor import SAM2VideoPredictor

SETTLED = 50  # from this frame on memory may not grow
WATCHED = (
    10  # frames up to there whose largest memory is what later ones are compared with: a frame's own comes and goes
)

FIRST_MASK = """
import sys, time
start = time.perf_counter()
from sam2_core import load_model, open_volume
imported = time.perf_counter()
model = load_model(sys.argv[2], overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"])
loaded = time.perf_counter()
stack = open_volume(sys.argv[1]).stack("z")
state = model.init_state(stack)
opened = time.perf_counter()
found = model.prompt_points(state, len(stack) // 2, 1, [[float(sys.argv[3]), float(sys.argv[4])]], [1])
done = time.perf_counter()
print(loaded - start, opened - loaded, done - opened, done - start, int(found.masks.sum()))
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("work", nargs="*", default=["long", "many", "cold"], help="long, many, cold")
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--frames", type=int, default=3000, help="of the long stack")
    parser.add_argument("--side", type=int, default=1024, help="of the long stack's frames")
    parser.add_argument("--objects", type=int, default=200, help="of the stack with many")
    parser.add_argument("--many-frames", type=int, default=300)
    parser.add_argument("--many-image-size", type=int, default=128, help="model input for the stack with many")
    parser.add_argument("--objects-at-once", type=int, default=16, help="of the stack with many, as one batch")
    parser.add_argument("--folder", type=Path, help="where stacks are drawn; a temporary folder by default")
    return parser.parse_args()


class Drifting:
    """Round cells on a grid, each drifting around its own place: frame and centres at any time."""

    def __init__(self, side: int, cells_per_side: int, radius: float) -> None:
        self.side, self.radius = side, radius
        step = side / cells_per_side
        places = (np.arange(cells_per_side) + 0.5) * step
        self._homes = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
        self._reach = max(0.0, step / 2 - 1.3 * radius)
        generator = np.random.default_rng(0)
        self._phase = generator.uniform(0, 2 * np.pi, self._homes.shape)
        self._speed = generator.uniform(0.005, 0.02, self._homes.shape)
        self._noise = generator.integers(0, 12, (side, side)).astype(np.uint8)

    def centres(self, frame: int) -> np.ndarray:
        """(cell, (x, y)) in pixels."""
        return np.asarray(self._homes + self._reach * np.sin(self._phase + self._speed * frame))

    def draw(self, frame: int) -> np.ndarray:
        """(y, x) uint8."""
        picture = self._noise.copy()
        reach = int(np.ceil(self.radius)) + 1
        for x, y in self.centres(frame):
            left, top = int(x) - reach, int(y) - reach
            rows, columns = np.ogrid[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
            depth = 1 - ((rows - y) ** 2 + (columns - x) ** 2) / self.radius**2
            window = picture[max(0, top) : top + 2 * reach + 1, max(0, left) : left + 2 * reach + 1]
            spot = (60 + 120 * depth.clip(0, 1)) * (depth > 0)
            spot = spot[max(0, -top) :, max(0, -left) :][: window.shape[0], : window.shape[1]]
            np.maximum(window, spot.astype(np.uint8), out=window)
        return picture

    def truth(self, frame: int, cell: int) -> np.ndarray:
        """(y, x) bool."""
        x, y = self.centres(frame)[cell]
        rows, columns = np.ogrid[: self.side, : self.side]
        return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < self.radius**2)


def write(path: Path, scene: Drifting, frames: int) -> None:
    """Write an OME-Zarr image, frame by frame."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    side = scene.side
    array = group.create_array(
        "0", shape=(frames, side, side), chunks=(1, side, side), dtype="uint8", dimension_names=("z", "y", "x")
    )
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 0.2, 0.2]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    for frame in range(frames):
        array[frame] = scene.draw(frame)


def track(
    predictor: SAM2VideoPredictor, path: Path, scene: Drifting, cells: list[int], name: str, checked: int
) -> dict[str, Any]:
    """Click on cells in the first frame and follow them, each click an object; IoU on every `checked`-th frame."""
    aside = np.random.default_rng(1).uniform(-0.3, 0.3, (len(cells), 2)) * scene.radius
    aside[: len(set(cells))] = 0
    with open_volume(path).stack("z") as stack:
        state = predictor.init_state(stack, async_loading_frames=True)
        for number, cell in enumerate(cells):
            click = scene.centres(0)[cell] + aside[number]
            predictor.prompt_points(state, 0, number, [click.tolist()], [1], others=False)
        peak = Peak()
        settled, ious = 0, []
        start = time.perf_counter()
        for result in predictor.propagate(state, stop_when_empty=None):
            frame = result.frame_index
            if frame == SETTLED - WATCHED:
                peak.restart()
            if frame == SETTLED:
                settled = peak.mib()
                peak.restart()
            if frame % checked == 0:
                masks = result.masks.numpy()
                for row, cell in enumerate(cells):
                    truth = scene.truth(frame, cell)
                    ious.append((masks[row] & truth).sum() / (masks[row] | truth).sum())
                print(f"{name}: frame {frame}, {time.perf_counter() - start:.0f} s, {peak.mib()} MiB", flush=True)
        seconds = time.perf_counter() - start
        greatest = peak.mib()
        peak.close()
        state.close()
    return {
        "work": f"{name}: {len(cells)} objects, {len(stack)} frames of {scene.side} x {scene.side}",
        "seconds": round(seconds, 1),
        "ms a frame": round(1000 * seconds / len(stack), 1),
        "ms a frame and object": round(1000 * seconds / len(stack) / len(cells), 2),
        f"largest MiB, frames {SETTLED - WATCHED} to {SETTLED}": settled,
        "largest MiB after that": greatest,
        "growth MiB": greatest - settled,
        "mean IoU": round(float(np.mean(ious)), 3),
    }


def first_mask(model: str, path: Path, scene: Drifting, frames: int) -> dict[str, Any]:
    """Time a new process to its first mask, files not in the page cache where that can be arranged."""
    is_cold = False
    with contextlib.suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        is_cold = True
    x, y = scene.centres(frames // 2)[0]
    command = [sys.executable, "-c", FIRST_MASK, str(path), model, str(x), str(y)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    whole = time.perf_counter() - start
    loading, opening, answering, _, area = (float(number) for number in done.stdout.split())
    assert area > 0
    return {
        "work": f"first mask in a new process, page cache {'dropped' if is_cold else 'as it was'}",
        "seconds": round(whole, 2),
        "of these, imports and model": round(loading, 2),
        "opening the stack": round(opening, 2),
        "click to mask": round(answering, 2),
    }


def main() -> None:
    options = arguments()
    overrides = ["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"]
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if {"long", "cold"} & set(options.work):
            path, scene = Path(folder) / "long.zarr", Drifting(options.side, 5, options.side / 20)
            write(path, scene, options.frames)
            if "cold" in options.work:
                rows.append(first_mask(options.model, path, scene, options.frames))
            if "long" in options.work:
                predictor = load_model(options.model, overrides=overrides)
                rows.append(track(predictor, path, scene, [0, 7, 12], "long", 100))
        if "many" in options.work:
            path, scene = Path(folder) / "many.zarr", Drifting(512, 5, 512 / 20)
            write(path, scene, options.many_frames)
            predictor = load_model(options.model, image_size=options.many_image_size, overrides=overrides)
            # a small input leaves a CPU idle between an object's operations
            predictor.max_objects_per_batch = options.objects_at_once
            rows.append(track(predictor, path, scene, [number % 25 for number in range(options.objects)], "many", 25))
    notes = {
        "model": options.model,
        "threads": torch.get_num_threads(),
        "input of the stack with many": options.many_image_size,
        "objects at once there": options.objects_at_once,
    }
    record.save("long-stack", "Long stacks and many objects in bounded memory", rows, notes)


if __name__ == "__main__":
    main()
