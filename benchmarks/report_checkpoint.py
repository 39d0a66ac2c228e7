"""What a checkpoint can do, for its card: drawn stacks it has not seen, real nuclei, cells that move.

- J&F on drawn stacks of 8 frames, over all but the prompted one: up to six objects of the first frame, given as a mask,
  or by one click in their middle.
- IoU after 1 to 4 clicks on the nuclei of ../shared/data/nuclei_2d, in its four quarters (contrast from percentiles 1
  and 99.8); clicks as `sam2_core.evaluation.click_iou` places them.
- One round cell alone in 9 frames, clicked in the middle one and followed both ways by a crop around it, in 8
  directions: mean IoU of the other frames when it moves by 0.3, 0.5 and 0.72 of its width a frame.

`report_nuclei_3d.py` has the nuclei in slices.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import record
import tifffile
from bench_crops import QUARTER, SMALLEST_AREA, iou
from scipy import ndimage

from sam2_core import load_model
from sam2_core.checkpoints.build import VIDEO_POSTPROCESSING
from sam2_core.evaluation.click_iou import click_ious
from sam2_core.evaluation.video_scores import FrameScores, Score, VideoScores, mean_score
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.mask_depth import depth_in
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.training.generator import DrawnStack, draw_stack, random_motion, random_nuclei, random_tissue
from sam2_core.volumes.frames import open_frames

# No seed that training draws from.
FIRST_SEED = 9_000_000
SIDE, FRAMES, OBJECTS = 224, 8, 6
SPEEDS = (0.3, 0.5, 0.72)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--stacks", type=int, default=8, help="drawn stacks of each kind")
    return parser.parse_args()


def draw(kind: str, number: int) -> DrawnStack:
    """A stack of one of the kinds that pools hold."""
    random = np.random.default_rng((FIRST_SEED + number, len(kind)))
    size = (SIDE, SIDE)
    if kind == "cells on the move":
        people, look = random_motion(random, size)
    elif kind == "tissue, slices":
        people, look = random_tissue(random, size)
    elif kind == "nuclei, slices":
        people, look = random_nuclei(random, size)
    else:
        people, look = None, None
    along = "time" if kind in ("cells on the move", "anything, time-lapses") else "z"
    return draw_stack(random, frames=FRAMES, size=size, kind=along, population=people, appearance=look)  # type: ignore[arg-type]


def tracked(predictor: SAM2VideoPredictor, drawn: DrawnStack, prompt: str) -> list[Score]:
    """Follow objects of the first frame; the frames behind it are scored, each object by itself."""
    numbers, areas = np.unique(drawn.labels[0], return_counts=True)
    chosen = [int(number) for number, area in zip(numbers, areas, strict=True) if number and area >= 40][:OBJECTS]
    frames = open_frames(drawn.image)
    state = predictor.init_state(frames)
    scores: list[Score] = []
    for number in chosen:
        mask = drawn.labels[0] == number
        if prompt == "mask":
            predictor.prompt_mask(state, 0, number, mask)
        else:
            y, x = np.unravel_index(int(depth_in(mask).argmax()), mask.shape)
            predictor.prompt_points(state, 0, number, [[float(x), float(y)]], [1])
    for number in chosen:
        # alone: in one count of all, an object scored 1 on the frames at which another was looked at
        alone = VideoScores()
        for found in predictor.propagate(state, 0, objects=[number]):
            if found.frame_index:
                mask = found.masks[0].cpu().numpy()
                truth = drawn.labels[found.frame_index] == number
                alone.add(FrameScores.of(mask, truth))
        scores += alone.scores().values()
    state.close()
    return scores


def synthetic(predictor: SAM2VideoPredictor, stacks: int) -> list[dict[str, Any]]:
    rows = []
    together: dict[str, list[Any]] = {"mask": [], "click": []}
    for kind in ("nuclei, slices", "tissue, slices", "anything, slices", "anything, time-lapses", "cells on the move"):
        row: dict[str, Any] = {"data": f"drawn: {kind}"}
        for prompt, all_scores in together.items():
            listed = [score for number in range(stacks) for score in tracked(predictor, draw(kind, number), prompt)]
            all_scores += listed
            row["objects"] = len(listed)
            row[f"J&F, one {prompt}"] = round(mean_score(listed).both, 1)
        rows.append(row)
        print(row, flush=True)
    means = {f"J&F, one {name}": round(mean_score(listed).both, 1) for name, listed in together.items()}
    rows.append({"data": "drawn: all of these", "objects": len(together["mask"]), **means})
    return rows


def nuclei(predictor: SAM2VideoPredictor, data: Path) -> dict[str, Any]:
    image, labels = (tifffile.imread(data / "nuclei_2d" / f"{name}.tif") for name in ("image", "labels"))
    frames = []
    for top in range(0, image.shape[0], QUARTER):
        for left in range(0, image.shape[1], QUARTER):
            cut = np.s_[top : top + QUARTER, left : left + QUARTER]
            areas = np.bincount(labels[cut].ravel())
            kept = np.where(areas[labels[cut]] >= SMALLEST_AREA, labels[cut], 0)
            frames.append((open_frames(image[cut][None]).read(0), kept))
    ious = click_ious(SAM2ImagePredictor(predictor), frames, 4)
    means = {f"IoU, {clicks} clicks": round(float(ious[:, clicks - 1].mean()), 3) for clicks in (1, 2, 3, 4)}
    return {"data": "nuclei_2d", "objects": len(ious), **means}


def moving(predictor: SAM2VideoPredictor) -> list[dict[str, Any]]:
    height, width, radius, steps = 420, 560, 10, 9
    rows = []
    for speed in SPEEDS:
        random = np.random.default_rng(5)
        found = []
        for _ in range(8):
            angle = random.uniform(0, 2 * np.pi)
            step = np.array([np.cos(angle), np.sin(angle)]) * speed * 2 * radius
            places = np.array([width / 2, height / 2]) + step * (np.arange(steps) - steps // 2)[:, None]
            y, x = np.mgrid[:height, :width]
            truth = np.stack([np.hypot(x - at[0], y - at[1]) < radius for at in places])
            noise = np.random.default_rng(0).normal(0, 6, truth.shape)
            blurred = ndimage.gaussian_filter(truth.astype(np.float32), (0, 1.2, 1.2))
            image = np.clip(30 + 150 * blurred + noise, 0, 255).astype(np.uint8)
            tracker = CropTracker(predictor, share=0.12, object_size=2 * radius)
            state = tracker.init_state(open_frames(image))
            tracker.prompt_points(state, steps // 2, 1, [list(places[steps // 2])], [1])
            masks = {
                one.frame_index: one.masks_in()[0]
                for reverse in (False, True)
                for one in tracker.propagate(state, steps // 2, reverse=reverse)
            }
            state.close()
            found.append(np.mean([iou(mask, truth[at]) for at, mask in masks.items() if at != steps // 2]))
        name = f"a cell that moves {speed} widths a frame"
        rows.append({"data": name, "objects": len(found), "IoU": round(float(np.mean(found)), 3)})
    return rows


def main() -> None:
    options = arguments()
    target = "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"
    predictor = load_model(options.model, device="cpu", precision="fp32", overrides=[target, *VIDEO_POSTPROCESSING])
    assert isinstance(predictor, SAM2VideoPredictor)
    rows = synthetic(predictor, options.stacks)
    if options.data.is_dir():
        rows.append(nuclei(predictor, options.data))
    rows += moving(predictor)
    record.save("checkpoint", f"What {Path(options.model).name} can do", rows, {"precision": "fp32"})


if __name__ == "__main__":
    main()
