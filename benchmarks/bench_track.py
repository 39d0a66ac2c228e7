"""Track objects through a video with full memories: the official code beside ours, and what one more object costs.

Both hold the same random weights, under which every part of the network counts. Their masks are compared first:
nothing is timed if the fp32 sides disagree. Each number of objects has processes of its own, so that the peak memory
beside each time is that of this work.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import two_sides


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", default="configs/sam2.1/sam2.1_hiera_t.yaml", help="model configuration")
    parser.add_argument("--image-size", type=int, default=1024, help="model input in pixels")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 8], help="numbers of objects")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds")
    parser.add_argument("--warm-up", type=int, default=1, help="rounds before that")
    parser.add_argument("--frames", type=int, default=2, help="frames in a round")
    parser.add_argument("--fill", type=int, default=8, help="frames tracked first, to fill the memories")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side; 0: torch's choice")
    parser.add_argument("--all-sides", action="store_true", help="bf16 also where it is slow")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--video", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_video(folder: Path, count: int, size: int) -> None:
    """Write JPEG frames of a picture that drifts."""
    from PIL import Image

    scene = two_sides.picture(size + 4 * count, size + 6 * count)
    for index in range(count):
        top, left = 4 * index, 6 * index
        frame = scene[top : top + size, left : left + size]
        Image.fromarray(frame).save(folder / f"{index:05d}.jpg", quality=95)


def side(options: argparse.Namespace) -> None:
    """Be one side."""
    import numpy as np
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    name = options.side
    is_official = name.startswith("official")
    build = two_sides.official_model if is_official else two_sides.our_model
    predictor = build(name, options.config, options.image_size, video=True)
    predictor.fill_hole_area = 0  # the official code fills holes on CUDA only
    context = two_sides.official_context if is_official else lambda _: contextlib.nullcontext()
    running: dict[str, Any] = {}

    def begin(objects: int) -> None:
        with context(name), torch.inference_mode():
            state = predictor.init_state(options.video)
            for index in range(objects):
                x = options.image_size * (0.15 + 0.7 * ((index * 3) % 8) / 8)
                y = options.image_size * (0.15 + 0.7 * index / 8)
                predictor.add_new_points_or_box(state, 0, index + 1, points=[[x, y]], labels=[1])
            running["frames"] = predictor.propagate_in_video(state)
            for _ in range(options.fill):
                next(running["frames"])

    def advance() -> dict[str, Any]:
        with context(name), torch.inference_mode():
            for _ in range(options.frames):
                running["last"] = next(running["frames"])
        return {"repeats": options.frames}

    def answer(path: str) -> None:
        np.savez(path, logits=running["last"][2].float().cpu().numpy())

    two_sides.serve({"begin": begin, "advance": advance, "answer": answer})


def compare(sides: dict[str, two_sides.Side]) -> dict[str, str]:
    """How far the masks of each side are from the official ones in fp32; ends the run if ours in fp32 differ."""
    import numpy as np

    logits = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, one) in enumerate(sides.items()):
            path = str(Path(folder) / f"{number}.npz")
            one("answer", path=path)
            logits[name] = np.load(path)["logits"]
    expected = logits[two_sides.OFFICIAL]
    notes = {}
    for name, found in logits.items():
        difference = np.abs(found - expected) / np.abs(expected).max()
        agreeing = float(((found > 0) == (expected > 0)).mean())
        share = float((difference <= 1e-2).mean())
        notes[f"{name}: masks"] = (
            f"{agreeing:.4%} of pixels as official fp32, largest difference {difference.max():.1e}"
        )
        # the official code rounds memories to bf16 also in fp32, so single values may differ by more
        if name == "ours fp32" and (share < 0.999 or agreeing < 0.999):
            raise SystemExit(f"ours in fp32 is not the official result: {notes}")
    return notes


def main() -> None:
    options = arguments()
    if options.side:
        side(options)
        return
    names = two_sides.side_names(options.all_sides)
    results: dict[str, dict[str, dict[str, float]]] = {}
    notes: dict[str, Any] = {"model": options.config, "input": f"{options.image_size} px", "threads": options.threads}
    length = options.fill + options.frames * (options.rounds + options.warm_up)
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder), length, options.image_size)
        for objects in options.objects:
            with two_sides.started(names, __file__, [*sys.argv[1:], "--video", folder]) as sides:
                for one in sides.values():
                    one("begin", objects=objects)
                work = f"one frame, {objects} object{'s' if objects > 1 else ''}, memories full"
                results[work] = two_sides.rounds(sides, "advance", options.rounds, options.warm_up)
                for note, text in compare(sides).items():
                    notes[f"{note}, {objects} object(s)"] = text
    if len(options.objects) > 1:
        few, many = options.objects[0], options.objects[-1]
        first, last = (list(results.values())[position] for position in (0, -1))
        for name in names:
            more = (last[name]["median_s"] - first[name]["median_s"]) / (many - few)
            notes[f"{name}: one more object"] = f"{more / first[name]['median_s']:.2f} of a frame with {few}"
    two_sides.report("Tracking", results, notes, "track")


if __name__ == "__main__":
    main()
