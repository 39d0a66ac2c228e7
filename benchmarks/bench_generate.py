"""Segment everything: the official code beside ours.

Thresholds are chosen so that about a hundred masks survive with the random weights that both sides hold. The official
side takes minutes at full size; --height, --width, --points-per-side and --image-size make the work smaller.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import two_sides

WANTED_MASKS = (60, 160)


def arguments() -> argparse.Namespace:
    parser = two_sides.arguments_of(__doc__, height=1500, width=2250, rounds=1, warm_up=0)
    parser.add_argument("--points-per-side", type=int, default=32, help="grid")
    parser.add_argument("--points-per-batch", type=int, default=64, help="as given to both sides")
    parser.add_argument("--masks", type=int, default=100, help="how many masks should survive, roughly")
    parser.add_argument("--stability", type=float, default=0.5, help="stability threshold")
    return parser.parse_args()


def side(options: argparse.Namespace) -> None:
    """Be one side."""
    import contextlib

    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    name = options.side
    image = two_sides.picture(options.height, options.width)
    official = name.startswith("official")
    Generator: Any
    if official:
        from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator as Generator

        model = two_sides.official_model(name, options.config, options.image_size)
    else:
        from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator as Generator

        model = two_sides.our_model(name, options.config, options.image_size)

    records: list[dict[str, Any]] = []

    def generate(iou: float, overlap: float) -> dict[str, Any]:
        generator = Generator(
            model,
            points_per_side=options.points_per_side,
            points_per_batch=options.points_per_batch,
            pred_iou_thresh=iou,
            stability_score_thresh=options.stability,
            box_nms_thresh=overlap,
            output_mode="uncompressed_rle",
        )
        if official:
            generator.predictor._bb_feat_sizes = [(options.image_size // stride,) * 2 for stride in (4, 8, 16)]
        with two_sides.official_context(name) if official else contextlib.nullcontext():
            records[:] = generator.generate(image)
        return {"masks": len(records)}

    def save(path: str) -> None:
        Path(path).write_text(json.dumps(records))

    two_sides.serve({"generate": generate, "save": save})


def thresholds(ours: two_sides.Side, wanted: int) -> tuple[float, float]:
    """Find thresholds of predicted IoU and of box overlap under which about the wanted number of masks survives.

    Suppression keeps the better of two masks, so raising the first threshold drops the worst survivors and no others.
    With random weights many masks look alike; the second is as near to the usual 0.7 as the wanted number allows.
    """
    import torch
    from torchvision.ops import nms

    ours("generate", iou=1e-6, overlap=1.0)
    records = saved(ours)
    x, y, width, height = torch.tensor([record["bbox"] for record in records]).reshape(-1, 4).float().unbind(1)
    boxes = torch.stack([x, y, x + width, y + height], dim=1)
    ious = torch.tensor([record["predicted_iou"] for record in records])
    print(f"{len(records)} masks are stable and have a positive predicted IoU", flush=True)
    for overlap in (0.7, 0.8, 0.9, 0.95, 0.98, 1.0):
        kept = ious[nms(boxes, ious, overlap)]
        if len(kept) >= wanted or overlap == 1.0:
            break
    return (float(kept[wanted - 1] + kept[wanted]) / 2 if len(kept) > wanted else 1e-6), overlap


def saved(one: two_sides.Side) -> list[dict[str, Any]]:
    """The records of a side's last run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.json"
        one("save", path=str(path))
        records: list[dict[str, Any]] = json.loads(path.read_text())
    return records


def matching(records: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str:
    """How many of the expected masks are among the records."""
    import numpy as np

    from sam2_core.inference.run_length import rle_to_mask

    by_point: dict[tuple[float, ...], list[dict[str, Any]]] = {}
    for record in records:
        by_point.setdefault(tuple(round(value, 2) for value in record["point_coords"][0]), []).append(record)
    same = 0
    for record in expected:
        mask = rle_to_mask(record["segmentation"])
        best = 0.0
        for other in by_point.get(tuple(round(value, 2) for value in record["point_coords"][0]), []):
            drawn = rle_to_mask(other["segmentation"])
            best = max(best, float((mask & drawn).sum() / max(1, np.count_nonzero(mask | drawn))))
        same += best > 0.99
    return f"{len(records)} masks; {same} of the official {len(expected)} are among them (IoU > 0.99)"


def main() -> None:
    options = arguments()
    if options.side:
        side(options)
        return
    # a process of its own: the thousands of masks that it finds are not in the peak memory of what is compared
    with two_sides.started(["ours fp32"], __file__, sys.argv[1:]) as scouts:
        iou, overlap = thresholds(scouts["ours fp32"], options.masks)
    with two_sides.started(two_sides.side_names(options.all_sides), __file__, sys.argv[1:]) as sides:
        notes: dict[str, Any] = {
            "model": f"{options.config}, {options.image_size} px",
            "image": f"{options.height} x {options.width}",
            "grid": f"{options.points_per_side} x {options.points_per_side}",
            "thresholds": f"predicted IoU {iou:.4f}, stability {options.stability}, box overlap {overlap}",
            "threads": options.threads or next(iter(sides.values())).ready["threads"],
        }
        results = {
            "Segment everything": two_sides.rounds(
                sides, "generate", options.rounds, options.warm_up, iou=iou, overlap=overlap
            )
        }
        records = {name: saved(one) for name, one in sides.items()}
        expected = records.pop(two_sides.OFFICIAL)
        for name, found in records.items():
            notes[f"{name} against {two_sides.OFFICIAL}"] = matching(found, expected)
        if not WANTED_MASKS[0] <= len(expected) <= WANTED_MASKS[1]:
            notes["note"] = f"{len(expected)} masks survived; comparable runs have about a hundred"
    two_sides.report("Segment everything", results, notes, "generate")


if __name__ == "__main__":
    main()
