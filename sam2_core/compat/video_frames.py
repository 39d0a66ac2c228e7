"""The official loaders of video frames, on our lazy ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from sam2_core.compat.signatures import with_signature_of
from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD, FrameTransform
from sam2_core.inference.video_frames import DEFAULT_FRAMES_AHEAD, PreparedFrames, open_prepared_frames

Frames = Tensor | PreparedFrames


def load_video_frames(
    video_path: str | bytes | Path,
    image_size: int,
    offload_video_to_cpu: bool,
    img_mean: Sequence[float] = IMAGE_MEAN,
    img_std: Sequence[float] = IMAGE_STD,
    async_loading_frames: bool = False,
    compute_device: torch.device | None = None,
) -> tuple[Frames, int, int]:
    """Load the frames of a video or a folder, resized and normalised.

    Parameters
    ----------
    video_path : str, Path or bytes
        An mp4 file or its bytes, a folder of pictures, a TIFF stack.
    image_size : int
        Side of the model's input, pixels.
    offload_video_to_cpu : bool
        Keep the frames on the CPU.
    img_mean, img_std : sequence of float
        Of each RGB channel, on a scale of 0 to 1.
    async_loading_frames : bool
        Return a sequence that reads frames when they are needed, and the next ones in a background thread.
    compute_device : torch.device, optional
        Where the frames go otherwise: CUDA where there is one, by default.

    Returns
    -------
    frames : Tensor or PreparedFrames
        (T, 3, image_size, image_size) float32, or a sequence of (3, image_size, image_size).
    height, width : int
        Size of the frames as they are in the source, pixels.

    Raises
    ------
    MissingFileError, InvalidInputError
        No such file, or nothing to read in it.
    """
    if compute_device is None:
        compute_device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    frames = open_prepared_frames(
        video_path,
        input_size=(image_size, image_size),
        device=torch.device("cpu") if offload_video_to_cpu else compute_device,
        frames_ahead=DEFAULT_FRAMES_AHEAD if async_loading_frames else 0,
    )
    wanted = FrameTransform(image_size, frames.transform.resampling, _three(img_mean), _three(img_std))
    if (wanted.mean, wanted.std) != (frames.transform.mean, frames.transform.std):
        frames = PreparedFrames(
            frames.stack,
            wanted,
            frames.device,
            frames_ahead=frames.frames_ahead,
            scaled_stack=frames._source,
        )
    height, width = frames.frame_size
    if async_loading_frames:
        return frames, height, width
    loaded = torch.stack(list(frames))
    frames.close()
    return loaded, height, width


@with_signature_of(load_video_frames)
def load_video_frames_from_jpg_images(video_path: str | Path, *args: Any, **kwargs: Any) -> tuple[Frames, int, int]:
    """Load the pictures of a folder; see :func:`load_video_frames`."""
    if not Path(video_path).is_dir():
        raise InvalidInputError(f"expected a folder of pictures, got {video_path}; load_video_frames reads videos")
    return load_video_frames(video_path, *args, **kwargs)


def load_video_frames_from_video_file(
    video_path: str | bytes | Path,
    image_size: int,
    offload_video_to_cpu: bool,
    img_mean: Sequence[float] = IMAGE_MEAN,
    img_std: Sequence[float] = IMAGE_STD,
    compute_device: torch.device | None = None,
) -> tuple[Frames, int, int]:
    """Load the frames of a video file or its bytes; see :func:`load_video_frames`."""
    return load_video_frames(
        video_path, image_size, offload_video_to_cpu, img_mean, img_std, compute_device=compute_device
    )


def _load_img_as_tensor(img_path: str | Path, image_size: int) -> tuple[Tensor, int, int]:
    """Load a picture, resized and not normalised; programs import it although its name begins with an underscore.

    Returns
    -------
    image : Tensor
        (3, image_size, image_size) float32, 0-1.
    height, width : int
        Size of the picture in its file, pixels.
    """
    with Image.open(img_path) as picture:
        image = FrameTransform(image_size, "frame", mean=(0, 0, 0), std=(1, 1, 1))(picture, torch.device("cpu"))
        return image, picture.height, picture.width


class AsyncVideoFrameLoader:
    """A sequence of picture files as model input, read when needed and ahead of it in a background thread.

    Parameters
    ----------
    img_paths : sequence of str
        Pictures of one folder, all of them.
    image_size : int
        Side of the model's input, pixels.
    offload_video_to_cpu : bool
        Keep the frames on the CPU.
    img_mean, img_std : sequence of float, or Tensor
        Of each RGB channel, on a scale of 0 to 1.
    compute_device : torch.device
        Where the frames go otherwise.
    """

    def __init__(
        self,
        img_paths: Sequence[str],
        image_size: int,
        offload_video_to_cpu: bool,
        img_mean: Sequence[float] | Tensor = IMAGE_MEAN,
        img_std: Sequence[float] | Tensor = IMAGE_STD,
        compute_device: torch.device | None = None,
    ) -> None:
        folders = {Path(path).parent for path in img_paths}
        if len(folders) != 1:
            raise InvalidInputError(f"expected pictures of one folder, got {len(folders)} folders")
        frames, self.video_height, self.video_width = load_video_frames(
            folders.pop(), image_size, offload_video_to_cpu, _three(img_mean), _three(img_std), True, compute_device
        )
        if len(frames) != len(img_paths):
            raise InvalidInputError(
                f"the folder has {len(frames)} pictures, {len(img_paths)} were named: name them all"
            )
        self.images = frames

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)


def _three(values: Sequence[float] | Tensor) -> list[float]:
    """Three numbers, from a list or from a tensor of any shape."""
    return [float(value) for value in (values.flatten() if isinstance(values, Tensor) else values)]
