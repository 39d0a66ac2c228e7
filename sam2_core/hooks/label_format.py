"""A format that labels are kept in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.contributions import Contribution, require_callable


@dataclass(frozen=True)
class LabelWriting:
    """How labels are to be written.

    Attributes
    ----------
    at : mapping of str to int
        Where the frames belong on further axes.
    any_dtype : bool
        Whether nobody asked for a dtype, so that what is continued keeps its own.
    overwrite, resume : bool
        Replace, or continue, what is there.
    metadata : mapping
        Kept with the labels where the format can; JSON can hold it.
    """

    at: Mapping[str, int] = field(default_factory=dict)
    any_dtype: bool = True
    overwrite: bool = False
    resume: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelReading:
    """How labels are to be read.

    Attributes
    ----------
    axis : str or None
        Which axis to count frames along.
    at : mapping of str to int
        The positions on further axes.
    length : int or None
        Number of frames, for formats that do not say it.
    frame_size : (int, int) or None
        (height, width), for formats that do not say it.
    """

    axis: str | None = None
    at: Mapping[str, int] = field(default_factory=dict)
    length: int | None = None
    frame_size: tuple[int, int] | None = None


def never(name: Any) -> bool:
    """Say no."""
    return False


@dataclass(frozen=True, kw_only=True)
class LabelFormat(Contribution):
    """A format that labels are written in, and perhaps read from.

    Attributes
    ----------
    destination : str
        What a destination looks like, for messages, such as "NAME.tif".
    file_name : str
        What labels are called in a folder of results, such as "labels.tif".
    open_writer : callable
        ``open_writer(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter``, subclasses of
        :class:`sam2_core.volumes.labels.LabelWriter`.
    open_labels : callable, optional
        ``open_labels(source: str, reading: LabelReading) -> LabelStack``, see
        :class:`sam2_core.volumes.labels.LabelStack`; None for a format that is only written.
    dtype : str
        Written unless another is asked for.
    dtypes : tuple of str
        All that it can hold, smallest first.
    claims : callable
        ``claims(name: str) -> bool`` says whether a destination of this name means this format.
    recognises : callable
        ``recognises(path: Path) -> bool`` says whether something that exists, and whose name says nothing, is of it.
    has_time_and_depth : bool
        Whether it heeds ``layout.grid``, for z-stacks over time, and reads one of them with ``axis="z"`` and
        ``at={"t": …}``; others get one frame after the other.
    """

    destination: str
    file_name: str
    open_writer: Callable[[str, Any, LabelWriting], Any]
    open_labels: Callable[[str, LabelReading], Any] | None = None
    dtype: str = "uint16"
    dtypes: tuple[str, ...] = ("uint8", "uint16", "uint32")
    claims: Callable[[str], bool] = never
    recognises: Callable[[Path], bool] = never
    has_time_and_depth: bool = False

    def check(self) -> None:
        """Refuse what cannot be called, and a dtype that is not among those it holds."""
        super().check()
        for attribute in ("open_writer", "claims", "recognises"):
            require_callable(getattr(self, attribute), self, attribute)
        if self.open_labels is not None:
            require_callable(self.open_labels, self, "open_labels")
        if self.dtype not in self.dtypes or set(self.dtypes) - {"uint8", "uint16", "uint32"}:
            raise InvalidInputError(
                f"The label format {self.name!r} holds dtypes among uint8, uint16 and uint32, of which dtype is one; "
                f"got {self.dtype!r} of {self.dtypes}."
            )
