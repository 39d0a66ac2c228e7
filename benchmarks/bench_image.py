"""Encode an image, and click into it: the official code beside ours.

Both hold the same random weights, under which every part of the network counts. They are compared first: nothing is
timed if the fp32 sides disagree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import two_sides


def arguments() -> argparse.Namespace:
    parser = two_sides.arguments_of(__doc__, height=1024, width=1024, rounds=5, warm_up=2)
    parser.add_argument("--clicks", type=int, default=10, help="clicks in a round")
    return parser.parse_args()


def side(options: argparse.Namespace) -> None:
    """Be one side."""
    import numpy as np
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    name = options.side
    image = two_sides.picture(options.height, options.width)
    point, label = np.array([[options.width * 0.4, options.height * 0.55]]), np.array([1])
    if name.startswith("official"):
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        predictor: Any = SAM2ImagePredictor(two_sides.official_model(name, options.config, options.image_size))
        predictor._bb_feat_sizes = [(options.image_size // stride,) * 2 for stride in (4, 8, 16)]
        context = two_sides.official_context
    else:
        import contextlib

        from sam2_core.inference.image_predictor import SAM2ImagePredictor as OurPredictor

        predictor = OurPredictor(two_sides.our_model(name, options.config, options.image_size))
        context = lambda _: contextlib.nullcontext()  # noqa: E731

    def encode() -> None:
        with context(name):
            predictor.set_image(image)

    def click(repeats: int) -> dict[str, Any]:
        with context(name):
            for _ in range(repeats):
                predictor.predict(point, label)
        return {"repeats": repeats}

    def answer(path: str) -> None:
        with context(name):
            predictor.set_image(image)
            embedding = predictor.get_image_embedding().float().cpu().numpy()
            masks, ious, low_res = predictor.predict(point, label, return_logits=True)
        np.savez(path, embedding=embedding, masks=masks, ious=ious, low_res=low_res)

    two_sides.serve({"encode": encode, "click": click, "answer": answer})


def compare(sides: dict[str, two_sides.Side]) -> dict[str, str]:
    """How far each side's answers are from the official ones in fp32; ends the run if ours in fp32 are not the same."""
    import numpy as np

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        answers = {}
        for name, one in sides.items():
            path = str(Path(folder) / f"{name}.npz".replace(" ", "-"))
            one("answer", path=path)
            answers[name] = dict(np.load(path))
    expected = answers.pop(two_sides.OFFICIAL)
    for name, answer in answers.items():
        parts = []
        for key, value in expected.items():
            share = float((np.abs(answer[key] - value) > 1e-3 * np.abs(value).max()).mean())
            parts.append(f"{key} {100 * share:.3f} %")
            if name == "ours fp32" and share > 1e-3:
                sys.exit(f"{name}: {100 * share:.2f} % of {key} differ by more than 1e-3 of the largest value")
        ours, theirs = answer["masks"] > 0, expected["masks"] > 0
        iou = (ours & theirs).sum() / max(1, (ours | theirs).sum())
        found[f"{name} against {two_sides.OFFICIAL}"] = (
            f"mask IoU {iou:.4f}; values further than 1e-3 of the largest: {', '.join(parts)}"
        )
    return found


def main() -> None:
    options = arguments()
    if options.side:
        side(options)
        return
    with two_sides.started(two_sides.side_names(options.all_sides), __file__, sys.argv[1:]) as sides:
        notes: dict[str, Any] = {
            "model": f"{options.config}, {options.image_size} px",
            "image": f"{options.height} x {options.width}",
            "threads": options.threads or next(iter(sides.values())).ready["threads"],
        }
        notes |= compare(sides)
        results = {
            "Encode an image": two_sides.rounds(sides, "encode", options.rounds, options.warm_up),
            "A click after encoding": two_sides.rounds(
                sides, "click", options.rounds, options.warm_up, repeats=options.clicks
            ),
        }
    two_sides.report("Encoding and clicking", results, notes, "image")


if __name__ == "__main__":
    main()
