"""Labels as a view of masks that may overlap: which object a pixel shows is a matter of a stated priority."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import torch

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks

Priority = Literal["surest", "lower id", "last"] | Sequence[Hashable]


def label_numbers(object_ids: Sequence[Hashable]) -> dict[Hashable, int]:
    """Give each object id the number its pixels get: itself where all are positive integers, else 1, 2, … in order."""
    if all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in object_ids):
        return {each: int(str(each)) for each in object_ids}
    return {each: position for position, each in enumerate(object_ids, 1)}


def labels_of(
    masks: FrameMasks, priority: Priority = "surest", numbers: dict[Hashable, int] | None = None
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Make labels of masks.

    Parameters
    ----------
    masks : FrameMasks
        N objects on a frame.
    priority : {"surest", "lower id", "last"} or sequence of hashable
        Whose a pixel is that several masks hold: of the highest logit; of the lowest number; of the object that came
        last; or of the first one in a list of object ids, which names all.
    numbers : dict, optional
        Number of each object id; by default those of :func:`label_numbers`.

    Returns
    -------
    ndarray
        (y, x) int32 at the size of the frame; 0 where there is no object.

    Raises
    ------
    InvalidInputError
        No such priority, or a list that does not name all objects.
    """
    ids = masks.object_ids
    numbers = label_numbers(ids) if numbers is None else numbers
    height, width = masks.logits.shape[-2:]
    if not isinstance(priority, str):
        given = list(priority)
        missing = [object_id for object_id in ids if object_id not in given]
        if missing:
            raise InvalidInputError(f"The order of priority names all objects; {missing!r} are missing.")
        order = sorted(range(len(ids)), key=lambda row: given.index(ids[row]), reverse=True)
    elif priority == "lower id":
        order = sorted(range(len(ids)), key=lambda row: numbers[ids[row]], reverse=True)
    elif priority in ("last", "surest"):
        order = list(range(len(ids)))
    else:
        raise InvalidInputError(
            f'priority is "surest", "lower id", "last" or a list of all object ids; got {priority!r}.'
        )
    labels = torch.zeros(height, width, dtype=torch.int32, device=masks.logits.device)
    best = torch.zeros(height, width, device=masks.logits.device)
    # object by object: hundreds of masks at full size are compared without being held together
    for row in order:
        logits = masks.logits[row, 0]
        if priority == "surest":
            wins = logits > best
            best = torch.where(wins, logits, best)
        else:
            wins = logits > 0
        labels.masked_fill_(wins, numbers[ids[row]])
    found: np.ndarray[Any, np.dtype[np.int32]] = labels.cpu().numpy()
    return found
