"""One click on each nucleus of ../shared/data/nuclei_3d, in its middle slice: IoU of that slice and of all of it.

The slice alone says what the model makes of a click; what the whole nucleus has less is lost in tracking. Prints, for
the exact way and for the crop preset, both figures and the slices that were found beyond the nucleus's two ends.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from bench_crops import centre, iou
from numpy.typing import NDArray

from sam2_core import load_model
from sam2_core.checkpoints.build import VIDEO_POSTPROCESSING
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.readers import open_volume

Found = dict[int, NDArray[np.bool_]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--image-size", type=int, help="side of the model's input")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--every", type=int, default=1, help="take each n-th nucleus only")
    parser.add_argument("--only", nargs="+", choices=["exact", "crops"], default=["exact", "crops"])
    parser.add_argument("--keep", type=Path, help="folder for the masks that were found, as NAME.npz")
    return parser.parse_args()


def middles(labels: NDArray[Any], every: int) -> dict[int, int]:
    """The middle slice of each nucleus."""
    slices = {int(number): np.flatnonzero((labels == number).any(axis=(1, 2))) for number in np.unique(labels)[1:]}
    return {number: int(where[len(where) // 2]) for number, where in list(slices.items())[::every]}


def exact(predictor: SAM2VideoPredictor, frames: FrameStack, labels: NDArray[Any], middle: dict[int, int]) -> Found:
    """Whole frames, as `sam2 track` does: one state, and for each nucleus both ways from its click."""
    state = predictor.init_state(frames)
    for number, index in middle.items():
        predictor.prompt_points(state, index, number, [centre(labels[index] == number)], [1])
    found = {number: np.zeros(labels.shape, np.bool_) for number in middle}
    for number, index in middle.items():
        for masks in predictor.propagate(state, index, direction="both", objects=[number]):
            found[number][masks.frame_index] = masks.masks[0].cpu().numpy()
    state.close()
    return found


def crops(predictor: SAM2VideoPredictor, frames: FrameStack, labels: NDArray[Any], middle: dict[int, int]) -> Found:
    """A window around each nucleus."""
    tracker = CropTracker(predictor)
    found = {number: np.zeros(labels.shape, np.bool_) for number in middle}
    for number, index in middle.items():
        for reverse in (False, True):
            state = tracker.init_state(frames)
            tracker.prompt_points(state, index, number, [centre(labels[index] == number)], [1])
            for masks in tracker.propagate(state, index, reverse=reverse):
                found[number][masks.frame_index] = masks.masks_in()[0]
            state.close()
    return found


def figures(found: Found, labels: NDArray[Any], middle: dict[int, int]) -> dict[str, float]:
    """Mean IoU of middle slices, of the slices that the nucleus has, and of whole nuclei."""
    flat, within, whole, beyond = [], [], [], []
    for number, index in middle.items():
        truth = labels == number
        slices = truth.any(axis=(1, 2))
        flat.append(iou(found[number][index], truth[index]))
        within.append(iou(found[number][slices], truth[slices]))
        whole.append(iou(found[number], truth))
        beyond.append(np.count_nonzero(found[number].any(axis=(1, 2)) & ~slices))
    return {
        "nuclei": len(middle),
        "IoU, middle slice": round(float(np.mean(flat)), 3),
        "IoU, between its ends": round(float(np.mean(within)), 3),
        "IoU, whole": round(float(np.mean(whole)), 3),
        "median IoU, whole": round(float(np.median(whole)), 3),
        "slices beyond its ends": round(float(np.mean(beyond)), 1),
    }


def main() -> None:
    options = arguments()
    image, labels = (tifffile.imread(options.data / "nuclei_3d" / f"{name}.tif") for name in ("image", "labels"))
    target = "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"
    predictor = load_model(options.model, overrides=[target, *VIDEO_POSTPROCESSING], image_size=options.image_size)
    assert isinstance(predictor, SAM2VideoPredictor)
    frames = open_volume(image, axes="zyx").stack()
    middle = middles(labels, options.every)
    for name, way in {"exact": exact, "crops": crops}.items():
        if name not in options.only:
            continue
        start = time.perf_counter()
        found = way(predictor, frames, labels, middle)
        print(
            {"way": name, **figures(found, labels, middle), "seconds": round(time.perf_counter() - start)}, flush=True
        )
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(options.keep / f"{name}.npz", **{str(number): mask for number, mask in found.items()})


if __name__ == "__main__":
    main()
