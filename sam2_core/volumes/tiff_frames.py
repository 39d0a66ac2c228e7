"""TIFF stacks (multi-page, ImageJ, OME) and single TIFF pictures, read plane by plane."""

from __future__ import annotations

import io
import struct
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack

_PICTURE_AXES = "YXSC"


class TiffFrames(FrameStack):
    """The planes of a TIFF file along one axis.

    Axes come from the file's own metadata (OME, ImageJ, tifffile); pages without any are frames of a stack.
    Uncompressed files are memory-mapped, others decoded one page at a time. Channels beyond one are mixed to red,
    green and blue.

    Parameters
    ----------
    source : Path or bytes
    axis : str, optional
        Letter of the axis along which frames are counted ("z", "t", …). Needed only where several are longer than one.
    at : mapping of str to int, optional
        Position on each of the other long axes, such as ``{"t": 3}``.
    channels : sequence of int, optional
        Which channels to show, at most three, in the order red, green, blue. All by default.
    contrast : None, "auto" or (float, float)
        See :class:`FrameStack`.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidInputError
        Not a TIFF, cut short, pages of differing size, more than three channels, or an axis that has to be chosen.
    """

    def __init__(
        self,
        source: Path | bytes,
        *,
        axis: str | None = None,
        at: Mapping[str, int] | None = None,
        channels: tuple[int, ...] | None = None,
        contrast: Contrast = None,
        name: str | None = None,
    ) -> None:
        label = name or (source.name if isinstance(source, Path) else "TIFF")
        self._path = source if isinstance(source, Path) else None
        self._file = _opened(source, label)
        # a stack that is dropped without close() lets go of its file quietly
        weakref.finalize(self, self._file.close)
        try:
            series = _single_series(self._file, label)
            self._series = series
            self._axes = str(series.axes).upper()
            self._shape = tuple(int(size) for size in series.shape)
            keyframe = series.keyframe
            self._colours = _palette(keyframe, label)
            _require_picture_axes(self._axes, label)
            self._stack_axis, self._fixed = _chosen_axes(self._axes, self._shape, axis, at or {}, label)
            self._samples = _used_samples(keyframe, self._size("S"))
            self._channels = _chosen_channels(channels, self._size("C"), label)
            self._contiguous = _mapped(self._file, series, source, label)
            page_size = max(1, int(np.prod(self._shape)) // len(series))
            self._page_axis_count = _trailing_axes(self._shape, page_size, label)
            colour = bool(self._colours is not None or self._samples == 3)
            raw_dtype = np.dtype(series.dtype).newbyteorder("=")
            self._depth = int(keyframe.bitspersample)
            self._is_inverted = keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE and raw_dtype.kind in "bu"
            super().__init__(
                name=label,
                length=self._size(self._stack_axis) if self._stack_axis else 1,
                frame_size=(self._size("Y"), self._size("X")),
                channel_count=3 if self._colours is not None else len(self._channels) * self._samples,
                dtype=np.dtype(np.uint8) if self._colours is not None else raw_dtype,
                axis=self._stack_axis.lower() if self._stack_axis in ("Z", "T") else "frame",
                colour=colour,
                contrast=contrast,
            )
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._contiguous = None
        self._file.close()

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the file; see :meth:`FrameStack.source_file`."""
        # the planes of one OME-TIFF may be spread over several files
        if self._path is None or self._series.is_multifile:
            return None
        return self._path, f"{self._stack_axis} {self._fixed} {self._channels}"

    def _size(self, axis: str) -> int:
        return self._shape[self._axes.index(axis)] if axis in self._axes else 1

    def _read_raw(self, index: int) -> NDArray[Any]:
        planes = [self._read_plane(index, channel) for channel in self._channels]
        frame = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        if self._colours is not None:
            coloured: NDArray[Any] = self._colours[frame[:, :, 0]]
            return coloured
        frame = frame.astype(self.dtype, copy=False)
        if self.dtype == np.uint8 and self._depth < 8:
            # 2- and 4-bit greys come as 0..3 and 0..15; uint8 is passed on as it is, so it must span 0..255
            frame = (frame.astype(np.uint16) * 255 // (2**self._depth - 1)).astype(np.uint8)
        if self._is_inverted:
            frame = np.invert(frame)
        return frame

    def _read_plane(self, index: int, channel: int) -> NDArray[Any]:
        """One channel of one frame: (y, x, sample)."""
        position = {**self._fixed, "C": channel}
        if self._stack_axis:
            position[self._stack_axis] = index
        outer_axes = self._axes[: -self._page_axis_count]
        inner_axes = self._axes[-self._page_axis_count :]
        outer = tuple(position.get(letter, 0) for letter in outer_axes)
        if self._contiguous is not None:
            page = self._contiguous[outer]
        else:
            page_number = int(np.ravel_multi_index(outer, self._shape[: len(outer)])) if outer else 0
            page = self._decoded_page(page_number).reshape(self._shape[len(outer) :])
        plane: NDArray[Any] = page[
            tuple(slice(None) if letter in "YXS" else position.get(letter, 0) for letter in inner_axes)
        ]
        left = [letter for letter in inner_axes if letter in "YXS"]
        plane = plane.transpose([left.index(letter) for letter in "YXS" if letter in left])
        return plane.reshape(*plane.shape[:2], -1)[:, :, : self._samples]

    def _decoded_page(self, number: int) -> NDArray[Any]:
        page = self._series[number]
        if page is None:
            # OME metadata may name planes that were never written; they are black, as in other readers
            return np.zeros(self._shape[-self._page_axis_count :], dtype=self._series.dtype)
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > self._file.filehandle.size:
            raise _cut_short(self.name, f"page {number} reaches beyond the end of the file")
        try:
            decoded: NDArray[Any] = page.asarray()
        except Exception as error:  # codecs raise types of their own; whatever it is, the page cannot be had
            raise InvalidInputError(
                f"Page {number} of {self.name} cannot be decoded ({type(error).__name__}: {error}). The file is "
                "damaged, or compressed in a way that needs the package imagecodecs (pip install imagecodecs)."
            ) from error
        return decoded


def _opened(source: Path | bytes, label: str) -> tifffile.TiffFile:
    try:
        file = tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source)
        file.filehandle.set_lock(True)
        page_count = len(file.pages)
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {source!s}.") from None
    except (tifffile.TiffFileError, ValueError, struct.error, IndexError) as error:
        raise InvalidInputError(
            f"{label} is not a readable TIFF ({error}). It may be cut short, or another kind of file under this name."
        ) from error
    if page_count == 0:
        file.close()
        raise InvalidInputError(f"{label} holds no pages; a TIFF with at least one picture is needed.")
    following = _offset_after_last_page(file)
    if following and following >= file.filehandle.size:
        file.close()
        raise _cut_short(label, f"only {page_count} pages are left of what it held")
    return file


def _offset_after_last_page(file: tifffile.TiffFile) -> int:
    """Where the file says the page after the last readable one is: 0 at a proper end, None of a cut file's business."""
    handle, layout = file.filehandle, file.tiff
    try:
        handle.seek(file.pages[len(file.pages) - 1].offset)
        tag_count = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))[0]
        handle.seek(tag_count * layout.tagsize, io.SEEK_CUR)
        return int(struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))[0])
    except struct.error:
        return file.filehandle.size  # the page's own directory runs over the end


