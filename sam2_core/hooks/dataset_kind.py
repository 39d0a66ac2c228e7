"""A kind of labelled data to train on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class TrainingVideo(Protocol):
    """A labelled video, z-stack or single picture (one frame); pixels are read when they are asked for."""

    @property
    def name(self) -> str:
        """For messages and logs."""

    def __len__(self) -> int:
        """Return how many frames it has."""

    def image(self, frame: int) -> npt.NDArray[np.uint8]:
        """One frame, (y, x, rgb) uint8; of one size throughout the video."""

    def masks(self, frame: int) -> Mapping[int, npt.NDArray[np.bool_]] | None:
        """Every labelled object of a frame.

        Returns
        -------
        mapping of int to ndarray (y, x) bool, or None
            By the object's number, which it keeps through the video. Masks may overlap. None for a frame that nobody
            labelled, which is not the same as one without objects.
        """


@dataclass(frozen=True, kw_only=True)
class DatasetKind(Contribution):
    """Opens one kind of labelled data.

    Attributes
    ----------
    open : callable
        ``open(source, *, …options) -> Sequence[TrainingVideo]``: `source` is a path or URL, the result is indexed by
        number and reads nothing large before it is. Its keyword-only parameters are the options.
    """

    open: Callable[..., Sequence[TrainingVideo]]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.open, self, "open")
        list(options_of(self.open))
