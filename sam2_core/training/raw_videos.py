"""Videos with masks, as public data sets lay them out: DAVIS, MOSE, YouTube-VOS, SA-V, SA-1B."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.training.segment_loaders import (
    JSONSegmentLoader,
    MultiplePNGSegmentLoader,
    PalettisedPNGSegmentLoader,
    SA1BSegmentLoader,
    SegmentLoader,
)


@dataclass
class VOSFrame:
    """One frame of a video, not read yet.

    Attributes
    ----------
    frame_idx : int
    image_path : str
    data : Tensor (3, H, W), optional
        Values from 0 to 1 where the picture is in memory already.
    """

    frame_idx: int
    image_path: str
    data: Tensor | None = None

    def picture(self) -> Image.Image:
        """Read the picture in RGB."""
        if self.data is not None:
            shown: Image.Image = F.to_pil_image(self.data)
            return shown
        try:
            with Image.open(self.image_path) as file:
                return file.convert("RGB")
        except FileNotFoundError as error:
            raise MissingFileError(f"There is no frame {self.image_path}.") from error
        except OSError as error:
            raise InvalidInputError(f"{self.image_path} cannot be read as a picture: {error}") from error


@dataclass
class VOSVideo:
    """A video.

    Attributes
    ----------
    video_name : str
    video_id : int
    frames : list of VOSFrame
    labelled : container of int, optional
        Frame numbers that somebody has labelled; None for all.
    """

    video_name: str
    video_id: int
    frames: list[VOSFrame]
    labelled: Container[int] | None = None

    def __len__(self) -> int:
        return len(self.frames)


class VOSRawDataset(ABC):
    """Videos by number, with loaders of their masks."""

    @abstractmethod
    def get_video(self, idx: int) -> tuple[VOSVideo, SegmentLoader]:
        """Return a video and the loader of its masks."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of videos."""


class _Folders(VOSRawDataset):
    """Videos that are found by their names."""

    video_names: list[str]

    def __len__(self) -> int:
        return len(self.video_names)


class PNGRawDataset(_Folders):
    """Folders of JPEG frames beside folders of PNG masks.

    Parameters
    ----------
    img_folder, gt_folder : str or Path
        With a folder for each video.
    file_list_txt, excluded_videos_list_txt : str or Path, optional
        Names of videos to take or to leave out, one a line.
    sample_rate : int
        Take every n-th frame.
    is_palette : bool
        One PNG a frame; otherwise one folder an object.
    single_object_mode : bool
        Each object is a video of its own.
    truncate_video : int
        Take that many frames at most; -1 for all.
    frames_sampling_mult : bool
        Take a video as often as it has frames.
    """

    def __init__(
        self,
        img_folder: str | Path,
        gt_folder: str | Path,
        file_list_txt: str | Path | None = None,
        excluded_videos_list_txt: str | Path | None = None,
        sample_rate: int = 1,
        is_palette: bool = True,
        single_object_mode: bool = False,
        truncate_video: int = -1,
        frames_sampling_mult: bool = False,
    ) -> None:
        self.img_folder = existing_folder(img_folder, "img_folder")
        self.gt_folder = existing_folder(gt_folder, "gt_folder")
        self.sample_rate = sample_rate
        self.is_palette = is_palette
        self.single_object_mode = single_object_mode
        self.truncate_video = truncate_video
        listed = read_names(file_list_txt) or [path.name for path in self.img_folder.iterdir() if path.is_dir()]
        excluded = set(read_names(excluded_videos_list_txt) or ())
        names = sorted(name for name in listed if name not in excluded)
        if single_object_mode:
            names = sorted(f"{name}/{path.name}" for name in names for path in (self.gt_folder / name).iterdir())
        if frames_sampling_mult:
            names = [name for name in names for _ in self._frames_of(name)]
        if not names:
            raise InvalidInputError(f"{self.img_folder} holds no videos to train on; expected a folder for each.")
        self.video_names = names

    def _frames_of(self, name: str) -> list[Path]:
        folder = self.img_folder / (name.rsplit("/", 1)[0] if self.single_object_mode else name)
        frames = sorted(folder.glob("*.jpg"))
        if not frames:
            raise MissingFileError(f"{folder} has no JPEG frames.")
        return frames

    def get_video(self, idx: int) -> tuple[VOSVideo, SegmentLoader]:
        """Return a video and the loader of its masks."""
        name = self.video_names[idx]
        masks = self.gt_folder / name
        loader: SegmentLoader
        if self.is_palette:
            loader = PalettisedPNGSegmentLoader(masks)
        else:
            loader = MultiplePNGSegmentLoader(masks, self.single_object_mode)
        paths = self._frames_of(name)
        if self.truncate_video > 0:
            paths = paths[: self.truncate_video]
        frames = [VOSFrame(int(path.name.split(".")[0]), str(path)) for path in paths[:: self.sample_rate]]
        return VOSVideo(name, idx, frames), loader


