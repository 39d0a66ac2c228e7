"""Opening images lazily through the volume readers, those of plugins included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_napari.layer_stack import SOURCE_KEY

if TYPE_CHECKING:
    from sam2_core.volumes.volume import Volume

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Give napari a reader for a path, or None where no volume reader fits."""
    if not isinstance(path, str):
        return None
    from sam2_core.errors import Sam2Error
    from sam2_core.volumes.readers import open_volume

    try:
        open_volume(path).close()
    except Sam2Error:
        return None
    return read


def read(path: str) -> list[LayerData]:
    """Open an image: a layer for each channel, or one in colours; nothing is read until it is shown.

    An axis that the image does not name is taken for what it mostly is; the dock lets a person name it otherwise.
    """
    from sam2_core.volumes.readers import open_unnamed

    volume = open_unnamed(path)
    letters = volume.axes.replace("c", "")
    described: dict[str, Any] = {
        "scale": [volume.scale.get(letter, 1.0) for letter in letters],
        "units": [volume.units.get(letter, "pixel") for letter in letters],
        "axis_labels": tuple(letters),
    }
    # a worker opens for itself what the layer shows as a whole; of the others the path tells their sessions apart
    is_whole = "c" not in volume.axes and not volume.guessed_axis
    described["metadata"] = {SOURCE_KEY: {"path": path, "axes": letters if is_whole else ""}}
    if "c" not in volume.axes:
        return [(VolumeArray(volume), {"name": volume.name, **described}, "image")]
    if volume.colour:
        return [(VolumeArray(volume, colour=True), {"name": volume.name, "rgb": True, **described}, "image")]
    return [
        (
            VolumeArray(volume, channel=number),
            {"name": f"{volume.name} {name}", "blending": "additive", **described},
            "image",
        )
        for number, name in enumerate(volume.channel_names)
    ]


def layers_of(found: Sequence[LayerData]) -> list[Any]:
    """Make the layers of what :func:`read` gives, in the thread of the interface."""
    from napari.layers import Layer

    return [Layer.create(data, described, kind) for data, described, kind in found]


class VolumeArray:
    """A volume as an array that napari slices; only what is looked at is read.

    Parameters
    ----------
    volume : Volume
    channel : int, optional
        The one that is shown; needed where there are channels.
    colour : bool
        Show the channels as the last dimension.
    """

    def __init__(self, volume: Volume, *, channel: int | None = None, colour: bool = False) -> None:
        self._volume, self._channel, self._colour = volume, channel, colour
        letters = volume.axes.replace("c", "")
        self._letters = letters + ("c" if colour else "")
        sizes = volume.sizes
        self.shape = tuple(sizes[letter] for letter in self._letters)
        self.dtype = volume.dtype
        self.ndim = len(self.shape)
        self.size = int(np.prod([int(one) for one in self.shape], dtype=object))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        whole = self[(slice(None),) * self.ndim]
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        keys = list(key) if isinstance(key, tuple) else [key]
        if any(one is Ellipsis for one in keys):
            place = next(number for number, one in enumerate(keys) if one is Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        region: dict[str, slice] = {}
        after: list[Any] = []
        for letter, one, size in zip(self._letters, keys, self.shape, strict=True):
            if isinstance(one, slice):
                wanted = range(size)[one]
                if not len(wanted):
                    # nothing of this dimension: the slice below takes it away again
                    region[letter] = slice(0, 1)
                    after.append(slice(0, 0))
                    continue
                low, high = min(wanted), max(wanted) + 1
                region[letter] = slice(low, high)
                after.append(slice(None, None, wanted.step))
            else:
                number = int(one) + (size if one < 0 else 0)
                region[letter] = slice(number, number + 1)
                after.append(0)
        if self._channel is not None:
            region["c"] = slice(self._channel, self._channel + 1)
        found = self._volume.read_region(tuple(region[letter] for letter in self._volume.axes))
        stored = self._volume.axes
        if self._channel is not None:
            found = found.squeeze(stored.index("c"))
            stored = stored.replace("c", "")
        found = found.transpose([stored.index(letter) for letter in self._letters])
        return found[tuple(after)]
