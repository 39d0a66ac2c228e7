"""Data sets of training videos: read, sampled, transformed; repeated, joined, cut."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils import data

from sam2_core.errors import InvalidInputError, PluginError, Sam2Error
from sam2_core.training.batch import Frame, Object, VideoDatapoint
from sam2_core.training.frame_samplers import SampledFramesAndObjects, VOSSampler
from sam2_core.training.raw_videos import VOSFrame, VOSRawDataset, VOSVideo
from sam2_core.training.segment_loaders import JSONSegmentLoader, SegmentLoader

ATTEMPTS = 100
_log = logging.getLogger(__name__)

Transform = Callable[..., VideoDatapoint]


class VOSDataset(data.Dataset[VideoDatapoint]):
    """Videos of a raw data set, sampled and transformed.

    Parameters
    ----------
    transforms : sequence of callable
        Each takes a datapoint and ``epoch``.
    training : bool
        A video that cannot be used is reported and another one taken in its place, up to 100 times; otherwise it is
        an error.
    video_dataset : VOSRawDataset
    sampler : VOSSampler
    multiplier : float
        How often each video is taken in an epoch, by a :class:`RepeatFactorWrapper`.
    always_target : bool
        An object that a frame lacks has an empty mask there; otherwise it is left out of that frame.
    target_segments_available : bool
        Accepted for official configurations.
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        training: bool,
        video_dataset: VOSRawDataset,
        sampler: VOSSampler,
        multiplier: float,
        always_target: bool = True,
        target_segments_available: bool = True,
    ) -> None:
        self._transforms = list(transforms)
        self.training = training
        self.video_dataset = video_dataset
        self.sampler = sampler
        self.repeat_factors = torch.full((len(video_dataset),), float(multiplier))
        self.curr_epoch = 0
        self.always_target = always_target
        self.target_segments_available = target_segments_available

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is; transforms and samplers are told."""
        self.curr_epoch = epoch

    def __getitem__(self, idx: int | Tensor) -> VideoDatapoint:
        video, sampled, loader = self._sample(int(idx))
        datapoint = self._construct(video, sampled, loader)
        for transform in self._transforms:
            datapoint = transform(datapoint, epoch=self.curr_epoch)
        return datapoint

    def __len__(self) -> int:
        return len(self.video_dataset)

    def _sample(self, index: int) -> tuple[VOSVideo, SampledFramesAndObjects, SegmentLoader]:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._sample_one(index)
            except PluginError:
                raise  # broken code, not a video that cannot be used
            except (Sam2Error, OSError) as error:
                if not self.training:
                    raise
                _log.warning("Video %d cannot be used, another is taken in its place: %s", index, error)
                index = random.randrange(0, len(self.video_dataset))
        return self._sample_one(index)

    def _sample_one(self, index: int) -> tuple[VOSVideo, SampledFramesAndObjects, SegmentLoader]:
        video, loader = self.video_dataset.get_video(index)
        return video, self.sampler.sample(video, loader, epoch=self.curr_epoch), loader

    def _construct(self, video: VOSVideo, sampled: SampledFramesAndObjects, loader: SegmentLoader) -> VideoDatapoint:
        frames = []
        for frame, picture in zip(sampled.frames, _pictures(sampled.frames), strict=True):
            if isinstance(loader, JSONSegmentLoader):
                segments = loader.load(frame.frame_idx, obj_ids=sampled.object_ids)
            else:
                segments = loader.load(frame.frame_idx)
            unlabelled = video.labelled is not None and frame.frame_idx not in video.labelled
            objects = []
            for identity in sampled.object_ids:
                if identity in segments:
                    given = segments[identity]
                    mask = None if given is None else given.to(torch.uint8)
                elif unlabelled:
                    mask = None
                elif self.always_target:
                    mask = torch.zeros(picture.height, picture.width, dtype=torch.uint8)
                else:
                    continue
                if mask is not None and tuple(mask.shape) != (picture.height, picture.width):
                    raise InvalidInputError(
                        f"Frame {frame.frame_idx} of {video.video_name} is {(picture.height, picture.width)}, its mask "
                        f"{tuple(mask.shape)} (y, x): labels and images have to be of one shape."
                    )
                objects.append(Object(identity, frame.frame_idx, mask))
            frames.append(Frame(picture, objects))
        return VideoDatapoint(frames, video.video_id, (frames[-1].data.height, frames[-1].data.width))


def _pictures(frames: Sequence[VOSFrame]) -> list[Image.Image]:
    """Read pictures, each file once."""
    read: dict[Any, Image.Image] = {}
    pictures = []
    for frame in frames:
        key = (frame.image_path, frame.frame_idx) if type(frame) is not VOSFrame else frame.image_path
        if frame.data is not None or key not in read:
            read[key] = frame.picture()
            pictures.append(read[key])
        else:
            pictures.append(copy.copy(read[key]))
    return pictures


class ConcatDataset(data.ConcatDataset[VideoDatapoint]):
    """Several data sets as one, with their repeat factors."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        super().__init__(datasets)
        self.repeat_factors = torch.cat([each.repeat_factors for each in self.datasets])  # type: ignore[attr-defined]

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch it is."""
        for each in self.datasets:
            tell_epoch(each, epoch)


class Subset(data.Subset[VideoDatapoint]):
    """Some items of a data set, with their repeat factors."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        super().__init__(dataset, indices)
        self.repeat_factors = dataset.repeat_factors[indices]


class RepeatFactorWrapper(data.Dataset[VideoDatapoint]):
    """Takes each item as often as its repeat factor says; the fraction is a chance, drawn anew in each epoch.

    Parameters
    ----------
    dataset
        With ``repeat_factors`` (N,).
    seed : int
    """

    def __init__(self, dataset: Any, seed: int = 0) -> None:
        self.dataset = dataset
        self._seed = seed
        self.epoch_ids: Tensor | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the items of an epoch."""
        generator = torch.Generator().manual_seed(self._seed + epoch)
        factors = self.dataset.repeat_factors
        whole = factors.trunc()
        times = whole + (torch.rand(len(factors), generator=generator) < factors - whole).float()
        self.epoch_ids = torch.arange(len(factors)).repeat_interleave(times.long())
        tell_epoch(self.dataset, epoch)

    def _chosen(self) -> Tensor:
        if self.epoch_ids is None:
            self.set_epoch(0)
            assert self.epoch_ids is not None
        return self.epoch_ids

    def __len__(self) -> int:
        return len(self._chosen())

    def __getitem__(self, idx: int) -> VideoDatapoint:
        item: VideoDatapoint = self.dataset[int(self._chosen()[idx])]
        return item


def tell_epoch(dataset: Any, epoch: int) -> None:
    """Say which epoch it is, to data sets that want to know."""
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
    elif hasattr(dataset, "epoch"):
        dataset.epoch = epoch
