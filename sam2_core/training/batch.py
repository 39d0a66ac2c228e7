"""What a training step is given: frames of one or several videos and the objects in them.

Field names are the official ones, so that transforms and models written for the official trainer find what they expect.

Notation for shapes: T frames, B videos, O objects of all videos together, (H, W) the input size in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError


@dataclass
class Object:
    """One object in one frame.

    Attributes
    ----------
    object_id : int
    frame_index : int
        Number of the frame in its video.
    segment : Tensor (H, W) uint8 or None
        1 where the object is; None where nobody has said.
    """

    object_id: int
    frame_index: int
    segment: Tensor | None


@dataclass
class Frame:
    """One frame and its objects, in the same order in all frames of a video.

    Attributes
    ----------
    data : PIL image, or Tensor (3, H, W)
        A picture until the transforms have made a tensor of it.
    objects : list of Object
    size : (int, int), optional
        Height and width after resizing.
    """

    data: Any
    objects: list[Object] = field(default_factory=list)
    size: tuple[int, int] | None = None


@dataclass
class VideoDatapoint:
    """Frames chosen from one video.

    Attributes
    ----------
    frames : list of Frame
    video_id : int
    size : (int, int)
        Height and width before the transforms.
    """

    frames: list[Frame]
    video_id: int
    size: tuple[int, int]


@dataclass
class BatchedVideoMetaData:
    """Where a batch came from.

    Attributes
    ----------
    unique_objects_identifier : Tensor (T, O, 3), int64
        Video, object and frame number.
    frame_orig_size : Tensor (T, O, 2), int64
        Height and width before the transforms.
    """

    unique_objects_identifier: Tensor
    frame_orig_size: Tensor


@dataclass
class BatchedVideoDatapoint:
    """A batch of videos of equal length.

    Attributes
    ----------
    img_batch : Tensor (T, B, 3, H, W), float32
        Normalised frames.
    obj_to_frame_idx : Tensor (T, O, 2), int32
        Frame and video of each object.
    masks : Tensor (T, O, H, W), bool
    metadata : BatchedVideoMetaData
    dict_key : str
        Chooses the loss and the meters.
    labelled : Tensor (T, O), bool, optional
        False where nobody has said what an object's mask is: such frames are tracked and not judged. All True by
        default.
    """

    img_batch: Tensor
    obj_to_frame_idx: Tensor
    masks: Tensor
    metadata: BatchedVideoMetaData
    dict_key: str
    labelled: Tensor | None = None

    @property
    def num_frames(self) -> int:
        """T."""
        return self.masks.shape[0]

    @property
    def num_videos(self) -> int:
        """B."""
        return self.img_batch.shape[1]

    @property
    def flat_obj_to_img_idx(self) -> Tensor:
        """Place of each object's frame in :attr:`flat_img_batch`: (T, O)."""
        frame, video = self.obj_to_frame_idx.unbind(dim=-1)
        return video * self.num_frames + frame

    @property
    def flat_img_batch(self) -> Tensor:
        """All frames, video after video: (B * T, 3, H, W)."""
        return self.img_batch.transpose(0, 1).flatten(0, 1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return the batch in page-locked memory, from which copies to a GPU are quick."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Any) -> Self:
        def of(part: Any) -> Any:
            return {f.name: change(v) for f in fields(part) if isinstance(v := getattr(part, f.name), Tensor)}

        return replace(self, **of(self), metadata=replace(self.metadata, **of(self.metadata)))


def collate_fn(batch: Sequence[VideoDatapoint], dict_key: str) -> BatchedVideoDatapoint:
    """Put videos of one length and size together.

    Parameters
    ----------
    batch : sequence of VideoDatapoint
        Their frames are tensors (3, H, W).
    dict_key : str
        Kept in the batch.

    Raises
    ------
    InvalidInputError
        Videos differ in length, frames in size, or a frame lacks an object that another frame of its video has.
    """
    lengths = {len(video.frames) for video in batch}
    if len(lengths) != 1 or 0 in lengths:
        raise InvalidInputError(
            f"Videos of a batch need one and the same number of frames, at least 1; got {sorted(lengths)}. Let the "
            "sampler take a fixed number of frames, or use batches of one video."
        )
    sizes = {tuple(frame.data.shape) for video in batch for frame in video.frames}
    if len(sizes) != 1:
        raise InvalidInputError(f"Frames of a batch need one size; got {sorted(sizes)}. Add a transform that resizes.")
    _, height, width = next(iter(sizes))
    for video in batch:
        identities = [[thing.object_id for thing in frame.objects] for frame in video.frames]
        if not identities[0] or any(each != identities[0] for each in identities):
            raise InvalidInputError(
                f"Every frame of a video needs the same objects, at least one; video {video.video_id} has "
                f"{identities}. A frame without an object takes an empty mask."
            )
    count = lengths.pop()
    places, masks, known, identifiers, original = [], [], [], [], []
    for number in range(count):
        row = [(index, video, thing) for index, video in enumerate(batch) for thing in video.frames[number].objects]
        for _, video, thing in row:
            if thing.segment is not None and tuple(thing.segment.shape) != (height, width):
                raise InvalidInputError(
                    f"The mask of object {thing.object_id} in video {video.video_id} is {tuple(thing.segment.shape)}, "
                    f"its frame {(height, width)} (y, x): labels and images have to be of one shape."
                )
        nothing = torch.zeros(height, width, dtype=torch.bool)
        places.append(torch.tensor([[number, index] for index, _, _ in row], dtype=torch.int32))
        masks.append(torch.stack([nothing if t.segment is None else t.segment.to(torch.bool) for _, _, t in row]))
        known.append(torch.tensor([thing.segment is not None for _, _, thing in row]))
        identifiers.append(torch.tensor([[v.video_id, t.object_id, t.frame_index] for _, v, t in row]))
        original.append(torch.tensor([list(video.size) for _, video, _ in row]))
    return BatchedVideoDatapoint(
        img_batch=torch.stack([torch.stack([frame.data for frame in video.frames]) for video in batch], dim=1),
        obj_to_frame_idx=torch.stack(places),
        masks=torch.stack(masks),
        metadata=BatchedVideoMetaData(torch.stack(identifiers), torch.stack(original)),
        dict_key=dict_key,
        labelled=torch.stack(known),
    )
