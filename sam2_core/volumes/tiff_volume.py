"""TIFF files (multi-page, ImageJ, OME, BigTIFF, pyramids) as volumes, read piece by piece."""

from __future__ import annotations

import io
import itertools
import os
import struct
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError, Sam2Error
from sam2_core.volumes.array_volume import mapped_chunks
from sam2_core.volumes.axes import AXES, axes_candidates, parse_axes, unknown_axes
from sam2_core.volumes.contiguous_pixels import ContiguousPixels
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.source import TIFF_SUFFIXES, is_file_of, is_url, named_suffix, open_url
from sam2_core.volumes.tiff_scale import TiffScale
from sam2_core.volumes.volume import Volume

_SAMPLES = "S"
# axes tifffile gives where a file names none
_UNNAMED = "QIR"


class TiffVolume(Volume):
    """The pixels of a TIFF file.

    Axes come from the file's own metadata (OME, ImageJ, tifffile); pages without any are frames whose axis is a guess.
    Of uncompressed files only the bytes of a region are read; of others only those strips or tiles are decoded
    that a region lies in. Colours of a pixel are channels; palettes become red, green and blue, and alpha is dropped.

    Parameters
    ----------
    source : Path, URL or bytes
    axes : str, optional
        Letters of "tczyx" for the dimensions of the file, in its order (without the colours of a pixel), to name them
        or to correct what the file says.
    level : int, default 0
        Resolution level of a pyramid.
    series : int or str, optional
        Number or name of the image, of a file that holds several. The first by default, where the others are its
        thumbnail or label.
    name : str, optional
        What messages call it.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidInputError
        Not a TIFF, cut short, pages of differing size, or axes that have to be named.
    """

    def __init__(
        self,
        source: Path | str | bytes,
        *,
        axes: str | Sequence[str] | None = None,
        level: int | None = None,
        series: int | str | None = None,
        name: str | None = None,
    ) -> None:
        label = name or (Path(source).name if isinstance(source, Path | str) else "TIFF")
        self._stamp = FileStamp.of(source) if isinstance(source, Path) else None
        self._file = _opened(source, label)
        # a volume that is dropped without close() lets go of its file quietly
        weakref.finalize(self, self._file.close)
        try:
            pyramid = _chosen_series(self._file, series, label)
            chosen = _chosen_level(pyramid, level, label)
            self._series = chosen
            self._label = label
            stored = str(chosen.axes).upper()
            self._stored_shape = tuple(int(size) for size in chosen.shape)
            _require_picture_axes(stored, label)
            keyframe = chosen.keyframe
            self._colours = _palette(keyframe, label)
            self._letters, guessed_axis = _named(stored, self._stored_shape, axes, label)
            stored_samples = self._stored_shape[self._letters.index("s")] if "s" in self._letters else 1
            self._samples = 3 if self._colours is not None else _used_samples(keyframe, stored_samples)
            self._contiguous = _contiguous(self._file, chosen, source, label)
            page_size = max(1, int(np.prod(self._stored_shape)) // len(chosen))
            self._page_axis_count = _trailing_axes(self._stored_shape, page_size, label)
            self._depth = int(keyframe.bitspersample)
            raw_dtype = np.dtype(chosen.dtype).newbyteorder("=")
            self._is_inverted = keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE and raw_dtype.kind in "bu"
            self._planes = self._size("c")
            sizes = {letter: self._size(letter) for letter in self._letters if letter in AXES}
            if self._planes * self._samples > 1 or "c" in sizes:
                sizes["c"] = self._planes * self._samples
            ordered = "".join(sorted(sizes, key=AXES.index))
            found = TiffScale.of(self._file)
            super().__init__(
                name=label,
                axes=ordered,
                shape=[sizes[letter] for letter in ordered],
                dtype=np.dtype(np.uint8) if self._colours is not None else raw_dtype,
                chunks=self._pieces(keyframe, ordered),
                scale=_scale_of_level(found.scale, chosen, pyramid),
                units=found.units,
                channel_names=found.channel_names,
                address=str(source) if isinstance(source, Path | str) else None,
                levels=len(pyramid.levels),
                level=level or 0,
                colour=self._samples == 3 and self._planes == 1,
                guessed_axis=guessed_axis,
            )
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the file; see :meth:`Volume.source_file`."""
        # the planes of one OME-TIFF may be spread over several files
        if self._stamp is None or self._series.is_multifile:
            return None
        return self._stamp.path, f"{self._series.keyframe.offset} {self._letters}"

    def _size(self, letter: str) -> int:
        return self._stored_shape[self._letters.index(letter)] if letter in self._letters else 1

    def _pieces(self, keyframe: Any, ordered: str) -> list[int]:
        """Pieces in which the file is read, along the volume's axes."""
        if self._contiguous is not None:
            pieces = dict(zip(self._letters, mapped_chunks(self._letters, self._stored_shape), strict=True))
        else:
            tall, wide = self._size("y"), self._size("x")
            if self._reads_segments:
                tall, wide = (
                    (keyframe.tilelength, keyframe.tilewidth) if keyframe.is_tiled else (keyframe.rowsperstrip, wide)
                )
            inner = self._letters[-self._page_axis_count :]
            pieces = {
                letter: size for letter, size in zip(self._letters, self._stored_shape, strict=True) if letter in inner
            }
            pieces |= {"y": tall, "x": wide}
        # the colours of a pixel lie together
        pieces["c"] = self._samples * (pieces.get("c", 1) if self._samples == 1 else 1)
        return [pieces.get(letter, 1) for letter in ordered]

    @property
    def _reads_segments(self) -> bool:
        """Whether single strips or tiles are decoded: where a page is one plane, colours within it or not."""
        page = self._series.keyframe
        inner = self._letters[-self._page_axis_count :]
        return inner in ("yx", "yxs") and page.imagedepth == 1 and page.planarconfig == tifffile.PLANARCONFIG.CONTIG

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        if self._stamp is not None:
            self._stamp.check()
        parts = dict(zip(self.axes, region, strict=True))
        channels = parts.get("c", slice(0, 1))
        parts["c"] = slice(channels.start // self._samples, -(-channels.stop // self._samples))
        parts["s"] = slice(0, self._samples if self._colours is None else 1)
        ranges = [parts.get(letter, slice(0, 1)) for letter in self._letters]
        pixels = self._read_stored(ranges)
        # dimensions that are none of ours have length 1 and go first, then the volume's axes, then a pixel's colours
        order = [place for place, letter in enumerate(self._letters) if letter not in "tczyxs"]
        kept = [letter for letter in "tczyxs" if letter in self._letters]
        pixels = pixels.transpose([*order, *(self._letters.index(letter) for letter in kept)])
        lengths = [parts[letter].stop - parts[letter].start if letter in parts else 1 for letter in "tczyxs"]
        pixels = self._as_intensities(pixels.reshape(lengths))
        pixels = pixels.transpose(0, 1, 5, 2, 3, 4)
        pixels = pixels.reshape(pixels.shape[0], -1, *pixels.shape[3:])
        begin = channels.start - parts["c"].start * self._samples
        pixels = pixels[:, begin : begin + channels.stop - channels.start]
        return pixels.reshape([part.stop - part.start for part in region])

    def _as_intensities(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Palettes, few bits and inverted greys as they are meant: axes (t, c, z, y, x, sample)."""
        if self._colours is not None:
            coloured: NDArray[Any] = self._colours[pixels[..., 0]]
            return coloured
        pixels = pixels.astype(self.dtype, copy=False)
        if self.dtype == np.uint8 and self._depth < 8:
            # 2- and 4-bit greys come as 0..3 and 0..15; uint8 is passed on as it is, so it must span 0..255
            pixels = (pixels.astype(np.uint16) * 255 // (2**self._depth - 1)).astype(np.uint8)
        return np.invert(pixels) if self._is_inverted else pixels

    def _read_stored(self, ranges: list[slice]) -> NDArray[Any]:
        """Read a region along the file's own dimensions."""
        if self._contiguous is not None:
            return self._contiguous.read(ranges)
        outer, inner = ranges[: -self._page_axis_count], ranges[-self._page_axis_count :]
        pixels = np.empty([part.stop - part.start for part in ranges], dtype=self._series.dtype)
        page_grid = self._stored_shape[: len(outer)]
        for place in itertools.product(*(range(part.start, part.stop) for part in outer)):
            number = int(np.ravel_multi_index(place, page_grid)) if place else 0
            within = tuple(position - part.start for position, part in zip(place, outer, strict=True))
            pixels[within] = self._read_page(number, inner)
        return pixels

    def _read_page(self, number: int, inner: list[slice]) -> NDArray[Any]:
        page = self._series[number]
        if page is None:
            # OME metadata may name planes that were never written; they are black, as in other readers
            return np.zeros([part.stop - part.start for part in inner], dtype=self._series.dtype)
        handle = page.parent.filehandle
        ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > handle.size:
            raise _cut_short(self._label, f"page {number} reaches beyond the end of the file")
        try:
            if self._reads_segments:
                return self._decoded_window(page, inner)
            whole: NDArray[Any] = page.asarray().reshape(self._stored_shape[-self._page_axis_count :])
        except Exception as error:  # codecs raise types of their own; whatever it is, the page cannot be had
            raise InvalidInputError(
                f"Page {number} of {self._label} cannot be decoded ({type(error).__name__}: {error}). The file is "
                "damaged, or compressed in a way that needs the package imagecodecs (pip install imagecodecs)."
            ) from error
        return whole[tuple(inner)]

    def _decoded_window(self, page: Any, inner: list[slice]) -> NDArray[Any]:
        """Decode those strips or tiles of a page that a window lies in: (y, x[, sample])."""
        keyframe = page.keyframe
        rows, columns = inner[:2]
        tall, wide = keyframe.chunks[:2] if keyframe.is_tiled else (keyframe.rowsperstrip, keyframe.imagewidth)
        across = -(-keyframe.imagewidth // wide)
        wanted = [
            row * across + column
            for row in range(rows.start // tall, -(-rows.stop // tall))
            for column in range(columns.start // wide, -(-columns.stop // wide))
        ]
        shape = (rows.stop - rows.start, columns.stop - columns.start, keyframe.samplesperpixel)
        # what a file leaves out holds its "no data" value
        window = np.full(shape, keyframe.nodata, dtype=self._series.dtype)
        segments = page.parent.filehandle.read_segments(
            [page.dataoffsets[place] for place in wanted],
            [page.databytecounts[place] for place in wanted],
            indices=wanted,
        )
        for data, place in segments:
            decoded, position, _ = keyframe.decode(
                data, place, jpegtables=page.jpegtables, jpegheader=keyframe.jpegheader
            )
            if decoded is None:
                continue
            top, left = position[2], position[3]
            tile = decoded[0]
            y0, y1 = max(top, rows.start), min(top + tile.shape[0], rows.stop)
            x0, x1 = max(left, columns.start), min(left + tile.shape[1], columns.stop)
            if y0 < y1 and x0 < x1:
                window[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = tile[
                    y0 - top : y1 - top, x0 - left : x1 - left
                ]
        return window[:, :, inner[2]] if len(inner) == 3 else window[:, :, 0]


class TiffReader:
    """Reads TIFF files: paths, URLs and bytes."""

    name = "tiff"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        if is_url(source):
            return 2 if named_suffix(source) in TIFF_SUFFIXES else 0
        return is_file_of(source, TIFF_SUFFIXES, "tiff")

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the file."""
        return TiffVolume(source, axes=options.axes, level=options.level, series=options.series)


def _opened(source: Path | str | bytes, label: str) -> tifffile.TiffFile:
    try:
        file = tifffile.TiffFile(_handle(source))
        file.filehandle.set_lock(True)
        page_count = len(file.pages)
    except Sam2Error:
        raise
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


def _chosen_series(file: tifffile.TiffFile, wanted: int | str | None, label: str) -> tifffile.TiffPageSeries:
    try:
        series = file.series
    except Exception as error:  # malformed metadata fails in many ways inside tifffile
        raise InvalidInputError(f"The metadata of {label} cannot be understood ({error}).") from error
    if not series:
        raise InvalidInputError(f"{label} holds no pictures.")
    if wanted is not None:
        names = [one.name for one in series]
        number = names.index(wanted) if wanted in names else wanted
        if not isinstance(number, int) or not 0 <= number < len(series):
            raise InvalidInputError(
                f"{label} holds images 0 to {len(series) - 1} ({', '.join(names)}); got series={wanted!r}."
            )
        return series[number]
    if len(series) > 1 and series[0].kind in ("generic", "uniform"):
        sizes = ", ".join(" x ".join(str(size) for size in one.shape) for one in series[:4])
        raise InvalidInputError(
            f"The pages of {label} differ in size or kind ({sizes}{', …' if len(series) > 4 else ''}). All frames of a "
            "stack must have one size; open one of them with series=0, 1, …, or save them as separate files."
        )
    return series[0]


def _chosen_level(series: tifffile.TiffPageSeries, level: int | None, label: str) -> tifffile.TiffPageSeries:
    number = 0 if level is None else level
    if not 0 <= number < len(series.levels):
        raise InvalidInputError(f"{label} has resolution levels 0 to {len(series.levels) - 1}; got level={level!r}.")
    return series.levels[number]


def _scale_of_level(
    scale: dict[str, float], series: tifffile.TiffPageSeries, whole: tifffile.TiffPageSeries
) -> dict[str, float]:
    """Scale of a coarser level: its pixels are larger by as much as it has fewer."""
    scaled = dict(scale)
    for axis in "YX":
        if axis.lower() in scaled:
            scaled[axis.lower()] *= whole.shape[whole.axes.index(axis)] / series.shape[series.axes.index(axis)]
    return scaled


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


def _named(stored: str, shape: tuple[int, ...], axes: str | Sequence[str] | None, label: str) -> tuple[str, str]:
    """Letter of each stored dimension ("s" a pixel's colours, "-" length 1 and none of ours), and which is a guess."""
    if axes is not None:
        # tifffile.imwrite calls three or four planes the colours of one picture, unless told what they are
        apart = _SAMPLES in stored and not stored.endswith(_SAMPLES)
        if apart and len(axes) == len(stored):
            return parse_axes(axes, len(stored), label), ""
        given = parse_axes(axes, len(stored) - (_SAMPLES in stored), label)
        remaining = iter(given)
        named = "".join("s" if letter == _SAMPLES else next(remaining) for letter in stored)
        return named, ""
    named_long = [letter.casefold() for letter in stored if letter in "TCZYX"]
    unnamed = [place for place, letter in enumerate(stored) if letter not in "TCZYXS" and shape[place] > 1]
    guess = next((axis for axis in "tz" if axis not in named_long), "")
    foreign = [stored[place] for place in unnamed if stored[place] not in _UNNAMED]
    if len(unnamed) > 1 or len(set(named_long)) < len(named_long) or foreign or (unnamed and not guess):
        rest = stored.replace(_SAMPLES, "")
        sizes = tuple(size for letter, size in zip(stored, shape, strict=True) if letter != _SAMPLES)
        choices = [axes for axes in axes_candidates(sizes) if axes.endswith("yx")]
        raise unknown_axes(f"{label} (axes {rest} in the file)", sizes, choices)
    letters = ["s" if letter == _SAMPLES else letter.casefold() if letter in "TCZYX" else "-" for letter in stored]
    if unnamed:
        letters[unnamed[0]] = guess
    return "".join(letters), guess if unnamed else ""


def _contiguous(
    file: tifffile.TiffFile, series: tifffile.TiffPageSeries, source: Path | str | bytes, label: str
) -> ContiguousPixels | None:
    """The whole series as one array in the file, where its layout allows it."""
    offset = series.dataoffset
    if offset is None or isinstance(source, str):
        return None
    size = int(np.prod(series.shape)) * np.dtype(series.dtype).itemsize
    if offset + size > file.filehandle.size:
        raise _cut_short(label, f"{offset + size} bytes are announced, {file.filehandle.size} are there")
    dtype = np.dtype(series.dtype).newbyteorder("<" if file.byteorder == "<" else ">")
    return ContiguousPixels(file.filehandle, int(offset), series.shape, dtype)


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


def _handle(source: Path | str | bytes) -> Any:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        return os.fspath(source)
    return open_url(source)
