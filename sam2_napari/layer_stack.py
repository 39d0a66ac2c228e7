"""An image layer as the volume and the frames that a session works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sam2_core.errors import InvalidInputError
from sam2_napari.frame_placement import FramePlacement, guessed_axes

if TYPE_CHECKING:
    from napari.layers import Image

    from sam2_core.volumes.frame_stack import FrameStack
    from sam2_core.volumes.volume import Volume

#: Under this key of ``layer.metadata`` a layer that our reader opened says where from.
SOURCE_KEY: Final = "sam2_source"
#: Under this key a layer that only shows what a session has says so: it is nothing to work on or to learn from.
SHOWN_KEY: Final = "sam2_shown"


def axes_of(layer: Image) -> str:
    """A letter for each dimension of an image layer, as far as it can be told."""
    return guessed_axes(layer.axis_labels, shape_of(layer))


def shape_of(layer: Image) -> tuple[int, ...]:
    """Size of each dimension of an image layer at its finest level, without the colours."""
    shape = tuple(int(size) for size in _pixels(layer).shape)
    return shape[:-1] if layer.rgb else shape


def volume_of(layer: Image, axes: str) -> Volume:
    """The layer's pixels with named axes; nothing is read yet.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        Axes that do not fit, an image without pixels, or values that are no intensities.
    """
    from sam2_core.volumes.array_volume import ArrayVolume
    from sam2_core.volumes.readers import open_volume

    shape = shape_of(layer)
    if min(shape, default=0) < 1:
        raise InvalidInputError(f"The layer {layer.name!r} has no pixels: its shape is {shape}.")
    source = layer.metadata.get(SOURCE_KEY)
    if source is not None and source["axes"] == axes:
        return open_volume(source["path"])
    names = axes + ("c" if layer.rgb else "")
    if names.count("c") > 1:
        raise InvalidInputError(
            f"The layer {layer.name!r} is a picture in colours and has a channel axis besides; name it otherwise."
        )
    scale = dict(zip(axes, (float(step) for step in layer.scale), strict=True))
    units = dict(zip(axes, (str(unit) for unit in layer.units), strict=True))
    return ArrayVolume(_pixels(layer), axes=names, name=layer.name, scale=scale, units=_lengths(units))


def stack_of(volume: Volume, placement: FramePlacement, channels: Sequence[int] | None = None) -> FrameStack:
    """The frames of a volume where a placement says they are.

    Raises
    ------
    InvalidInputError
        Too many channels, or a position outside.
    """
    if channels is None and volume.colour and volume.sizes.get("c", 1) == 4:
        # alpha is no colour
        channels = (0, 1, 2)
    return volume.stack(placement.along or None, dict(placement.at), placement.plane, channels)


def _pixels(layer: Image) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _lengths(units: dict[str, str]) -> dict[str, str]:
    """Without the axes that are counted in pixels, which is what napari says where nobody knows."""
    return {axis: unit for axis, unit in units.items() if unit not in ("pixel", "")}