def _single_series(file: tifffile.TiffFile, label: str) -> tifffile.TiffPageSeries:
    try:
        series = file.series
    except Exception as error:  # malformed metadata fails in many ways inside tifffile
        raise InvalidInputError(f"The metadata of {label} cannot be understood ({error}).") from error
    if not series:
        raise InvalidInputError(f"{label} holds no pictures.")
    if len(series) > 1 and series[0].kind in ("generic", "uniform"):
        sizes = ", ".join(" x ".join(str(size) for size in one.shape) for one in series[:4])
        raise InvalidInputError(
            f"The pages of {label} differ in size or kind ({sizes}{', …' if len(series) > 4 else ''}). All frames of a "
            "stack must have one size; save them as separate files."
        )
    return series[0]


def _require_picture_axes(axes: str, label: str) -> None:
    if "Y" not in axes or "X" not in axes:
        raise InvalidInputError(f"{label} has axes {axes}; axes Y and X are needed for a picture.")


def _palette(page: tifffile.TiffPage, label: str) -> NDArray[np.uint8] | None:
    """Colours of a palette picture: (entry, 3)."""
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise InvalidInputError(f"{label} is a CMYK picture, made for printing. Save it as RGB.")
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    colormap = np.asarray(page.colormap)
    return np.ascontiguousarray((colormap >> 8 if colormap.dtype == np.uint16 else colormap).T.astype(np.uint8))


