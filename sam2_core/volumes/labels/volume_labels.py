"""Labels in whatever can be opened as an image: folders of TIFFs, CZI, ND2, LIF, sources of a plugin's reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames
from sam2_core.volumes.labels.frame_ranges import parsed_ranges
from sam2_core.volumes.labels.label_stack import LabelStack, unsigned
from sam2_core.volumes.labels.layout import LabelLayout


class VolumeLabels(LabelStack):
    """The frames of labels that a volume reader opens.

    Parameters
    ----------
    source : str or Path
    axis : str, optional
        Which axis frames are counted along, needed where several are longer than one.
    at : mapping of str to int, optional
        Positions on the others.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        Not such a source, several channels, or values that are no labels.
    """

    def __init__(self, source: str | Path, *, axis: str | None = None, at: Mapping[str, int] | None = None) -> None:
        self._frames = open_frames(source, axis=axis, at=at)
        try:
            self._describe(str(source), self._frames)
        except BaseException:
            self._frames.close()
            raise

    def _describe(self, name: str, frames: FrameStack) -> None:
        self._take_up(name, frames, frames.spacing, frames.spacing_unit)

    def _take_up(
        self,
        name: str,
        frames: FrameStack,
        spacing: tuple[float, float, float],
        unit: str | None,
        unwritten: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what the labels are, with what is known of them beside their pixels."""
        if frames.channel_count != 1:
            raise InvalidInputError(
                f"{name} has {frames.channel_count} channels; a label image has one. Is it a picture?"
            )
        length = len(frames)
        layout = LabelLayout(length, frames.frame_size, frames.axis, unsigned(frames.dtype, name), spacing, unit)
        written = ~parsed_ranges(unwritten, length) if unwritten else None
        super().__init__(name, layout, written=written, metadata=metadata)

    def _read_pixels(self, index: int) -> NDArray[Any]:
        return self._frames.read_raw(index)[:, :, 0]

    def close(self) -> None:
        """Close the source."""
        self._frames.close()
