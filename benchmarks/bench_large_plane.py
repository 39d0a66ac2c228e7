"""A 20,000 x 20,000 plane in bounded memory: clicks all over it, and everything in a part of it.

The plane is drawn chunk by chunk into a zarr store and never lies in memory. What clicks give is compared with what was
drawn. Peak memory is that of this process, with and without the model and the libraries it starts with.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
import zarr
from peak_memory import MIB, Peak
from scipy import ndimage

from sam2_core import load_model
from sam2_core.inference.tile_everything import TiledMaskGenerator
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.training.generator import Population, draw_labels
from sam2_core.training.generator.stacks import place_cells
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames

CHUNK = 1000
CELLS = Population(radius=16, spread=0.2, elongation=1.5, rods=0.0, waviness=0.04, gap=1.2, count=60)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--side", type=int, default=20_000, help="of the plane, a multiple of 1000")
    parser.add_argument("--dtype", default="uint16", choices=["uint8", "uint16"])
    parser.add_argument("--clicks", type=int, default=48)
    parser.add_argument("--everything", type=int, default=512, help="side of the part in which everything is segmented")
    parser.add_argument("--points-per-side", type=int, default=12, help="grid of each tile")
    parser.add_argument("--budget", type=float, default=200, help="MB of tiles kept open")
    parser.add_argument("--folder", type=Path, help="where the plane is drawn; a temporary folder by default")
    return parser.parse_args()


def drawn_chunk(row: int, column: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """One chunk of the plane, with dim and bright cells, and its labels; the same whenever it is asked for."""
    labels = draw_labels(
        place_cells(np.random.default_rng((row, column)), CELLS, (CHUNK, CHUNK)), (CHUNK, CHUNK)
    ).labels
    random = np.random.default_rng((7, row, column))
    blurred = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1.5)
    light = 20 + 150 * blurred + random.normal(0, 6, blurred.shape).astype(np.float32)
    if dtype == "uint16":
        return (100 + 40 * light.clip(0, 255)).astype(np.uint16), labels
    return light.clip(0, 255).astype(np.uint8), labels


def draw(folder: Path, side: int, dtype: str) -> Any:
    """The plane as a zarr array (1, y, x), written chunk by chunk."""
    plane = zarr.create_array(folder / "plane.zarr", shape=(1, side, side), chunks=(1, CHUNK, CHUNK), dtype=dtype)
    for row in range(side // CHUNK):
        for column in range(side // CHUNK):
            rows, columns = (slice(start * CHUNK, (start + 1) * CHUNK) for start in (row, column))
            plane[0, rows, columns] = drawn_chunk(row, column, dtype)[0]
    return plane


def opened(plane: Any, dtype: str) -> FrameStack:
    """The plane as a stack, contrast as a person would set it; its own sample would do as well."""
    return open_frames(plane, contrast=(900.0, 7500.0) if dtype == "uint16" else None)


def clicks(count: int, side: int, dtype: str) -> list[tuple[list[float], int, tuple[int, int]]]:
    """Middles of cells spread over the plane, with their label and chunk."""
    random = np.random.default_rng(3)
    chosen = []
    while len(chosen) < count:
        row, column = (int(value) for value in random.integers(0, side // CHUNK, 2))
        labels = drawn_chunk(row, column, dtype)[1]
        label = int(random.integers(1, labels.max() + 1))
        if (labels == label).sum() < 200:
            continue
        depth = ndimage.distance_transform_edt(np.pad(labels == label, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        chosen.append(([column * CHUNK + float(x) + 0.5, row * CHUNK + float(y) + 0.5], label, (row, column)))
    return chosen


def main() -> None:
    options = arguments()
    side = options.side
    predictor = load_model(options.model, overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"])
    assert isinstance(predictor, SAM2VideoPredictor)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        start = time.perf_counter()
        plane = draw(Path(folder), side, options.dtype)
        drawing = time.perf_counter() - start
        stack = opened(plane, options.dtype)
        peak = Peak()
        before = peak.mib()
        rows = []

        tracker = TiledTracker(predictor, memory_budget_bytes=int(options.budget * 1e6))
        state = tracker.init_state(stack)
        grid = state.grid
        found, seconds = [], []
        for number, (point, label, (row, column)) in enumerate(clicks(options.clicks, side, options.dtype), start=1):
            start = time.perf_counter()
            mask = tracker.prompt_points(state, 0, number, [point], [1])[number]
            seconds.append(time.perf_counter() - start)
            chunk = Window(row * CHUNK, column * CHUNK, (row + 1) * CHUNK, (column + 1) * CHUNK)
            truth = drawn_chunk(row, column, options.dtype)[1] == label
            pixels = mask.pixels_in(chunk)
            found.append((pixels & truth).sum() / max(1, (pixels | truth).sum()))
        rows.append(
            {
                "work": f"{options.clicks} clicks all over the plane",
                "seconds": round(sum(seconds), 1),
                "ms each (median)": round(1000 * float(np.median(seconds))),
                "mean IoU with what was drawn": round(float(np.mean(found)), 3),
                "peak MiB": peak.mib(),
                "peak MiB beyond start": peak.mib() - before,
            }
        )
        print(rows[-1], flush=True)
        state.close()

        peak.restart()
        start = time.perf_counter()
        corner = side // 2 // CHUNK * CHUNK
        part = Window(corner, corner, corner + options.everything, corner + options.everything)
        generator = TiledMaskGenerator(
            tracker, points_per_side=options.points_per_side, pred_iou_thresh=0.5, stability_score_thresh=0.6
        )
        tiles = list(generator.generate(stack, within=part))
        objects = [found for tile in tiles for found in tile.objects]
        rows.append(
            {
                "work": f"everything in {part.size[0]} x {part.size[1]}: {len(objects)} objects in {len(tiles)} tiles",
                "seconds": round(time.perf_counter() - start, 1),
                "peak MiB": peak.mib(),
                "peak MiB beyond start": peak.mib() - before,
            }
        )
        print(rows[-1], flush=True)
        peak.close()
    notes = {
        "model": f"{options.model}, {predictor.input_size[0]} px, {predictor.device}",
        "plane": f"{side} x {side} {options.dtype}, {side * side * np.dtype(options.dtype).itemsize / MIB:.0f} MiB, "
        f"zarr chunks of {CHUNK} x {CHUNK}, drawn in {drawing:.0f} s",
        "grid": repr(grid),
        "tiles kept open": f"{options.budget:g} MB",
        "memory at the start, model and libraries": f"{before} MiB",
        "threads": torch.get_num_threads(),
    }
    record.save("large-plane", "A large plane in bounded memory", rows, notes)


if __name__ == "__main__":
    main()
