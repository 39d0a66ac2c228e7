"""Object-centred crops beside the exact way: IoU and time, on the microscopy samples in ../shared/data.

Each nucleus gets one click in its middle. Still nuclei are segmented in the four quarters of nuclei_2d; nuclei_3d is
tracked both ways from the middle slice of each nucleus; of embryo_timelapse, which has no truth, a picture is saved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
import tifffile
import torch
from PIL import Image
from scipy import ndimage
from skimage.segmentation import find_boundaries

from sam2_core import load_model
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor

QUARTER = 256
# Slivers that a cut leaves of a nucleus are not something to click on (as in tests/real_nuclei.py).
SMALLEST_AREA = 20
MIDDLE_SLICES = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 3, 1 / 6], help="share of a crop objects span")
    parser.add_argument("--every", type=int, default=1, help="take each n-th nucleus only")
    parser.add_argument("--only", nargs="+", choices=["2d", "3d", "embryo"], default=["2d", "3d", "embryo"])
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the embryo's nuclei")
    return parser.parse_args()


def trackers(predictor: SAM2VideoPredictor, shares: list[float]) -> dict[str, Any]:
    """The ways to compare, by name."""
    ways: dict[str, Any] = {"exact": TiledTracker(predictor)}
    for share in shares:
        ways[f"crops, share {share:.2f}"] = CropTracker(predictor, share=share)
    return ways


def centre(mask: np.ndarray) -> list[float]:
    """(x, y) of the pixel of a mask farthest from its border; it goes on beyond the frame's edge."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return [float(x), float(y)]


def iou(first: np.ndarray, second: np.ndarray) -> float:
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def measured(found: list[float], seconds: float, frames: int) -> dict[str, Any]:
    values = np.array(found)
    return {
        "objects": len(values),
        "mean IoU": round(float(values.mean()), 3),
        "median IoU": round(float(np.median(values)), 3),
        "above 0.5": round(float((values > 0.5).mean()), 2),
        "seconds": round(seconds, 1),
        "ms for each object and frame": round(1000 * seconds / max(1, len(values) * frames), 1),
    }


def still(way: Any, folder: Path, every: int) -> dict[str, Any]:
    """nuclei_2d: one click on each nucleus."""
    image, labels = tifffile.imread(folder / "image.tif"), tifffile.imread(folder / "labels.tif")
    found: list[float] = []
    start = time.perf_counter()
    for top in range(0, image.shape[0], QUARTER):
        for left in range(0, image.shape[1], QUARTER):
            cut = (slice(top, top + QUARTER), slice(left, left + QUARTER))
            numbers, areas = np.unique(labels[cut], return_counts=True)
            chosen = [n for n, area in zip(numbers, areas, strict=True) if n and area >= SMALLEST_AREA][::every]
            state = way.init_state(image[cut][None])
            for number in chosen:
                truth = labels[cut] == number
                # one state for all, so that what can be shared is shared; each is compared as it was clicked
                masks = way.prompt_points(state, 0, int(number), [centre(truth)], [1])
                found.append(iou(masks.masks_in()[masks.object_ids.index(int(number))], truth))
            state.close()
    return measured(found, time.perf_counter() - start, 1)


def stack(way: Any, folder: Path, every: int) -> dict[str, Any]:
    """nuclei_3d: one click in each nucleus's middle slice, both ways."""
    image, labels = tifffile.imread(folder / "image.tif"), tifffile.imread(folder / "labels.tif")
    numbers = [int(number) for number in np.unique(labels)[1:][::every]]
    by_middle: dict[int, list[int]] = {}
    for number in numbers:
        slices = np.flatnonzero((labels == number).any(axis=(1, 2)))
        by_middle.setdefault(int(slices[len(slices) // 2]), []).append(number)
    found: list[float] = []
    start = time.perf_counter()
    for middle, group in by_middle.items():
        # objects that start on the same slice are computed as one batch
        volumes = {number: np.zeros(labels.shape, dtype=np.bool_) for number in group}
        state = way.init_state(image)
        for number in group:
            way.prompt_points(state, middle, number, [centre(labels[middle] == number)], [1])
        for reverse in (False, True):
            for masks in way.propagate(state, middle, reverse=reverse):
                for number, pixels in zip(masks.object_ids, masks.masks_in(), strict=True):
                    volumes[int(number)][masks.frame_index] = pixels
        found += [iou(volumes[number], labels == number) for number in group]
        state.close()
    return measured(found, time.perf_counter() - start, len(image))


def embryo(way: Any, folder: Path, name: str, pictures: Path | None, every: int) -> dict[str, Any]:
    """embryo_timelapse: bright nuclei of the first frame, tracked to the last; a picture of some frames."""
    frames = np.stack([tifffile.imread(path) for path in sorted(folder.glob("frame_*.tif"))])
    # nuclei are bright over 30 pixels or so; the specks between them are not
    green = ndimage.gaussian_filter(frames[0][..., 1].astype(float), 6)
    peaks = (green == ndimage.maximum_filter(green, 31)) & (green > np.percentile(green, 92))
    clicks = [[float(x), float(y)] for y, x in np.argwhere(peaks)][::every]
    start = time.perf_counter()
    state = way.init_state(frames)
    for number, click in enumerate(clicks, start=1):
        way.prompt_points(state, 0, number, [click], [1])
    shown, alive = [], 0
    for masks in way.propagate(state, 0):
        alive = sum(bool(found.window.area) for found in masks.objects)
        if masks.frame_index % 10 == 0:
            shown.append(overlay(frames[masks.frame_index], masks.labels_in()))
    seconds = time.perf_counter() - start
    state.close()
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(np.vstack(shown))
        picture.resize((2 * picture.width, 2 * picture.height)).save(pictures / f"embryo {name}.png")
    return {
        "objects": len(clicks),
        "still found on the last frame": alive,
        "seconds": round(seconds, 1),
        "ms for each object and frame": round(1000 * seconds / (len(clicks) * len(frames)), 1),
    }


def overlay(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The picture with the outline of each object in a colour of its own."""
    colours = np.random.default_rng(0).integers(90, 256, (int(labels.max()) + 1, 3))
    shown = picture.copy()
    edges = find_boundaries(labels, mode="inner")
    shown[edges] = colours[labels[edges]]
    return shown


def main() -> None:
    options = arguments()
    target = "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"
    predictor = load_model(options.model, overrides=[target])
    assert isinstance(predictor, SAM2VideoPredictor)
    parts: dict[str, Callable[[str, Any], dict[str, Any]]] = {
        "2d": lambda _, way: still(way, options.data / "nuclei_2d", options.every),
        "3d": lambda _, way: stack(way, options.data / "nuclei_3d", options.every),
        "embryo": lambda name, way: embryo(
            way, options.data / "embryo_timelapse", name, options.pictures, options.every
        ),
    }
    rows = []
    for part in options.only:
        for name, way in trackers(predictor, options.shares).items():
            row = {"sample": part, "way": name, **parts[part](name, way)}
            print(row, flush=True)
            rows.append(row)
    notes = {
        "model": f"{options.model}, {predictor.input_size[0]} px, {predictor.device}",
        "nuclei": "all" if options.every == 1 else f"each {options.every}th",
        "threads": torch.get_num_threads(),
    }
    record.save("crops", "Object-centred crops beside the exact way", rows, notes)


if __name__ == "__main__":
    main()
