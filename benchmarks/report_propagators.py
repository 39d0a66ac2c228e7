"""Propagators side by side on ../shared/data/nuclei_3d: a click on each nucleus in its middle slice, tracked both ways.

Prints, for each propagator, the IoU of whole nuclei and the processor time of tracking. Those of plugins have to be
installed: `pip install ./sam2_plugins/motion-aware ./sam2_plugins/memory-tree`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from report_nuclei_3d import centre, figures, middles

from sam2_core import load_model, open_volume
from sam2_core.checkpoints.build import VIDEO_POSTPROCESSING
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.frame_stack import FrameStack


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--every", type=int, default=1, help="take each n-th nucleus only")
    parser.add_argument("--propagators", nargs="+", default=["both", "motion-aware", "memory-tree"])
    return parser.parse_args()


def tracked(
    predictor: SAM2VideoPredictor, frames: FrameStack, labels: NDArray[Any], middle: dict[int, int], propagator: str
) -> tuple[dict[int, NDArray[np.bool_]], float]:
    """The nuclei's masks, and the seconds of processor time that tracking took."""
    state = predictor.init_state(frames)
    for number, index in middle.items():
        predictor.prompt_points(state, index, number, [centre(labels[index] == number)], [1])
    found = {number: np.zeros(labels.shape, np.bool_) for number in middle}
    begun = time.process_time()
    for number, index in middle.items():
        for masks in predictor.propagate(state, index, objects=[number], propagator=propagator):
            found[number][masks.frame_index] = masks.masks[0].cpu().numpy()
    seconds = time.process_time() - begun
    state.close()
    return found, seconds


def main() -> None:
    options = arguments()
    target = "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"
    predictor = load_model(options.model, overrides=[target, *VIDEO_POSTPROCESSING])
    labels = tifffile.imread(options.data / "nuclei_3d" / "labels.tif")
    middle = middles(labels, options.every)
    for propagator in options.propagators:
        with open_volume(options.data / "nuclei_3d" / "image.tif", axes="zyx").stack("z") as frames:
            found, seconds = tracked(predictor, frames, labels, middle, propagator)
        print(propagator, figures(found, labels, middle), f"{seconds:.1f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
