"""Official transforms and data sets on given files; a program: python -m tests.training.official_data FOLDER OUT.

Where our side runs the same functions, in test_data_parity.py, `play` is given our modules.
"""

from __future__ import annotations

import importlib
import random
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision.transforms.v2  # noqa: F401  looks for pandas, so before it is replaced
from PIL import Image

SEEDS = (0, 1, 2)
TRANSFORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "flip": ("RandomHorizontalFlip", {"consistent_transform": True}),
    "flip_each": ("RandomHorizontalFlip", {"consistent_transform": False}),
    "square": ("RandomResizeAPI", {"sizes": 64, "square": True, "consistent_transform": True}),
    "sizes": ("RandomResizeAPI", {"sizes": [40, 90], "max_size": 100, "consistent_transform": True}),
    "grey": ("RandomGrayscale", {"consistent_transform": False, "p": 0.5}),
    "jitter": (
        "ColorJitter",
        {"consistent_transform": True, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1},
    ),
    "jitter_each": (
        "ColorJitter",
        {"consistent_transform": False, "brightness": 0.1, "contrast": 0.05, "saturation": 0.05, "hue": None},
    ),
    "affine": (
        "RandomAffine",
        {"degrees": 25, "shear": 20, "image_interpolation": "bilinear", "consistent_transform": True},
    ),
    "affine_each": (
        "RandomAffine",
        {"degrees": 5, "translate": [0.1, 0.1], "scale": [0.9, 1.1], "consistent_transform": False},
    ),
    "affine_out": (
        "RandomAffine",
        {"degrees": 0, "translate": [0.9, 0.9], "num_tentatives": 2, "consistent_transform": True},
    ),
    "mosaic": ("RandomMosaicVideoAPI", {"prob": 1.0, "grid_h": 2, "grid_w": 3, "use_random_hflip": True}),
}


def write_files(folder: Path) -> None:
    """Two short videos in PNG, one of SA-V and an image of SA-1B; their masks are discs."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:60, :80]
    for video in ("a", "b"):
        for name in ("images", "palette"):
            (folder / name / video).mkdir(parents=True)
        for t in range(5):
            labels = np.zeros((60, 80), np.uint8)
            for identity, centre in ((3, 20), (1, 45), (7, 65)):
                labels[(y - 30) ** 2 + (x - centre - 2 * t) ** 2 < 60] = identity * (t < 4 or identity != 1)
            picture = chance.integers(0, 255, (60, 80, 3)).astype(np.uint8)
            Image.fromarray(picture).save(folder / "images" / video / f"{t:05d}.jpg")
            palette = Image.fromarray(labels).convert("P")
            palette.save(folder / "palette" / video / f"{t:05d}.png")
            for identity in (1, 3, 7):
                (folder / "objects" / video / f"{identity:03d}").mkdir(parents=True, exist_ok=True)
                if (labels == identity).any():
                    mask = Image.fromarray((255 * (labels == identity)).astype(np.uint8))
                    mask.save(folder / "objects" / video / f"{identity:03d}" / f"{t:05d}.png")


def seed(value: int) -> None:
    random.seed(value)
    torch.manual_seed(value)


def play(module: Any, folder: Path) -> dict[str, Any]:
    """Run transforms and data sets of `module` (name to module)."""
    batch, transforms = module("utils.data_utils"), module("dataset.transforms")
    raw, vos, sampler = module("dataset.vos_raw_dataset"), module("dataset.vos_dataset"), module("dataset.vos_sampler")
    repeats = module("dataset.utils")
    result: dict[str, Any] = {}

    def record(name: str, datapoint: Any) -> None:
        for number, frame in enumerate(datapoint.frames):
            picture = frame.data
            result[f"{name}/{number}/picture"] = (
                picture if isinstance(picture, torch.Tensor) else torch.as_tensor(np.array(picture))
            )
            for each in frame.objects:
                result[f"{name}/{number}/{each.object_id}"] = each.segment.to(torch.uint8)

    layouts = {
        "palette": {"is_palette": True},
        "objects": {"is_palette": False},
        "single": {"is_palette": False, "single_object_mode": True, "truncate_video": 4},
        "thinned": {"is_palette": True, "sample_rate": 2},
    }
    for name, options in layouts.items():
        labels = "palette" if options["is_palette"] else "objects"
        videos = raw.PNGRawDataset(str(folder / "images"), str(folder / labels), **options)
        frames = 2 if name == "thinned" else 3
        dataset = vos.VOSDataset([], True, videos, sampler.RandomUniformSampler(frames, 2, 0.5), 1)
        for value in SEEDS:
            seed(value)
            record(f"{name}/{value}", dataset[value % len(dataset)])
    videos = raw.PNGRawDataset(str(folder / "images"), str(folder / "palette"))
    record("whole", vos.VOSDataset([], False, videos, sampler.EvalSampler(), 1)[1])
    for name, (kind, options) in TRANSFORMS.items():
        for value in SEEDS:
            seed(100)
            datapoint = vos.VOSDataset([], True, videos, sampler.RandomUniformSampler(3, 2), 1)[0]
            seed(value)
            record(f"{name}/{value}", getattr(transforms, kind)(**options)(datapoint, epoch=0))
    seed(0)
    whole = transforms.ComposeAPI(
        [
            transforms.RandomResizeAPI(sizes=64, square=True, consistent_transform=True),
            transforms.ToTensorAPI(),
            transforms.NormalizeAPI(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    dataset = vos.VOSDataset([whole], True, videos, sampler.RandomUniformSampler(3, 2), 2.4)
    record("normalised", dataset[0])
    wrapper = repeats.RepeatFactorWrapper(repeats.ConcatDataset([dataset, dataset]), seed=3)
    for epoch in range(4):
        wrapper.set_epoch(epoch)
        result[f"repeats/{epoch}"] = wrapper.epoch_ids
    points = [dataset[index] for index in range(2)]
    for point in points:
        for frame in point.frames:
            frame.objects = frame.objects[:2]
    collated = batch.collate_fn(points, dict_key="all")
    for name in ("img_batch", "obj_to_frame_idx", "masks", "flat_obj_to_img_idx"):
        result[f"batch/{name}"] = getattr(collated, name)
    result["batch/flat"] = collated.flat_img_batch
    result["batch/identifiers"] = collated.metadata.unique_objects_identifier
    result["batch/sizes"] = collated.metadata.frame_orig_size
    return result


def stand_ins() -> None:
    """Replace two packages of which the official code uses one function each."""
    pandas = types.ModuleType("pandas")
    pandas.unique = lambda values: values[np.sort(np.unique(values, return_index=True)[1])]  # type: ignore[attr-defined]
    sys.modules["pandas"] = pandas
    tensordict = types.ModuleType("tensordict")

    def tensorclass(kind: type) -> type:
        def __init__(self: Any, **values: Any) -> None:
            self.__dict__.update(values)

        kind.__init__ = __init__  # type: ignore[misc]
        return kind

    tensordict.tensorclass = tensorclass  # type: ignore[attr-defined]
    sys.modules["tensordict"] = tensordict


if __name__ == "__main__":
    stand_ins()
    torch.save(play(lambda name: importlib.import_module(f"training.{name}"), Path(sys.argv[1])), sys.argv[2])
