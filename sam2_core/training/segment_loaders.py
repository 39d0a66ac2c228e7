"""Masks of a video's objects, frame by frame, from the layouts in which public data sets come.

Each loader has ``load(frame_id)``, which returns masks (H, W) by object id; None stands for a mask nobody has drawn.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_masks
from torch import Tensor

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels.label_picture import read_label_picture

Segments = Mapping[int, Tensor | None]


class SegmentLoader(Protocol):
    """What a sampler and a data set ask for masks."""

    def load(self, frame_id: int) -> Segments:
        """Return the masks (H, W) of a frame by object id."""


class PalettisedPNGSegmentLoader:
    """One PNG a frame, whose values are object ids (DAVIS, MOSE, YouTube-VOS).

    Parameters
    ----------
    video_png_root : str or Path
        The video's folder; file names are frame numbers of any width.
    """

    def __init__(self, video_png_root: str | Path) -> None:
        self.folder = _existing(Path(video_png_root))
        self.frame_id_to_png_filename = {int(path.stem): path.name for path in self.folder.glob("*.png")}

    def load(self, frame_id: int) -> Segments:
        """Return the masks of a frame; none where it has no file."""
        name = self.frame_id_to_png_filename.get(frame_id)
        if name is None:
            return {}
        labels = read_label_picture(self.folder / name)
        _, first = np.unique(labels, return_index=True)
        # in order of appearance
        present = [int(labels.flat[place]) for place in np.sort(first)]
        return {identity: torch.from_numpy(labels == identity) for identity in present if identity}


class MultiplePNGSegmentLoader:
    """One folder an object, in it one PNG a frame (SA-V); ids are the folders' numbers plus one.

    Parameters
    ----------
    video_png_root : str or Path
        The video's folder, or with ``single_object_mode`` that of one of its objects.
    single_object_mode : bool
    """

    def __init__(self, video_png_root: str | Path, single_object_mode: bool = False) -> None:
        root = _existing(Path(video_png_root))
        folders = [root] if single_object_mode else sorted(path for path in root.iterdir() if path.is_dir())
        self.folders = {int(path.name) + 1: path for path in folders}
        first = next((path for folder in folders for path in sorted(folder.glob("*.png"))), None)
        if first is None:
            raise MissingFileError(f"{root} has no object folders with PNG files; is it palettised (is_palette=true)?")
        with Image.open(first) as picture:
            self.size = (picture.height, picture.width)

    def load(self, frame_id: int) -> Segments:
        """Return the masks of a frame, empty where an object has no file."""
        return {identity: self._mask(folder / f"{frame_id:05d}.png") for identity, folder in self.folders.items()}

    def _mask(self, path: Path) -> Tensor:
        if not path.exists():
            return torch.zeros(self.size, dtype=torch.bool)
        return torch.from_numpy(read_label_picture(path) > 0)


class JSONSegmentLoader:
    """SA-V's JSON: run-length masks every few frames.

    Parameters
    ----------
    video_json_path : str or Path
    ann_every : int
        Frames from one annotation to the next, where the file does not say.
    frames_fps : int
        Rate of the frames, by which a rate in the file is divided.
    valid_obj_ids : collection of int, optional
        Objects to take.
    """

    def __init__(
        self,
        video_json_path: str | Path,
        ann_every: int = 1,
        frames_fps: int = 24,
        valid_obj_ids: Collection[int] | None = None,
    ) -> None:
        path = Path(video_json_path)
        data = _read_json(path)
        self.ann_every = ann_every
        self.valid_obj_ids = valid_obj_ids
        if isinstance(data, list):
            self.frame_annots = data
            return
        field = next((name for name in ("masklet", "masks") if name in data), None)
        if field is None:
            raise InvalidInputError(f'{path} has no "masklet" entry: expected the annotations of SA-V.')
        self.frame_annots = data[field]
        if "fps" in data:
            rate = int(data["fps"][0] if isinstance(data["fps"], list) else data["fps"])
            if frames_fps % rate:
                raise InvalidInputError(f"{path} is annotated at {rate} fps, which does not divide {frames_fps} fps.")
            self.ann_every = frames_fps // rate

    def load(self, frame_id: int, obj_ids: Collection[int] | None = None) -> Segments:
        """Return the masks of an annotated frame, None for those that are missing."""
        if frame_id % self.ann_every:
            raise InvalidInputError(f"Frame {frame_id} is not annotated; every {self.ann_every}th frame is.")
        last = self.ann_every * (len(self.frame_annots) - 1)
        if not 0 <= frame_id <= last:
            raise InvalidInputError(f"There are no annotations of frame {frame_id}: the file ends with frame {last}.")
        runs = self.frame_annots[frame_id // self.ann_every]
        wanted = set(range(len(runs)))
        for chosen in (self.valid_obj_ids, obj_ids):
            wanted &= wanted if chosen is None else set(chosen)
        return {identity: _decoded(runs[identity]) for identity in sorted(wanted)}

    def annotated_frames(self) -> list[int]:
        """Frames in which every object has a mask."""
        return [
            index * self.ann_every
            for index, runs in enumerate(self.frame_annots)
            if runs is not None and all(run is not None for run in runs)
        ]


class LazySegments(Mapping[int, Tensor | None]):
    """Run-length masks by number, decoded when looked at."""

    def __init__(self, runs: list[Any]) -> None:
        self.runs = runs
        self._decoded: dict[int, Tensor | None] = {}

    def __getitem__(self, key: int) -> Tensor | None:
        if key not in self._decoded:
            if not 0 <= key < len(self.runs):
                raise KeyError(key)
            self._decoded[key] = _decoded(self.runs[key])
        return self._decoded[key]

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.runs)))

    def __len__(self) -> int:
        return len(self.runs)


class SA1BSegmentLoader:
    """SA-1B's JSON: the masks of one image, the same for every frame.

    Parameters
    ----------
    video_mask_path : str or Path
    mask_area_frac_thresh : float
        Masks of this share of the image or more are left out; above 1 for none.
    video_frame_path : str or Path, optional
        The image, whose size is needed for that.
    uncertain_iou : float
        Masks less certain than this are left out.
    """

    def __init__(
        self,
        video_mask_path: str | Path,
        mask_area_frac_thresh: float = 1.1,
        video_frame_path: str | Path | None = None,
        uncertain_iou: float = -1,
    ) -> None:
        data = _read_json(Path(video_mask_path))
        if not isinstance(data, dict) or "annotations" not in data:
            raise InvalidInputError(f'{video_mask_path} has no "annotations": expected a file of SA-1B.')
        largest = float("inf")
        if mask_area_frac_thresh <= 1.0:
            if video_frame_path is None:
                raise InvalidInputError("mask_area_frac_thresh needs the image's path (video_frame_path).")
            with Image.open(video_frame_path) as picture:
                largest = mask_area_frac_thresh * picture.width * picture.height
        kept = [
            each["segmentation"]
            for each in data["annotations"]
            if 0 < each["area"] < largest and each.get("uncertain_iou", uncertain_iou) >= uncertain_iou
        ]
        self.segments = LazySegments(kept)

    def load(self, frame_id: int) -> Segments:
        """Return the masks of the image."""
        return self.segments


def _existing(path: Path) -> Path:
    if not path.is_dir():
        raise MissingFileError(f"There is no folder {path} with masks.")
    return path


def _read_json(path: Path) -> Any:
    if not path.exists():
        raise MissingFileError(f"There is no annotation file {path}.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(f"{path} is not readable JSON: {error}") from error


def _decoded(run: Any) -> Tensor | None:
    return None if run is None else torch.from_numpy(coco_masks.decode(run))
