"""StackChoice: which frames of a source are meant, and how their intensities become what the model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sam2_core.cli import options
from sam2_core.cli.prompts import StackGeometry
from sam2_core.errors import InvalidInputError
from sam2_core.volumes import open_frames, open_volume
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.readers import open_unnamed


@dataclass(frozen=True)
class StackChoice:
    """What was said of a source's axes, resolution and intensities.

    Attributes
    ----------
    axes : str, optional
        A letter for each dimension of the source, where it does not name them.
    axis : str, optional
        What frames are counted along.
    at : mapping of str to int
        Positions on other axes.
    plane : str
        Rows and columns of a frame.
    channels : sequence of int or str, optional
    level : int, optional
        Resolution level of a multiscale image.
    series : int or str, optional
        Which image, of a source that holds several.
    strict : bool
        Whether a chunk that is missing from a zarr store is an error.
    scale : mapping of str to float, optional
        Size of a step along each axis, where the source does not say it.
    contrast : None, "auto" or (float, float)
    """

    axes: str | None = None
    axis: str | None = None
    at: Mapping[str, int] = field(default_factory=dict)
    plane: str = "yx"
    channels: Sequence[int | str] | None = None
    level: int | None = None
    series: int | str | None = None
    strict: bool = False
    scale: Mapping[str, float] | None = None
    contrast: Contrast = None

    @classmethod
    def parsed(
        cls,
        *,
        axes: str | None = None,
        axis: str | None = None,
        at: Sequence[str] | None = None,
        plane: str = "yx",
        channels: str | None = None,
        level: int | None = None,
        series: str | None = None,
        strict: bool = False,
        scale: str | None = None,
        contrast: str | None = None,
    ) -> StackChoice:
        """Read it from the options as they were written."""
        return cls(
            axes=axes,
            axis=axis,
            at=options.parse_positions(at),
            plane=plane,
            channels=options.parse_channels(channels),
            level=level,
            series=int(series) if series is not None and series.isdecimal() else series,
            strict=strict,
            scale=options.parse_scale(scale),
            contrast=options.parse_contrast(contrast),
        )

    def open(self, source: str) -> FrameStack:
        """Open a source as frames; nothing but its metadata is read."""
        if self.axis is not None and len(self.axis) == 2:
            raise InvalidInputError(
                f"--axis names one axis, such as z; got {self.axis!r}. Z-stacks over time are worked on as one in a "
                "session (docs/session.md); here choose a time or a slice with --at t=0 or --at z=0."
            )
        if self.axes is None and self.level is None and self.scale is None and self.plane == "yx":
            # what the frames of plain pages and folders are called does not matter here
            whole = open_unnamed(source, series=self.series)
            if self.strict:
                whole.refuse_missing()
            frames = open_frames(whole, axis=self.axis, at=self.at, channels=self.channels, contrast=self.contrast)
            if frames.axis == "frame" and self.axis is not None:
                # pages that have no name are what they were said to be
                frames.axis = self.axis
            return frames
        volume = open_volume(
            source, axes=self.axes, level=self.level, scale=self.scale, series=self.series, strict=self.strict
        )
        try:
            return volume.stack(self.axis, self.at, self.plane, self.channels, self.contrast)
        except BaseException:
            volume.close()
            raise

    def on_frame(self, stack: FrameStack, index: int) -> dict[str, int]:
        """Positions of one frame on all axes of its source."""
        along = {stack.axis: index} if len(stack) > 1 else {}
        return {**self.at, **along}

    def as_dict(self) -> dict[str, Any]:
        """What changes the frames, as JSON holds it."""
        return {
            "axes": self.axes,
            "axis": self.axis,
            "at": dict(self.at),
            "plane": self.plane,
            "channels": None if self.channels is None else list(self.channels),
            "level": self.level,
            "series": self.series,
            "strict": self.strict,
            "scale": None if self.scale is None else dict(self.scale),
            "contrast": list(self.contrast) if isinstance(self.contrast, tuple) else self.contrast,
        }


def geometry_of(stack: FrameStack) -> StackGeometry:
    """What prompts that other programs wrote need to know of a stack."""
    return StackGeometry(stack.axis, stack.spacing, stack.spacing_unit or "")
