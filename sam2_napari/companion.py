"""What is shown in three dimensions: small copies, so that no volume is ever read as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
        # the viewer slices its layers for three dimensions, which reads all of each that is visible; back in two it has
        # to have sliced them before they are shown again
        self._hide_first = _before_napari(self._hide)
        annotation.viewer.dims.events.ndisplay.connect(self._hide_first, position="first")
        annotation.viewer.dims.events.ndisplay.connect(self._switched)
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

    def _hide(self) -> None:
        annotation = self._annotation
        if annotation.viewer.dims.ndisplay != 3 or not annotation.placement.along:
            return
        from napari.layers import Labels

        for layer in annotation.viewer.layers:
            # the objects, and outlines of candidates on one frame
            ours = isinstance(layer, Labels) and SHOWN_KEY in layer.metadata
            if layer.visible and (ours or layer is annotation.layer or _byte_count(layer) > WHOLE_IMAGE_BYTES):
                layer.visible = False
                self._hidden.append(layer)

    def _show(self) -> None:
        annotation = self._annotation
        if not annotation.placement.along:
            return
        big = [annotation.layer]
        if _byte_count(self._image) > WHOLE_IMAGE_BYTES:
            big.append(self._image)
        annotation.say("In 3D you see a small copy of the objects. Go back to 2D (Ctrl+Y) to go on.")
        turn, at = self._turn, self._at()
        annotation.work.do(
            lambda: [self._thinned(layer, at) for layer in big], then=lambda made: self._add(turn, big, made, at)
        )

    def _thinned(self, layer: Layer, at: Mapping[str, int]) -> NDArray[Any]:
        placement, factors = self._annotation.placement, self._factors
        shape = [1 if letter in at else math.ceil(size / step) for letter, size, step in self._steps]
        made: NDArray[Any] | None = None
        letter = placement.along[-1]
        along = placement.axes.index(letter)
        for place, frame in enumerate(range(0, placement.shape[along], factors[letter])):
            key: list[Any] = [slice(None, None, step) for _, _, step in self._steps]
            for fixed, value in at.items():
                key[placement.axes.index(fixed)] = slice(value, value + 1)
            key[along] = slice(frame, frame + 1)
            part = np.asarray(layer.data[tuple(key)])
            if made is None:
                made = np.zeros(shape + list(part.shape[len(shape) :]), part.dtype)
            target: list[Any] = [slice(None)] * len(shape)
            target[along] = slice(place, place + 1)
            made[tuple(target)] = part
        assert made is not None
        return made

    def _at(self) -> dict[str, int]:
        """Where the copies are of: of z-stacks over time, the time that is shown."""
        placement = self._annotation.placement
        times = placement.places(self._annotation.frame or 0) if len(placement.along) > 1 else {}
        return {**placement.at, **{letter: times[letter] for letter in placement.along[:-1]}}

    @property
    def _factors(self) -> dict[str, int]:
        placement = self._annotation.placement
        return {
            letter: 1 if letter in (*placement.at, *placement.along[:-1]) else max(1, math.ceil(size / MOST_VOXELS))
            for letter, size in zip(placement.axes, placement.shape, strict=True)
        }

    @property
    def _steps(self) -> list[tuple[str, int, int]]:
        placement = self._annotation.placement
        return [
            (letter, size, self._factors[letter]) for letter, size in zip(placement.axes, placement.shape, strict=True)
        ]

    def _add(self, turn: int, layers: list[Layer], made: list[NDArray[Any]], at: Mapping[str, int]) -> None:
        from napari.layers import Image, Labels

        if turn != self._turn:
            # the person has gone back meanwhile
            return
        placement = self._annotation.placement
        for layer, data in zip(layers, made, strict=True):
            transforms = like(layer)
            offset = [at.get(letter, 0) for letter in placement.axes]
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
        for function in (self._hide_first, self._switched):
            self._annotation.viewer.dims.events.ndisplay.disconnect(function)
        self._clear()


def _before_napari(function: Callable[[], object]) -> Callable[[], object]:
    """A function that is called as one of napari's own, which come before all others whatever their position."""

    def called() -> None:
        function()

    called.__module__ = "napari.sam2_lab"
    return called


def _byte_count(layer: Layer) -> int:
    """What napari would read of pixels; of several levels it reads a small one."""
    from napari.layers import Image, Labels

    if not isinstance(layer, Image | Labels) or layer.multiscale:
        return 0
    data: Any = layer.data
    return int(np.prod([int(one) for one in data.shape], dtype=object)) * np.dtype(data.dtype).itemsize
