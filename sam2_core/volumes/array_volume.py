"""Arrays as volumes: numpy, dask, and whatever else is indexed like them; and lists of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.axes import AXES, axes_candidates, parse_axes, unknown_axes
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.volume import Volume, in_volume_order

MAPPED_PIECE = 1024


class ArrayVolume(Volume):
    """An array, or anything that has ``shape`` and ``dtype`` and can be sliced like one.

    Parameters
    ----------
    array : array-like
        2 to 5 dimensions. numpy arrays are looked at in place; dask arrays are computed, and others read, region by
        region.
    axes : str, optional
        A letter of "tczyx" for each dimension, in the array's own order. Without them the array's own names are taken
        (``dims`` of xarray). An array without names is a picture where it is (y, x) or (y, x, 3 or 4), and else frames
        whose axis is a guess: (t, y, x) or (t, y, x, channel). A fourth colour is alpha and dropped.
    name : str
        What messages call it.
    chunks : sequence of int, optional
        In the array's own order; its own ``chunks`` by default.
    **described
        As for :class:`Volume`: scale, units, channel_names, address, levels, level.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        Dimensions or a dtype that no picture has.
    """

    def __init__(
        self,
        array: Any,
        *,
        axes: str | Sequence[str] | None = None,
        name: str = "array",
        chunks: Sequence[int] | None = None,
        **described: Any,
    ) -> None:
        shape = tuple(int(size) for size in array.shape)
        try:
            dtype = np.dtype(array.dtype)
        except TypeError:
            raise InvalidTypeError(
                f"{name} has dtype {array.dtype!r}, which numpy does not know. Pass a numpy array (for a torch tensor: "
                "tensor.cpu().numpy())."
            ) from None
        guessed_axis = ""
        has_alpha = False
        if axes is None:
            axes = _own_axes(array, shape)
        if axes is not None:
            letters = parse_axes(axes, len(shape), name)
        else:
            letters, guessed_axis = _guessed_axes(shape, name)
            has_alpha = letters.endswith("c") and shape[-1] == 4
        self._array = array
        self._is_mapped = _is_mapped(array)
        ordered, self._order = in_volume_order(letters)
        stored_chunks = chunks if chunks is not None else _own_chunks(array, letters)
        sizes = [shape[place] for place in self._order]
        if has_alpha:
            sizes[ordered.index("c")] = 3
        super().__init__(
            name=name,
            axes=ordered,
            shape=sizes,
            dtype=dtype,
            chunks=None if stored_chunks is None else [stored_chunks[place] for place in self._order],
            colour=letters.endswith("c") and shape[-1] in (3, 4),
            guessed_axis=guessed_axis,
            in_memory=stored_chunks is None,
            **described,
        )

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        stored = [slice(None)] * len(self._order)
        for part, place in zip(region, self._order, strict=True):
            stored[place] = part
        pixels = np.asarray(self._array[tuple(stored)])
        if self._is_mapped:
            pixels = np.array(pixels)  # read here and now, not when somebody looks
        return pixels.transpose(self._order)


class PictureListVolume(Volume):
    """A list of pictures, each (y, x) or (y, x, channel), all of one size and dtype, as frames.

    Parameters
    ----------
    pictures : sequence of ndarray
    axis : str, optional
        What the frames are: "t", "z" or, for grey pictures, "c". A guess ("t") by default.
    name : str
        What messages call it.
    """

    def __init__(
        self, pictures: Sequence[NDArray[Any]], *, axis: str | Sequence[str] | None = None, name: str = "list of arrays"
    ) -> None:
        if not pictures:
            raise InvalidInputError(f"The {name} is empty; at least one picture is needed.")
        first = pictures[0]
        for number, picture in enumerate(pictures):
            if picture.ndim not in (2, 3) or (picture.ndim == 3 and not 1 <= picture.shape[2] <= 4):
                raise InvalidInputError(
                    f"Item {number} of the {name} has shape {picture.shape}; expected (y, x) or (y, x, channel), "
                    "1 to 4 channels."
                )
            if picture.shape != first.shape or picture.dtype != first.dtype:
                raise InvalidInputError(
                    f"Item {number} of the {name} is {picture.shape} {picture.dtype}, the first one "
                    f"{first.shape} {first.dtype}. All frames of a stack must have one size and dtype."
                )
        self._pictures = pictures
        self._has_channels = first.ndim == 3
        count = 3 if self._has_channels and first.shape[2] == 4 else (first.shape[2] if self._has_channels else 1)
        letters = frame_axes(axis, has_channels=self._has_channels, name=name)
        sizes = {letters[0]: len(pictures), "y": first.shape[0], "x": first.shape[1]}
        if self._has_channels:
            sizes["c"] = count
        self._frame_axis = letters[0]
        ordered = "".join(sorted(sizes, key=AXES.index))
        super().__init__(
            name=name,
            axes=ordered,
            shape=[sizes[letter] for letter in ordered],
            dtype=first.dtype,
            colour=self._has_channels and count == 3,
            guessed_axis="" if axis is not None else letters[0],
            in_memory=True,
        )

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        parts = dict(zip(self.axes, region, strict=True))
        inner = (parts["y"], parts["x"], parts["c"]) if self._has_channels else (parts["y"], parts["x"])
        frames = np.stack([picture[inner] for picture in self._pictures[parts[self._frame_axis]]])
        stored = self._frame_axis + "yx" + ("c" if self._has_channels else "")
        return frames.transpose(in_volume_order(stored)[1])


def frame_axes(axes: str | Sequence[str] | None, *, has_channels: bool, name: str) -> str:
    """Axes of frames that come one by one, the frames' own axis first: a guess of t where none are named.

    `axes` may name that axis alone ("z") or all of them ("zyx").
    """
    inner = "yxc" if has_channels else "yx"
    if axes is None:
        return "t" + inner
    letters = "".join(axes).casefold()
    frame_letters = set(letters) - set(inner) if len(letters) > 1 else set(letters)
    is_known = len(letters) in (1, len(inner) + 1) and len(frame_letters) == 1 and frame_letters <= set(AXES)
    if not is_known or frame_letters & set(inner):
        whole = " or ".join(f'"{axis}{inner}"' for axis in ("z", "t"))
        raise InvalidInputError(
            f"axes={axes!r} does not fit {name}, whose frames have axes {', '.join(inner)}. Pass {whole}, or the "
            "frames' own axis alone."
        )
    return frame_letters.pop() + inner


def _guessed_axes(shape: tuple[int, ...], name: str) -> tuple[str, str]:
    # a last axis of 3 or 4 is colour, not a picture three pixels wide: that is how pictures come everywhere
    if len(shape) == 2:
        return "yx", ""
    if len(shape) == 3:
        return ("yxc", "") if shape[-1] in (3, 4) else ("tyx", "t")
    if len(shape) == 4 and 1 <= shape[3] <= 4:
        return "tyxc", "t"
    raise unknown_axes(name, shape, axes_candidates(shape))


def _own_axes(array: Any, shape: tuple[int, ...]) -> str | None:
    dims = getattr(array, "dims", None)
    if not isinstance(dims, Sequence) or len(dims) != len(shape):
        return None
    letters = [str(dim).casefold() for dim in dims]
    return "".join(letters) if set(letters) <= set(AXES) and len(set(letters)) == len(letters) else None


def _own_chunks(array: Any, letters: str) -> list[int] | None:
    """Chunk size along each dimension: dask gives all of them, zarr and HDF5 one; None: nothing is stored in chunks."""
    if _is_mapped(array):
        return mapped_chunks(letters, array.shape)
    chunks = getattr(array, "chunks", None)
    if not chunks or not isinstance(chunks, tuple):
        return None
    return [max(chunk) if isinstance(chunk, tuple) else int(chunk) for chunk in chunks]


def mapped_chunks(letters: str, shape: Sequence[int]) -> list[int]:
    """Pieces in which a memory-mapped file is read: any would do, these are as quick as larger ones."""
    most = {"y": MAPPED_PIECE, "x": MAPPED_PIECE, "c": MAPPED_PIECE}
    return [min(size, most.get(letter, 1)) for letter, size in zip(letters, shape, strict=True)]


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


class ArrayReader:
    """Reads arrays: numpy, dask, xarray, HDF5 and whatever has shape, dtype and can be indexed."""

    name = "array"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        return 1 if all(hasattr(source, wanted) for wanted in ("shape", "dtype", "__getitem__")) else 0

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the array."""
        options.require_single("The array")
        return ArrayVolume(source, axes=options.axes)


class ListReader:
    """Reads lists of arrays and of Pillow pictures."""

    name = "list of pictures"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        return 1 if isinstance(source, Sequence) and not isinstance(source, str | bytes | bytearray) else 0

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the list."""
        from PIL import Image

        from sam2_core.volumes.picture_volume import PictureVolume

        options.require_single("The list")
        if not source:
            raise InvalidInputError("The list is empty; at least one picture is needed.")
        kinds = sorted({type(item).__name__ for item in source if not isinstance(item, np.ndarray | Image.Image)})
        if kinds:
            raise InvalidTypeError(
                f"Cannot read frames from a list of {', '.join(kinds)}. Expected arrays, Pillow pictures, or paths."
            )
        pictures = [item if isinstance(item, np.ndarray) else PictureVolume(item).as_array() for item in source]
        return PictureListVolume(pictures, axis=options.axes)
