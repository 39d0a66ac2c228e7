"""Labelled data of a kind that a plugin opens, as videos to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import DatasetKind, Registered, TrainingVideo, get_plugins
from sam2_core.training.choices import choose
from sam2_core.training.raw_videos import VOSFrame, VOSRawDataset, VOSVideo
from sam2_core.training.segment_loaders import Segments


@dataclass
class PluginVideo:
    """A plugin's video, with its plugin named in what goes wrong.

    Attributes
    ----------
    registered : Registered
    video : TrainingVideo
    """

    registered: Registered[DatasetKind]
    video: TrainingVideo
    _last: tuple[int, Segments | None] | None = None

    @property
    def name(self) -> str:
        """As the plugin says it."""
        return str(self._ask(lambda: self.video.name))

    def __len__(self) -> int:
        return int(self._ask(lambda: len(self.video)))

    def picture(self, frame: int) -> Image.Image:
        """Read a frame.

        Raises
        ------
        PluginError
            The plugin failed, or gave something else than (y, x, rgb) uint8.
        """

        def check(pixels: Any) -> None:
            if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[2:] != (3,):
                raise InvalidInputError(f"image({frame}) is (y, x, rgb) uint8; got {_described(pixels)}")

        return Image.fromarray(np.ascontiguousarray(self._ask(lambda: self.video.image(frame), check)))

    def segments(self, frame: int) -> Segments | None:
        """Read the masks of a frame; None where nobody labelled it.

        Raises
        ------
        PluginError
            The plugin failed, or gave something else than masks (y, x) bool by number.
        """
        if self._last is None or self._last[0] != frame:
            masks = self._ask(lambda: self.video.masks(frame), lambda found: _require_masks(found, frame))
            segments = None
            if masks is not None:
                segments = {int(key): torch.from_numpy(np.ascontiguousarray(mask)) for key, mask in masks.items()}
            self._last = (frame, segments)
        return self._last[1]

    def load(self, frame_id: int) -> Segments:
        """Return the masks of a frame, none where nobody labelled it: what samplers ask."""
        return self.segments(frame_id) or {}

    def __contains__(self, frame: object) -> bool:
        """Whether somebody labelled a frame."""
        return isinstance(frame, int) and self.segments(frame) is not None

    def _ask(self, function: Any, check: Any = None) -> Any:
        return get_plugins().call(self.registered, function, check=check)


@dataclass
class PluginFrame(VOSFrame):
    """A frame of a plugin's video, not read yet."""

    video: PluginVideo | None = None

    def picture(self) -> Image.Image:
        """Read it."""
        assert self.video is not None
        return self.video.picture(self.frame_idx)


class NamedVideos(VOSRawDataset):
    """What a kind of labelled data opens; each process opens it for itself.

    Parameters
    ----------
    kind : str
        Name of a :class:`~sam2_core.hooks.DatasetKind`, such as ``drawn-stacks``.
    source : str
        Path or URL.
    options : mapping, optional
        Of that kind.
    videos : (int, int), optional
        First video and the one after the last to use, for a split into training and validation.

    Raises
    ------
    PluginError
        Nobody adds such a kind, or it failed.
    InvalidInputError, InvalidTypeError
        It has no such option, or holds no such videos.
    """

    def __init__(
        self,
        kind: str,
        source: str,
        options: Mapping[str, Any] | None = None,
        videos: Sequence[int] | None = None,
    ) -> None:
        self._given = {"name": kind, "options": dict(options or {})}
        self._source = source
        self._opened: tuple[Registered[DatasetKind], Sequence[TrainingVideo]] | None = None
        registered, everything = self._open()
        count = get_plugins().call(registered, lambda: len(everything))
        first, end = (0, count) if videos is None else (int(videos[0]), int(videos[1]))
        if not 0 <= first < end <= count:
            raise InvalidInputError(
                f"videos has to be a part of 0 to {count}, with at least one video; got {first} to {end} of {source}."
            )
        self.range = range(first, end)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def _open(self) -> tuple[Registered[DatasetKind], Sequence[TrainingVideo]]:
        if self._opened is None:
            choice = choose(DatasetKind, self._given, "a kind of data", lambda kind: kind.open)
            self._opened = (choice.registered, choice.call(self._source, check=_require_sequence))
        return self._opened

    def get_video(self, idx: int) -> tuple[VOSVideo, PluginVideo]:
        """Return a whole video and its masks."""
        registered, everything = self._open()
        number = self.range[idx]
        video = PluginVideo(registered, get_plugins().call(registered, lambda: everything[number]))
        name = video.name
        frames: list[VOSFrame] = [PluginFrame(frame, name, None, video) for frame in range(len(video))]
        return VOSVideo(name, idx, frames, video), video

    def __len__(self) -> int:
        return len(self.range)


def _require_sequence(found: Any) -> None:
    if not hasattr(found, "__getitem__") or not hasattr(found, "__len__"):
        raise InvalidInputError(f"open returns a sequence of videos; got {found!r:.200}")


def _require_masks(found: Any, frame: int) -> None:
    if found is None:
        return
    if not isinstance(found, Mapping):
        raise InvalidInputError(f"masks({frame}) is a mapping from numbers to masks, or None; got {_described(found)}")
    for number, mask in found.items():
        if not isinstance(number, int | np.integer):
            raise InvalidInputError(f"masks({frame}) has numbers for keys; got {number!r}")
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
            raise InvalidInputError(f"masks({frame})[{number}] is (y, x) bool; got {_described(mask)}")


def _described(found: Any) -> str:
    return f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else f"{found!r:.200}"
