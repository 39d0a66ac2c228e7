"""What is shown in three dimensions: small copies, so that no volume is ever read as a whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_napari.label_layer import colour, like
from sam2_napari.layer_removal import remove_layers
from sam2_napari.layer_stack import SHOWN_KEY

if TYPE_CHECKING:
    from napari.layers import Layer

    from sam2_napari.annotation import Annotation

#: Longest side of a copy, in voxels.
MOST_VOXELS: Final = 160
#: An image up to this size is shown as it is.
WHOLE_IMAGE_BYTES: Final = 256 * 2**20


class Companion:
    """Takes the place of a session's layers while the viewer shows three dimensions.

    Parameters
    ----------
    annotation : Annotation
    image : Layer
        The image under the objects.
    """

    def __init__(self, annotation: Annotation, image: Layer) -> None:
        self._annotation, self._image = annotation, image
        self._hidden: list[Layer] = []
        self._shown: list[Layer] = []
        self._turn = 0
        # before the viewer slices its layers for three dimensions, which would read all of them
        annotation.viewer.dims.events.ndisplay.connect(self._switched, position="first")
        annotation.closed.connect(self._let_go)

    @property
    def layers(self) -> list[Layer]:
        """The copies that are shown."""
        return list(self._shown)

    def _switched(self, event: Any = None) -> None:
        self._turn += 1
        if self._annotation.viewer.dims.ndisplay == 3:
            self._show()
        else:
            self._clear()

    def _show(self) -> None:
        annotation = self._annotation
        if not annotation.placement.along:
            return
        big = [annotation.layer]
        if _byte_count(self._image) > WHOLE_IMAGE_BYTES:
            big.append(self._image)
        for layer in big:
            if layer.visible:
                layer.visible = False
                self._hidden.append(layer)
        annotation.say("In 3D you see a small copy of the objects. Go back to 2D (Ctrl+Y) to go on.")
        turn = self._turn
        annotation.work.do(
            lambda: [self._thinned(layer) for layer in big], then=lambda made: self._add(turn, big, made)
        )

    def _thinned(self, layer: Layer) -> NDArray[Any]:
        placement, factors = self._annotation.placement, self._factors
        shape = [1 if letter in placement.at else math.ceil(size / step) for letter, size, step in self._steps]
        made: NDArray[Any] | None = None
        along = placement.axes.index(placement.along)
        for place, frame in enumerate(range(0, placement.frame_count, factors[placement.along])):
            key: list[Any] = [slice(None, None, step) for _, _, step in self._steps]
            for letter, value in placement.at.items():
                key[placement.axes.index(letter)] = slice(value, value + 1)
            key[along] = slice(frame, frame + 1)
            part = np.asarray(layer.data[tuple(key)])
            if made is None:
                made = np.zeros(shape + list(part.shape[len(shape) :]), part.dtype)
            target: list[Any] = [slice(None)] * len(shape)
            target[along] = slice(place, place + 1)
            made[tuple(target)] = part
        assert made is not None
        return made

    @property
    def _factors(self) -> dict[str, int]:
        placement = self._annotation.placement
        return {
            letter: 1 if letter in placement.at else max(1, math.ceil(size / MOST_VOXELS))
            for letter, size in zip(placement.axes, placement.shape, strict=True)
        }

    @property
    def _steps(self) -> list[tuple[str, int, int]]:
        placement = self._annotation.placement
        return [
            (letter, size, self._factors[letter]) for letter, size in zip(placement.axes, placement.shape, strict=True)
        ]

    def _add(self, turn: int, layers: list[Layer], made: list[NDArray[Any]]) -> None:
        from napari.layers import Image, Labels

        if turn != self._turn:
            # the person has gone back meanwhile
            return
        placement = self._annotation.placement
        for layer, data in zip(layers, made, strict=True):
            transforms = like(layer)
            offset = [placement.at.get(letter, 0) for letter in placement.axes]
            transforms["translate"] = np.asarray(layer.translate) + np.asarray(layer.scale) * offset
            transforms["scale"] = np.asarray(layer.scale) * [step for _, _, step in self._steps]
            name = f"{layer.name} (small copy)"
            copy: Any
            if isinstance(layer, Labels):
                copy = Labels(data, name=name, opacity=layer.opacity, metadata={SHOWN_KEY: True}, **transforms)
                copy.editable = False
                colour(copy, {row.id: row.colour for row in self._annotation.rows}, self._annotation.hidden)
            else:
                copy = Image(data, name=name, rgb=getattr(layer, "rgb", False), **transforms)
            self._annotation.viewer.add_layer(copy)
            self._shown.append(copy)

    def _clear(self) -> None:
        if self._shown:
            remove_layers(self._annotation.viewer, self._shown)
        for layer in self._hidden:
            layer.visible = True
        self._shown, self._hidden = [], []

    def _let_go(self, _: str = "") -> None:
        self._turn += 1
        self._annotation.viewer.dims.events.ndisplay.disconnect(self._switched)
        self._clear()


def _byte_count(layer: Layer) -> int:
    """What napari would read; of several levels it reads a small one."""
    if getattr(layer, "multiscale", False):
        return 0
    data: Any = layer.data
    return int(np.prod([int(one) for one in data.shape], dtype=object)) * np.dtype(data.dtype).itemsize
