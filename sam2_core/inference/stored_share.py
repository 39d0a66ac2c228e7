"""How many pictures need not be encoded, because the embedding store holds their features: a quick look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2_core.inference.frame_features import FrameFeatures

#: Pictures that are looked up, spread evenly over all; no more, however many there are.
LOOKED_UP = 256
#: Pictures that are read where nothing but their pixels tells whether they are stored.
READ = 4


def stored_count(count: int, picture: Callable[[int], tuple[FrameFeatures, int]]) -> int:
    """Say about how many of some pictures are in the embedding store, without reading more than a few.

    What is known of unchanged files is looked up. Where nothing is known (zarr, arrays), a few pictures are read, and
    the others taken to be like them; none where the store holds nothing of this model at all.

    Parameters
    ----------
    count : int
        Number of pictures.
    picture : callable
        Gives a picture by its number, from 0: the features of its stack, and its frame there.

    Returns
    -------
    int
        Exact where each was looked up, else an estimate.
    """
    if not count or not picture(0)[0].may_be_stored:
        return 0
    known, unknown = [], []
    for number in _spread(range(count), LOOKED_UP):
        features, frame = picture(number)
        is_stored = features.knows_stored(frame)
        if is_stored is None:
            unknown.append(number)
        else:
            known.append(is_stored)
    share = float(sum(known))
    if unknown:
        read = [features.is_stored(frame) for features, frame in map(picture, _spread(unknown, READ))]
        share += len(unknown) * sum(read) / len(read)
    return round(count * share / (len(known) + len(unknown)))


def _spread(numbers: range | list[int], most: int) -> list[int]:
    """So many of some numbers, evenly, the first and the last among them."""
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[place * (len(numbers) - 1) // (most - 1)] for place in range(most)]
