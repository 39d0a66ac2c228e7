"""What fine-tuning on ten labelled frames gains, and what it costs elsewhere: mean one-click IoU before and after.

A drawn structure that is no cell is learned from ten frames and measured on others. What the model did well is measured
too: real nuclei (tiles of nuclei_2d) and drawn cells from seeds that no training sees. A click is in the middle of an
object; the candidate that the model thinks best counts. `--data` brings labelled frames of one's own instead.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core import fine_tune, load_model, open_frames, open_labels
from sam2_core.model import SAM2Base
from sam2_core.training.fine_tuning.labelled_frames import LabelledFrames
from sam2_core.training.fine_tuning.validation import ClickValidation
from sam2_core.training.generator import draw_stack, random_nuclei

SIDE = 256
#: Seeds that no training uses.
UNSEEN = 9_100_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("structures", nargs="*", default=["filaments", "vesicles"], help="filaments, vesicles")
    parser.add_argument("--recipe", default="decoder")
    parser.add_argument("--budget", default="5 min")
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--labelled", type=int, default=10, help="frames to learn from")
    parser.add_argument("--held-out", type=int, default=6, help="further frames to measure on")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    return parser.parse_args()


def filaments(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Bright curved threads of 3 to 6 pixels' width on an uneven ground."""
    random = np.random.default_rng((seed, 1))
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number in range(1, 13):
        place, angle, bend = random.uniform(20, SIDE - 20, 2), random.uniform(0, 2 * np.pi), random.normal(0, 0.02)
        line = np.zeros((SIDE, SIDE), bool)
        for _ in range(int(random.integers(60, 130))):
            angle += bend + random.normal(0, 0.03)
            place = place + np.array([np.sin(angle), np.cos(angle)])
            if place.min() < 3 or place.max() > SIDE - 4:
                break
            line[tuple(place.round().astype(int))] = True
        thick = ndimage.distance_transform_edt(~line) < random.uniform(1.5, 3.0) if line.any() else line
        if np.count_nonzero(thick) > 120 and not labels[ndimage.binary_dilation(thick, iterations=2)].any():
            labels[thick] = number
    ground = ndimage.gaussian_filter(random.normal(0, 1, labels.shape), 25) * 400 + 60
    light = ndimage.gaussian_filter((labels > 0) * random.uniform(60, 110), 0.8)
    return _seen(random, ground + light), labels


def vesicles(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Dark-rimmed ellipses filled with the texture that surrounds them, as organelles are in electron microscopy."""
    random = np.random.default_rng((seed, 2))
    labels = np.zeros((SIDE, SIDE), np.uint16)
    y, x = np.mgrid[:SIDE, :SIDE]
    rim = np.zeros(labels.shape, bool)
    for number in range(1, 25):
        cy, cx = random.uniform(20, SIDE - 20, 2)
        long, short, turn = random.uniform(16, 34), random.uniform(9, 15), random.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = (u / long) ** 2 + (v / short) ** 2 < 1
        if not labels[ndimage.binary_dilation(inside, iterations=4)].any():
            labels[inside] = number
            rim |= inside & ~ndimage.binary_erosion(inside, iterations=2)
    texture = ndimage.gaussian_filter(random.normal(0, 1, labels.shape), 2) * 130 + 150
    return _seen(random, ndimage.gaussian_filter(np.where(rim, texture - 85, texture), 0.7)), labels


def _seen(random: np.random.Generator, light: NDArray[Any]) -> NDArray[np.uint8]:
    return (light + random.normal(0, 8, light.shape)).clip(0, 255).astype(np.uint8)


STRUCTURES = {"filaments": filaments, "vesicles": vesicles}


def drawn(structure: str, seeds: range) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    images, labels = zip(*(STRUCTURES[structure](seed) for seed in seeds), strict=True)
    return np.stack(images), np.stack(labels)


def one_click(model: SAM2Base, images: NDArray[Any], labels: NDArray[Any], most: int = 600) -> float:
    """Mean IoU over the objects of all frames."""
    video = LabelledFrames(open_frames(images), open_labels(labels), frozenset(range(len(images))))
    return ClickValidation([video] * len(images), range(len(images)), most).measure(model).iou


def nuclei(folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Four tiles of real nuclei, without slivers."""
    image, labels = (tifffile.imread(folder / "nuclei_2d" / f"{part}.tif") for part in ("image", "labels"))
    cuts = [(slice(top, top + SIDE), slice(left, left + SIDE)) for top in (0, SIDE) for left in (0, SIDE)]
    tiles = np.stack([labels[cut] for cut in cuts])
    for tile in tiles:
        numbers, areas = np.unique(tile, return_counts=True)
        tile[np.isin(tile, numbers[areas < 20])] = 0
    return np.stack([image[cut] for cut in cuts]), tiles


def drawn_cells(count: int = 24) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nuclei, and cells of every kind, as often as the model was trained on them."""
    images, labels = [], []
    for number in range(count):
        random = np.random.default_rng(UNSEEN + number)
        people, look = random_nuclei(random, (SIDE, SIDE)) if number % 2 == 0 else (None, None)
        scene = draw_stack(random, size=(SIDE, SIDE), kind="still", population=people, appearance=look)
        images.append(scene.image[0])
        labels.append(scene.labels[0])
    return np.stack(images), np.stack(labels)


def main() -> None:
    options = arguments()
    elsewhere = {"drawn cells": drawn_cells()}
    if (options.data / "nuclei_2d").is_dir():
        elsewhere["real nuclei"] = nuclei(options.data)
    start: Any = load_model(options.model, device="cpu", precision="fp32")
    before = {name: one_click(start, *frames) for name, frames in elsewhere.items()}
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SAM2_LAB_CACHE"] = cache  # the models of a benchmark are nobody's
        for structure in options.structures:
            held_out = drawn(structure, range(1000, 1000 + options.held_out))
            first = one_click(start, *held_out)
            used = time.process_time()
            tuned = fine_tune(
                *drawn(structure, range(options.labelled)),
                options.recipe,
                options.budget,
                lambda event: (
                    print(event.kind, event.step, dict(event.measures), flush=True)
                    if event.kind == "validation"
                    else None
                ),
                model=options.model,
            )
            used = time.process_time() - used
            last = one_click(tuned.model, *held_out)
            row = {
                "structure": structure,
                "IoU before": round(first, 3),
                "after": round(last, 3),
                "share of the gap closed": round((last - first) / (1 - first), 2),
                "steps": tuned.steps,
                "seconds of clock": round(tuned.seconds),
                "seconds of CPU": round(used),
            }
            for name, frames in elsewhere.items():
                row |= {
                    f"{name} before": round(before[name], 3),
                    f"{name} after": round(one_click(tuned.model, *frames), 3),
                }
            rows.append(row)
            print(row, flush=True)
    notes = {
        "model": options.model,
        "recipe": options.recipe,
        "budget": options.budget,
        "labelled frames": options.labelled,
        "held-out frames": options.held_out,
        "threads": os.environ.get("OMP_NUM_THREADS", "torch's own number"),
        "load of the machine (1 minute)": round(os.getloadavg()[0], 1),
    }
    record.save("fine-tuning", "Fine-tuning on a few labelled frames", rows, notes)


if __name__ == "__main__":
    main()
