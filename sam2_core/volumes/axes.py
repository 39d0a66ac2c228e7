"""Named axes: t, c, z, y, x, and which of them an array without names may have."""

from __future__ import annotations

from collections.abc import Sequence

from sam2_core.errors import InvalidInputError, InvalidTypeError

AXES = "tczyx"
"""Time, channel, depth, row, column: the order of the axes of every volume."""

MAX_LIKELY_CHANNELS = 32

_CANDIDATES: dict[int, tuple[str, ...]] = {
    2: ("yx",),
    3: ("zyx", "tyx", "cyx", "yxc"),
    4: ("tzyx", "tcyx", "zcyx", "czyx", "tyxc", "zyxc"),
    5: ("tczyx", "tzcyx", "tzyxc"),
}


def parse_axes(axes: str | Sequence[str], dimension_count: int, name: str) -> str:
    """Check axes somebody named.

    Parameters
    ----------
    axes : str or sequence of str
        One letter for each dimension in the order in which the source has them, such as ``"zyx"``.
    dimension_count : int
        Number of dimensions of the source.
    name : str
        What messages call the source.

    Returns
    -------
    str
        Lower-case letters.
    """
    try:
        letters = "".join(axes).casefold()
    except TypeError:
        raise InvalidTypeError(f'axes must be letters such as "tzyx"; got {axes!r}.') from None
    if len(letters) != len(tuple(axes)) or set(letters) - set(AXES) or len(set(letters)) != len(letters):
        raise InvalidInputError(
            f"axes={axes!r} is not understood. Name each dimension of {name} once: t (time), c (channel), z, y, x."
        )
    if len(letters) != dimension_count:
        raise InvalidInputError(
            f"{name} has {dimension_count} dimensions, but axes={axes!r} names {len(letters)}. Name each one once."
        )
    if "y" not in letters or "x" not in letters:
        raise InvalidInputError(f"axes={axes!r} has no {'x' if 'y' in letters else 'y'}; a picture needs y and x.")
    return letters


def axes_candidates(shape: Sequence[int]) -> tuple[str, ...]:
    """Axes that an array of this shape may have, likeliest first; empty where no picture has so many dimensions."""
    candidates = _CANDIDATES.get(len(shape), ())
    likely = tuple(
        axes
        for axes in candidates
        if "c" not in axes or shape[axes.index("c")] <= (4 if axes.endswith("c") else MAX_LIKELY_CHANNELS)
    )
    return likely or candidates


def unknown_axes(name: str, shape: Sequence[int], candidates: Sequence[str]) -> InvalidInputError:
    """Build the error that says which axes a source may have and what to pass."""
    sizes = " x ".join(str(size) for size in shape) or "a single value"
    if not candidates:
        return InvalidInputError(
            f"{name} has shape {tuple(shape)}: {len(shape)} dimensions. Expected 2 to 5, named with letters of "
            f'"{AXES}"; take out the others first, for instance by indexing.'
        )
    choices = ", ".join(f'axes="{axes}"' for axes in candidates)
    return InvalidInputError(
        f"The axes of {name} ({sizes}) cannot be known: it does not name them. Pass one of {choices} "
        "(t time, c channel, z depth; letters in the order of the dimensions)."
    )