class SA1BRawDataset(_Folders):
    """SA-1B: images ``sa_N.jpg`` with masks in ``sa_N.json``; each is a video of equal frames.

    Parameters
    ----------
    img_folder, gt_folder : str or Path
    file_list_txt, excluded_videos_list_txt : str or Path, optional
        Names of images to take or to leave out, one a line.
    num_frames : int
        How often the image is repeated.
    mask_area_frac_thresh, uncertain_iou : float
        See :class:`~sam2_core.training.segment_loaders.SA1BSegmentLoader`.
    """

    def __init__(
        self,
        img_folder: str | Path,
        gt_folder: str | Path,
        file_list_txt: str | Path | None = None,
        excluded_videos_list_txt: str | Path | None = None,
        num_frames: int = 1,
        mask_area_frac_thresh: float = 1.1,
        uncertain_iou: float = -1,
    ) -> None:
        self.img_folder = existing_folder(img_folder, "img_folder")
        self.gt_folder = existing_folder(gt_folder, "gt_folder")
        self.num_frames = num_frames
        self.mask_area_frac_thresh = mask_area_frac_thresh
        self.uncertain_iou = uncertain_iou
        listed = read_names(file_list_txt) or sorted(path.stem for path in self.img_folder.glob("*.jpg"))
        excluded = set(read_names(excluded_videos_list_txt) or ())
        self.video_names = [name for name in listed if name not in excluded]
        if not self.video_names:
            raise InvalidInputError(f"{self.img_folder} holds no JPEG images to train on.")

    def get_video(self, idx: int) -> tuple[VOSVideo, SegmentLoader]:
        """Return an image as a video and the loader of its masks."""
        name = self.video_names[idx]
        path = self.img_folder / f"{name}.jpg"
        loader = SA1BSegmentLoader(
            self.gt_folder / f"{name}.json", self.mask_area_frac_thresh, path, uncertain_iou=self.uncertain_iou
        )
        number = name.split("_")[-1]
        identity = int(number) if number.isdigit() else idx
        return VOSVideo(number, identity, [VOSFrame(t, str(path)) for t in range(self.num_frames)]), loader


class JSONRawDataset(_Folders):
    """SA-V: folders of JPEG frames, masks in ``NAME_manual.json``.

    Parameters
    ----------
    img_folder, gt_folder : str or Path
    file_list_txt : str or Path, optional
    excluded_videos_list_txt : str, Path or sequence of them, optional
    sample_rate : int
        Take every n-th frame.
    rm_unannotated : bool
        Leave out frames in which an object has no mask.
    ann_every, frames_fps : int
        See :class:`~sam2_core.training.segment_loaders.JSONSegmentLoader`.
    """

    def __init__(
        self,
        img_folder: str | Path,
        gt_folder: str | Path,
        file_list_txt: str | Path | None = None,
        excluded_videos_list_txt: str | Path | Sequence[str | Path] | None = None,
        sample_rate: int = 1,
        rm_unannotated: bool = True,
        ann_every: int = 1,
        frames_fps: int = 24,
    ) -> None:
        self.img_folder = existing_folder(img_folder, "img_folder")
        self.gt_folder = existing_folder(gt_folder, "gt_folder")
        self.sample_rate = sample_rate
        self.rm_unannotated = rm_unannotated
        self.ann_every = ann_every
        self.frames_fps = frames_fps
        lists: list[Any] = []
        if excluded_videos_list_txt is not None:
            single = isinstance(excluded_videos_list_txt, str | Path)
            lists = [excluded_videos_list_txt] if single else list(excluded_videos_list_txt)  # type: ignore[arg-type]
        excluded = {name for each in lists for name in read_names(each) or ()}
        listed = read_names(file_list_txt) or [path.name for path in self.img_folder.iterdir() if path.is_dir()]
        self.video_names = sorted(name for name in listed if name not in excluded)
        if not self.video_names:
            raise InvalidInputError(f"{self.img_folder} holds no videos to train on; expected a folder for each.")

    def get_video(self, idx: int) -> tuple[VOSVideo, SegmentLoader]:
        """Return a video and the loader of its masks."""
        name = self.video_names[idx]
        loader = JSONSegmentLoader(
            self.gt_folder / f"{name}_manual.json", ann_every=self.ann_every, frames_fps=self.frames_fps
        )
        folder = existing_folder(self.img_folder / name, "video")
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")[:: self.sample_rate]
        frames = [VOSFrame(int(path.stem), str(path)) for path in paths]
        if self.rm_unannotated:
            annotated = set(loader.annotated_frames())
            frames = [frame for frame in frames if frame.frame_idx in annotated]
        return VOSVideo(name, idx, frames), loader


def existing_folder(path: str | Path | None, name: str) -> Path:
    """Return a folder that is there, or say which option should have named one."""
    if path is None or not Path(path).is_dir():
        raise MissingFileError(f"{name} has to be an existing folder; got {path}. Give it as an override: …{name}=PATH")
    return Path(path)


def read_names(path: str | Path | None) -> list[str] | None:
    """Read the names of a list file, without their endings; None without a file."""
    if path is None:
        return None
    if not Path(path).exists():
        raise MissingFileError(f"There is no list of videos {path}; leave it out to take all (…file_list_txt=null).")
    return [Path(line.strip()).stem for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
