"""A pool of drawn stacks (:mod:`sam2_core.training.pool`) as a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from sam2_core.training.pool import Pool, open_pool


@dataclass(frozen=True)
class DrawnStack:
    """One stack of a pool, as a :class:`~sam2_core.hooks.TrainingVideo`.

    Attributes
    ----------
    pool : Pool
    index : int
    """

    pool: Pool
    index: int

    @property
    def name(self) -> str:
        """Its number."""
        return f"drawn stack {self.index}"

    def __len__(self) -> int:
        return self.pool.frames

    def image(self, frame: int) -> NDArray[np.uint8]:
        """One frame (y, x, rgb), grey."""
        grey = self.pool.images[self.index, frame]
        return np.repeat(np.asarray(grey)[..., None], 3, axis=2)

    def masks(self, frame: int) -> Mapping[int, NDArray[np.bool_]]:
        """Every object of a frame."""
        labels = np.asarray(self.pool.labels[self.index, frame])
        return {int(number): labels == number for number in np.unique(labels) if number}


class DrawnStacks(Sequence[DrawnStack]):
    """All stacks of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __len__(self) -> int:
        return len(self._pool)

    @overload
    def __getitem__(self, index: int) -> DrawnStack: ...

    @overload
    def __getitem__(self, index: slice) -> list[DrawnStack]: ...

    def __getitem__(self, index: Any) -> Any:
        numbers = range(len(self))[index]
        return DrawnStack(self._pool, numbers) if isinstance(numbers, int) else [self[one] for one in numbers]


def open_drawn_stacks(source: str | Path) -> DrawnStacks:
    """Open a folder that :func:`~sam2_core.training.pool.draw_pool` filled.

    Raises
    ------
    MissingFileError
        Nothing was drawn there.
    """
    return DrawnStacks(open_pool(Path(source)))
