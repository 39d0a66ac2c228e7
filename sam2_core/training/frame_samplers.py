"""Which frames and objects of a video are trained on. Drawn from Python's ``random``, in the official order."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

from sam2_core.errors import InvalidInputError
from sam2_core.training.raw_videos import VOSFrame, VOSVideo
from sam2_core.training.segment_loaders import LazySegments, SegmentLoader

ATTEMPTS = 1000


@dataclass
class SampledFramesAndObjects:
    """What was chosen.

    Attributes
    ----------
    frames : list of VOSFrame
    object_ids : list of int
    """

    frames: list[VOSFrame]
    object_ids: list[int]


class VOSSampler(ABC):
    """Chooses frames and objects.

    Parameters
    ----------
    sort_frames : bool
        In the order of their numbers.
    """

    def __init__(self, sort_frames: bool = True) -> None:
        self.sort_frames = sort_frames

    @abstractmethod
    def sample(
        self, video: VOSVideo, segment_loader: SegmentLoader, epoch: int | None = None
    ) -> SampledFramesAndObjects:
        """Choose from a video."""


class RandomUniformSampler(VOSSampler):
    """Consecutive frames from anywhere, and random objects of the first of them.

    Parameters
    ----------
    num_frames : int
    max_num_objects : int
    reverse_time_prob : float
        How often the frames run backwards.
    """

    def __init__(self, num_frames: int, max_num_objects: int, reverse_time_prob: float = 0.0) -> None:
        super().__init__()
        if num_frames < 1 or max_num_objects < 1:
            raise InvalidInputError(
                f"num_frames and max_num_objects are at least 1; got {num_frames} and {max_num_objects}"
            )
        self.num_frames = num_frames
        self.max_num_objects = max_num_objects
        self.reverse_time_prob = reverse_time_prob

    def sample(
        self, video: VOSVideo, segment_loader: SegmentLoader, epoch: int | None = None
    ) -> SampledFramesAndObjects:
        """Choose from a video.

        Raises
        ------
        InvalidInputError
            It is too short, or no frame shows an object.
        """
        if len(video.frames) < self.num_frames:
            raise InvalidInputError(
                f"{video.video_name} has {len(video.frames)} frames to train on, fewer than the {self.num_frames} "
                "asked for. Set num_frames lower; 1 trains on single images."
            )
        for _ in range(ATTEMPTS):
            start = random.randrange(0, len(video.frames) - self.num_frames + 1)
            frames = video.frames[start : start + self.num_frames]
            if random.uniform(0, 1) < self.reverse_time_prob:
                frames = frames[::-1]
            if video.labelled is not None and frames[0].frame_idx not in video.labelled:
                continue
            segments = segment_loader.load(frames[0].frame_idx)
            # those that are not decoded yet are known to have an area
            lazy = isinstance(segments, LazySegments)
            visible = [i for i in segments if lazy or ((mask := segments[i]) is not None and bool(mask.any()))]
            if visible:
                chosen = random.sample(visible, min(len(visible), self.max_num_objects))
                return SampledFramesAndObjects(frames, chosen)
        raise InvalidInputError(
            f"No frame of {video.video_name} that was tried shows an object: are its masks empty, or frame numbers of "
            "images and masks different?"
        )


class EvalSampler(VOSSampler):
    """All frames, and all objects of the first one."""

    def sample(
        self, video: VOSVideo, segment_loader: SegmentLoader, epoch: int | None = None
    ) -> SampledFramesAndObjects:
        """Choose from a video.

        Raises
        ------
        InvalidInputError
            The first frame has no object.
        """
        frames = sorted(video.frames, key=lambda frame: frame.frame_idx) if self.sort_frames else list(video.frames)
        objects = list(segment_loader.load(frames[0].frame_idx))
        if not objects:
            raise InvalidInputError(f"The first frame of {video.video_name} shows no object.")
        return SampledFramesAndObjects(frames, objects)
