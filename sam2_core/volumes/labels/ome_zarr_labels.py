"""Label images read from OME-Zarr, versions 0.4 and 0.5, and plain zarr arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels.frame_ranges import parsed_ranges
from sam2_core.volumes.labels.label_stack import LabelStack, unsigned
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.ngff import multiscale, ngff_attributes
from sam2_core.volumes.source import is_url, missing_url_package


class OmeZarrLabels(LabelStack):
    """The frames of a label image in OME-Zarr, at full size.

    Parameters
    ----------
    source : str or path
        The label image (``image.zarr/labels/NAME``, ``NAME.zarr``), or an image that has just one. Also a URL.
    axis : str, optional
        Axis frames are counted along, needed where several are longer than one.
    at : mapping of str to int, optional
        Positions on the others.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        axis: str | None = None,
        at: Mapping[str, int] | None = None,
    ) -> None:
        name = os.fspath(source)
        group = _label_group(name)
        scales = multiscale(group, name)
        if scales is None:
            raise InvalidInputError(f"{name} is no multiscale label image (OME-Zarr 0.4 or 0.5).")
        array = group.get(str(scales.datasets[0]["path"]))
        if not isinstance(array, zarr.Array) or array.ndim != len(scales.axes):
            raise InvalidInputError(f"{name} lacks its array {scales.datasets[0]['path']}, or its axes do not fit.")
        self._array = array
        self._letters = scales.letters
        sizes = dict(zip(self._letters, array.shape, strict=True))
        self._frame_axis, self._fixed = _chosen(sizes, axis, dict(at or {}), name)
        _, attributes = ngff_attributes(group)
        label = attributes.get("image-label")
        metadata = label.get("metadata") if isinstance(label, Mapping) else None
        length = sizes[self._frame_axis] if self._frame_axis else 1
        super().__init__(
            name,
            LabelLayout(
                length,
                (sizes["y"], sizes["x"]),
                self._frame_axis if self._frame_axis in ("z", "t") else "frame",
                unsigned(np.dtype(array.dtype), name),
                (scales.scale(self._frame_axis), scales.scale("y"), scales.scale("x")),
                scales.unit("x"),
            ),
            written=self._written_frames(group, length),
            metadata=metadata,
        )

    def _written_frames(self, group: zarr.Group, length: int) -> NDArray[np.bool_] | None:
        state = group.attrs.asdict().get("sam2_lab")
        if not isinstance(state, Mapping):
            return None
        letters = [letter for letter in self._letters if letter not in "yxc" and letter != self._frame_axis]
        position = ",".join(f"{letter}={self._fixed[letter]}" for letter in sorted(letters))
        return parsed_ranges(str(cast(dict[str, Any], state)["written"].get(position, "")), length)

    def _read_pixels(self, index: int) -> NDArray[Any]:
        place: dict[str, int | slice] = {"y": slice(None), "x": slice(None), **self._fixed}
        if self._frame_axis:
            place[self._frame_axis] = index
        try:
            pixels = np.asarray(self._array[tuple(place[letter] for letter in self._letters)])
        except Exception as error:  # a damaged chunk fails in many ways inside codecs
            raise InvalidInputError(f"Frame {index} of {self.name} cannot be read ({error}). It is damaged.") from error
        order = [letter for letter in self._letters if letter in "yx"]
        return pixels if order == ["y", "x"] else pixels.T


def _label_group(name: str) -> zarr.Group:
    group = _opened(name)
    _, attributes = ngff_attributes(group)
    if "image-label" in attributes:
        return group
    labels = group.get("labels") if "multiscales" in attributes or "labels" in group else group
    names = list(ngff_attributes(labels)[1].get("labels") or []) if isinstance(labels, zarr.Group) else []
    if len(names) == 1 and isinstance(labels, zarr.Group):
        found = labels.get(str(names[0]))
        if isinstance(found, zarr.Group):
            return found
        raise InvalidInputError(f"{name} lists a label image {names[0]}, which is not there.")
    if names:
        raise InvalidInputError(
            f"{name} has several label images: {', '.join(map(str, names))}. Choose one, such as "
            f"{name}/labels/{names[0]}."
        )
    if "multiscales" in attributes and "/labels/" in name.replace("\\", "/"):
        return group  # called labels by where it lies, as by some writers
    raise InvalidInputError(f"{name} has no label images (nothing is listed in its labels group).")


def plain_array(name: str) -> zarr.Array[Any] | None:
    """Open a zarr array that is not in a group's metadata, such as one level of an image; None where there is none."""
    try:
        return zarr.open_array(name, mode="r")
    except (FileNotFoundError, zarr.errors.BaseZarrError):
        return None
    except ImportError as error:
        raise missing_url_package(name, error) from error


def _opened(name: str) -> zarr.Group:
    if "://" not in name and not os.path.exists(name):
        raise MissingFileError(f"There is no {name}. Check the spelling and the current folder.")
    try:
        return zarr.open_group(name, mode="r", use_consolidated=False)
    except (FileNotFoundError, zarr.errors.GroupNotFoundError) as error:
        if is_url(name):
            raise MissingFileError(
                f"There is no zarr group with label images at {name}. Check the spelling, and that it may be read."
            ) from error
        raise InvalidInputError(f"{name} is no zarr group with label images ({error}).") from error
    except OSError as error:  # a server that refuses or does not answer
        raise InvalidInputError(f"{name} cannot be opened ({type(error).__name__}: {error}).") from error


def _chosen(sizes: Mapping[str, int], axis: str | None, at: dict[str, int], name: str) -> tuple[str, dict[str, int]]:
    outer = [letter for letter in sizes if letter not in "yx"]
    for letter, position in at.items():
        if letter not in outer or not 0 <= position < sizes[letter]:
            raise InvalidInputError(f"{name} has axes {dict(sizes)}; there is no position {letter} = {position}.")
    long = [letter for letter in outer if letter not in at and sizes[letter] > 1]
    if axis in outer and axis not in at:
        frame_axis = str(axis)
    elif axis in (None, "frame") or not long:
        free = long or [letter for letter in outer if letter not in at and letter != "c"]
        frame_axis = free[0] if len(free) == 1 or (free and not long) else ""
    else:
        frame_axis = ""
    undecided = [letter for letter in long if letter != frame_axis]
    if undecided:
        raise InvalidInputError(
            f"{name} is long along several axes: {', '.join(f'{letter} ({sizes[letter]})' for letter in long)}. Choose "
            f'the one to follow and a position on the others, such as axis="{long[-1]}", at={{"{long[0]}": 0}}.'
        )
    return frame_axis, {letter: at.get(letter, 0) for letter in outer if letter != frame_axis}
