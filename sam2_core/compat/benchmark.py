"""How many frames a second the video predictor tracks: the counterpart of the official ``sam2.benchmark``.

``python -m sam2_core.compat.benchmark --checkpoint sam2.1_hiera_base_plus.pt notebooks/videos/bedroom`` on a GPU, or
with no arguments, on whatever is here: the shipped checkpoint on drawn frames.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sam2_core.checkpoints.build import build_sam2_video_predictor
from sam2_core.checkpoints.catalogue import get_entry
from sam2_core.checkpoints.fetch import locate_checkpoint
from sam2_core.checkpoints.infer import infer_config
from sam2_core.checkpoints.load import read_checkpoint
from sam2_core.checkpoints.precision import resolve_device
from sam2_core.errors import InvalidInputError
from sam2_core.inference.video_predictor import SAM2VideoPredictor


@dataclass(frozen=True)
class VideoSpeed:
    """What was measured.

    Attributes
    ----------
    warm_up_fps, fps : float
        Frames a second in the runs that warm up, and in those that count.
    frames, runs : int
        Frames of the video, and runs that count.
    peak_memory_bytes : int
        Most memory held at once: the GPU's, or the process's on a CPU (0 where the system does not say).
    """

    warm_up_fps: float
    fps: float
    frames: int
    runs: int
    peak_memory_bytes: int


def measure_video(
    predictor: SAM2VideoPredictor,
    source: Any,
    *,
    point: tuple[float, float] = (210.0, 350.0),
    warm_up: int = 5,
    runs: int = 25,
) -> VideoSpeed:
    """Track one object, clicked on the first frame, through a whole video, again and again.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    source : path, array, …
        What ``init_state`` takes.
    point : (float, float)
        The click, (x, y) in pixels of the frame.
    warm_up, runs : int
        Passes that do not count, and all passes, those included.

    Returns
    -------
    VideoSpeed

    Raises
    ------
    InvalidInputError
        If no pass counts.
    """
    if not 0 <= warm_up < runs:
        raise InvalidInputError(f"runs have to be more than warm_up, got {runs} and {warm_up}")
    state = predictor.init_state(source)
    predictor.add_new_points_or_box(
        state, frame_idx=0, obj_id=1, points=np.array([point], np.float32), labels=np.array([1], np.int32)
    )
    on_gpu = predictor.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(predictor.device)
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        for _, _, logits in predictor.propagate_in_video(state):
            last = logits
        if on_gpu:
            last.cpu()  # waits for all that was queued
        seconds.append(time.perf_counter() - begin)
    frames = state.num_frames
    warm = sum(seconds[:warm_up])
    return VideoSpeed(
        warm_up_fps=warm_up * frames / warm if warm else 0.0,
        fps=(runs - warm_up) * frames / sum(seconds[warm_up:]),
        frames=frames,
        runs=runs - warm_up,
        peak_memory_bytes=torch.cuda.max_memory_allocated(predictor.device) if on_gpu else _process_peak(),
    )


def drawn_frames(count: int = 8, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    """Draw a bright disc that drifts over a dim background: (T, H, W, RGB) uint8."""
    y, x = np.mgrid[:height, :width]
    frames = np.full((count, height, width, 3), 40, np.uint8)
    for index, frame in enumerate(frames):
        frame[np.hypot(y - height / 2, x - width / 3 - 4 * index) < height / 6] = (200, 180, 160)
    return frames


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the command line of this module."""
    parser = argparse.ArgumentParser(prog="sam2.benchmark", description="Frames a second of the video predictor.")
    parser.add_argument("video", nargs="?", help="a video, a TIFF stack or a folder of frames; drawn frames if omitted")
    parser.add_argument("--checkpoint", default="sam2.1_hiera_micro", help="name in the catalogue, or a file")
    parser.add_argument("--config", help="read off the weights by default")
    parser.add_argument("--device", help="the best one by default")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--point", default=None, help="the click on the first frame as X,Y pixels")
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--runs", type=int, default=25, help="all passes, those that warm up included")
    parser.add_argument("--vos-optimized", action="store_true", help="compile the network's parts")
    options = parser.parse_args(arguments)
    device = resolve_device(options.device)
    path = Path(options.checkpoint)
    config = options.config
    if not path.is_file():
        entry = get_entry(options.checkpoint)
        path, config = locate_checkpoint(entry), config or entry.config
    overrides: Sequence[str] = ()
    if config is None:
        inferred = infer_config(read_checkpoint(path).state_dict)
        config, overrides = inferred.name, inferred.overrides
    predictor = build_sam2_video_predictor(
        config,
        path,
        device=device,
        hydra_overrides_extra=overrides,
        vos_optimized=options.vos_optimized,
        precision=options.precision,
    )
    if options.video is None:
        frames = drawn_frames()
        source: Any = frames
        default_point = (frames.shape[2] / 3, frames.shape[1] / 2)
    else:
        source, default_point = options.video, (210.0, 350.0)
    point = default_point
    if options.point is not None:
        x, y = (float(value) for value in options.point.split(","))
        point = (x, y)
    speed = measure_video(predictor, source, point=point, warm_up=options.warm_up, runs=options.runs)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type
    print(f"{options.checkpoint}, {predictor.dtype}, {name}, input {predictor.input_size}, {speed.frames} frames")
    print(f"Warmup FPS: {speed.warm_up_fps:.3f}")
    print(f"FPS: {speed.fps:.3f}")
    print(f"peak memory: {speed.peak_memory_bytes / 2**20:.0f} MiB")


def _process_peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


if __name__ == "__main__":
    main()