def _used_samples(page: tifffile.TiffPage, sample_count: int) -> int:
    """Number of samples per pixel that are intensities: alpha comes last and is dropped."""
    alpha = sum(int(kind) in (1, 2) for kind in page.extrasamples)
    used = max(1, sample_count - alpha) if sample_count > 1 else 1
    return min(used, 3) if page.photometric == tifffile.PHOTOMETRIC.RGB else used


def _chosen_axes(
    axes: str, shape: tuple[int, ...], axis: str | None, at: Mapping[str, int], label: str
) -> tuple[str, dict[str, int]]:
    """Which axis is the stack's ("" for a single picture) and the positions on the others."""
    fixed: dict[str, int] = {}
    others = [letter for letter in axes if letter not in _PICTURE_AXES]
    for letter, position in at.items():
        if letter.upper() not in others:
            raise InvalidInputError(f"{label} has axes {axes}; there is no axis {letter!r} to fix a position on.")
        size = shape[axes.index(letter.upper())]
        if not 0 <= position < size:
            raise InvalidInputError(f"Axis {letter} of {label} has positions 0 to {size - 1}; got {position}.")
        fixed[letter.upper()] = int(position)
    long_axes = [letter for letter in others if shape[axes.index(letter)] > 1 and letter not in fixed]
    if axis is not None and axis.upper() not in others:
        if not (long_axes or fixed) or (len(long_axes) == 1 and long_axes[0] in "QIR"):
            # a file that does not name its axes: whatever the frames are called is right
            return (long_axes[0] if long_axes else ""), fixed
        raise InvalidInputError(f"{label} has axes {axes}; there is no axis {axis!r} to count frames along.")
    stack_axis = axis.upper() if axis else (long_axes[0] if len(long_axes) == 1 else "")
    undecided = [letter for letter in long_axes if letter != stack_axis]
    if undecided:
        sizes = ", ".join(f"{letter.lower()} ({shape[axes.index(letter)]})" for letter in long_axes)
        first, second = long_axes[0].lower(), long_axes[1].lower()
        raise InvalidInputError(
            f"{label} is long along several axes: {sizes}. Choose the one to follow and a position on the others, "
            f'such as axis="{second}", at={{"{first}": 0}} (on the command line: --axis {second} --at {first}=0).'
        )
    return stack_axis, fixed


def _chosen_channels(channels: tuple[int, ...] | None, channel_count: int, label: str) -> tuple[int, ...]:
    if channels is None:
        return tuple(range(channel_count))
    if not channels or any(not 0 <= channel < channel_count for channel in channels):
        raise InvalidInputError(
            f"{label} has channels 0 to {channel_count - 1}; got channels={channels}. Name one to three of them."
        )
    return channels


def _mapped(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries, source: Path | bytes, label: str
) -> NDArray[Any] | None:
    """The whole series as one memory-mapped array, where the file's layout allows it."""
    offset = series.dataoffset
    if offset is None:
        return None
    size = int(np.prod(series.shape)) * np.dtype(series.dtype).itemsize
    if offset + size > file.filehandle.size:
        raise _cut_short(label, f"{offset + size} bytes are announced, {file.filehandle.size} are there")
    dtype = np.dtype(series.dtype).newbyteorder("<" if file.byteorder == "<" else ">")
    if isinstance(source, bytes):
        return np.frombuffer(source, dtype, count=int(np.prod(series.shape)), offset=offset).reshape(series.shape)
    return np.memmap(source, dtype=dtype, mode="r", offset=offset, shape=tuple(series.shape))


def _trailing_axes(shape: tuple[int, ...], page_size: int, label: str) -> int:
    """How many of the last axes one page holds."""
    count, size = 0, 1
    for length in reversed(shape):
        if size == page_size and count >= 2:
            break
        size *= length
        count += 1
    if size != page_size:
        raise InvalidInputError(
            f"{label} announces a shape {shape} that its pages do not fill. The file is cut short or damaged."
        )
    return count


def _cut_short(label: str, detail: str) -> InvalidInputError:
    return InvalidInputError(f"{label} is cut short: {detail}. Copy or download it again.")
