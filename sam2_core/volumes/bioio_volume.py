"""Microscope formats (CZI, ND2, LIF and others) as volumes, read through bioio where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2_core.errors import InvalidInputError, MissingDependencyError, Sam2Error
from sam2_core.volumes.array_volume import ArrayVolume
from sam2_core.volumes.axes import parse_axes
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.source import MICROSCOPE_SUFFIXES
from sam2_core.volumes.volume import Volume

INSTALL = "pip install 'sam2-lab[formats]'"
_LISTED = 12
# Formats that are read by their own reader alone, with what it reads at once where that would be whole stacks
# otherwise: a plane, with the colours of its pixels. "A" is what CZI files call those, of which bioio-czi 3.0 repeats
# the first where they are not read together.
_PLANES = {"czi": "YXA", "lif": "YXS", "nd2": ""}
# Formats that have the colours of a pixel as blue, green, red, and whose own readers leave them so.
_BLUE_FIRST = ("czi", "nd2")


class BioioVolume(ArrayVolume):
    """One scene of a file that bioio reads.

    Parameters
    ----------
    image : bioio.BioImage
        At its scene and resolution level.
    path : Path
    axes : str, optional
        Letters for bioio's dimensions, to correct what the file says.
    is_blue_first : bool
        Whether the colours of a pixel come as blue, green, red.
    """

    def __init__(
        self, image: Any, path: Path, *, axes: str | Sequence[str] | None = None, is_blue_first: bool = False
    ) -> None:
        self._image = image
        self._stamp = FileStamp.of(path)
        order = str(image.dims.order).upper()
        pixels = image.dask_data
        channel_names = [str(name) for name in image.channel_names or ()]
        letters = order.replace("S", "C").casefold()
        if "S" in order and is_blue_first:
            pixels = pixels[..., ::-1]
        if "S" in order and "C" in order:
            # the colours of a pixel are its channels, where there is one channel; else they count as more of them
            pixels, letters = _merged_samples(pixels, order)
            channel_names = []
        if axes is not None:
            letters = parse_axes(axes, len(letters), path.name)
        sizes = image.physical_pixel_sizes
        # a stack taken downwards has a negative step in LIF files
        scale = {axis: abs(float(size)) for axis, size in zip("zyx", (sizes.Z, sizes.Y, sizes.X), strict=True) if size}
        if path.suffix.casefold() == ".nd2":
            for axis in _axes_without_size(image):
                scale.pop(axis, None)
        interval = _seconds(getattr(image, "time_interval", None))
        if interval is None and path.suffix.casefold() == ".lif":
            interval = _lif_interval(image)
        if interval:
            scale["t"] = interval
        super().__init__(
            pixels,
            axes=letters,
            name=path.name,
            address=str(path),
            scale=scale,
            # what bioio gives sizes in
            units={axis: "second" if axis == "t" else "micrometer" for axis in scale},
            channel_names=channel_names,
            levels=len(getattr(image, "resolution_levels", (0,))),
            level=int(getattr(image, "current_resolution_level", 0)),
        )

    def _read_region(self, region: tuple[slice, ...]) -> Any:
        self._stamp.check()
        return super()._read_region(region)


class BioioReader:
    """Reads microscope formats through bioio: CZI, ND2, LIF and those whose readers are installed."""

    name = "bioio"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        if not isinstance(source, Path) or source.is_dir():
            return 0
        return 2 if source.suffix.casefold() in MICROSCOPE_SUFFIXES else 0

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open a scene of the file."""
        kind = source.suffix.lstrip(".").upper()
        if importlib.util.find_spec("bioio") is None:
            raise MissingDependencyError(
                f"{source.name} is a {kind} file, which is read through bioio. Install it: {INSTALL}"
            )
        from bioio import BioImage

        try:
            own_reader = _own_reader(kind.casefold())
            image = BioImage(source, **own_reader)
            scenes = list(image.scenes)  # where some readers first look into the file
        except Exception as error:  # each format's reader fails in ways of its own
            # bioio says the same of a format without a reader and of a file that its reader refuses
            is_without_reader = importlib.util.find_spec(f"bioio_{kind.casefold()}") is None
            if type(error).__name__ == "UnsupportedFileFormatError" and is_without_reader:
                raise MissingDependencyError(
                    f"No installed bioio reader takes {source.name}. For CZI, ND2 and LIF: {INSTALL}; for other "
                    f"formats the reader of that format, or save it as OME-TIFF or OME-Zarr. ({error})"
                ) from error
            raise InvalidInputError(
                f"{source.name} cannot be opened ({type(error).__name__}: {' '.join(str(error).split())}). It may be "
                "cut short or damaged."
            ) from error
        _choose_scene(image, scenes, options.series, source.name)
        try:
            _choose_level(image, options.level, source.name)
            is_blue_first = kind.casefold() in _BLUE_FIRST and bool(own_reader)
            return BioioVolume(image, source, axes=options.axes, is_blue_first=is_blue_first)
        except Sam2Error:
            raise
        except Exception as error:  # what kinds of images a reader does not know, it says in ways of its own
            raise InvalidInputError(
                f"{source.name} is a {kind} file, but the image in it cannot be read ({type(error).__name__}: "
                f"{' '.join(str(error).split())}). Its bioio reader may not know this kind of image (bioio-lif 2.0: "
                "those in colour), so save it as OME-TIFF; or the file is damaged, so copy it again."
            ) from error


