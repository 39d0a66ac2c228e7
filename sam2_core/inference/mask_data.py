"""Parallel columns of whatever is known about a set of masks."""

from __future__ import annotations

import copy
from collections.abc import ItemsView
from typing import Any

import numpy as np
import torch

from sam2_core.errors import InvalidTypeError


class MaskData:
    """A table of masks: lists, arrays and tensors that all have one entry for each mask.

    Parameters
    ----------
    **kwargs : list, ndarray or Tensor
        The columns; the first axis runs over masks.

    Raises
    ------
    InvalidTypeError
        A column of another type.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._stats: dict[str, Any] = {}
        for key, column in kwargs.items():
            self[key] = column

    def __setitem__(self, key: str, item: Any) -> None:
        if not isinstance(item, list | np.ndarray | torch.Tensor):
            raise InvalidTypeError(f"a column is a list, an array or a tensor; {key!r} is {type(item).__name__}")
        self._stats[key] = item

    def __delitem__(self, key: str) -> None:
        del self._stats[key]

    def __getitem__(self, key: str) -> Any:
        return self._stats[key]

    def __contains__(self, key: str) -> bool:
        return key in self._stats

    def items(self) -> ItemsView[str, Any]:
        """Names and columns."""
        return self._stats.items()

    def filter(self, keep: torch.Tensor) -> None:
        """Keep some masks, in the order given.

        Parameters
        ----------
        keep : Tensor
            A flag for each mask, or the indices of the masks to keep.
        """
        indices = keep.nonzero().flatten() if keep.dtype == torch.bool else keep
        positions = indices.tolist()
        for key, column in self._stats.items():
            if isinstance(column, torch.Tensor):
                self._stats[key] = column[indices.to(column.device)]
            elif isinstance(column, np.ndarray):
                self._stats[key] = column[positions]
            else:
                self._stats[key] = [column[position] for position in positions]

    def cat(self, new_stats: MaskData) -> None:
        """Append another table; a column that is new here is copied."""
        for key, column in new_stats.items():
            if key not in self._stats:
                self._stats[key] = copy.deepcopy(column)
            elif isinstance(column, torch.Tensor):
                self._stats[key] = torch.cat([self._stats[key], column])
            elif isinstance(column, np.ndarray):
                self._stats[key] = np.concatenate([self._stats[key], column])
            else:
                self._stats[key] = [*self._stats[key], *copy.deepcopy(column)]

    def to_numpy(self) -> None:
        """Turn tensors into float32 arrays on the CPU."""
        for key, column in self._stats.items():
            if isinstance(column, torch.Tensor):
                self._stats[key] = column.detach().float().cpu().numpy()