def _own_reader(kind: str) -> dict[str, Any]:
    """Options for a format whose own reader is installed: that one alone, told to read plane by plane."""
    if kind not in _PLANES or importlib.util.find_spec(f"bioio_{kind}") is None:
        return {}
    options = {"reader": importlib.import_module(f"bioio_{kind}").Reader}
    return {**options, "chunk_dims": list(_PLANES[kind])} if _PLANES[kind] else options


def _choose_scene(image: Any, scenes: Sequence[str], series: int | str | None, name: str) -> None:
    if series is None and len(scenes) == 1:
        return
    if series not in scenes and not (isinstance(series, int) and 0 <= series < len(scenes)):
        listed = ", ".join(repr(scene) for scene in scenes[:_LISTED]) + (", …" if len(scenes) > _LISTED else "")
        given = "" if series is None else f"; there is none called {series!r}"
        raise InvalidInputError(
            f"{name} holds {len(scenes)} images: {listed}{given}. Choose one by name or number with series=, such as "
            f"series={scenes[0]!r} or series=0."
        )
    image.set_scene(series)


def _choose_level(image: Any, level: int | None, name: str) -> None:
    levels = tuple(getattr(image, "resolution_levels", (0,)))
    if level not in (None, *levels):
        raise InvalidInputError(f"{name} has resolution levels {levels[0]} to {levels[-1]}; got level={level!r}.")
    if level:
        image.set_resolution_level(level)


def _merged_samples(pixels: Any, order: str) -> tuple[Any, str]:
    """Put the colours of a pixel (S) into the channel axis, which goes last."""
    inner = "".join(letter for letter in order if letter not in "CS")
    pixels = pixels.transpose([order.index(letter) for letter in (*inner, "C", "S")])
    return pixels.reshape((*pixels.shape[:-2], pixels.shape[-2] * pixels.shape[-1])), inner.casefold() + "c"


def _seconds(interval: Any) -> float | None:
    """Seconds of a timedelta or a number; None where it is not known."""
    if interval is None:
        return None
    seconds = float(interval.total_seconds() if hasattr(interval, "total_seconds") else interval)
    return seconds if np.isfinite(seconds) and seconds > 0 else None


def _lif_interval(image: Any) -> float | None:
    """Seconds from frame to frame, which bioio-lif 2.0 says nowhere but in the coordinates of its array."""
    if importlib.util.find_spec("liffile") is None:
        return None  # bioio-lif 1, which has frames a second there
    times = image.xarray_dask_data.coords.get("T")
    return None if times is None or len(times) < 2 else _seconds(abs(float(times[1] - times[0])))


def _axes_without_size(image: Any) -> list[str]:
    """Axes of an ND2 file that is not calibrated; nd2 says 1 micrometre of them."""
    try:
        volume = image.xarray_dask_data.attrs["unprocessed"]["metadata"].channels[0].volume
        return [axis for axis, is_known in zip("xyz", volume.axesCalibrated, strict=True) if not is_known]
    except (AttributeError, IndexError, KeyError, TypeError):  # another reader of such files
        return []
