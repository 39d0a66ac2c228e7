"""Reader: opens one kind of source as a volume. What a plugin adds to read another format."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sam2_core.errors import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from sam2_core.volumes.volume import Volume


@dataclass(frozen=True)
class OpenOptions:
    """What a caller of :func:`~sam2_core.volumes.readers.open_volume` may say about a source.

    Parameters
    ----------
    axes : str or sequence of str, optional
        A letter of "tczyx" for each dimension, in the source's own order.
    level : int, optional
        Resolution level, 0 the finest.
    series : int or str, optional
        Which image, of a source that holds several.
    """

    axes: str | Sequence[str] | None = None
    level: int | None = None
    series: int | str | None = None

    def __post_init__(self) -> None:
        if self.level is not None:
            try:
                operator.index(self.level)
            except TypeError:
                raise InvalidTypeError(
                    f"level must be a whole number, 0 for the finest resolution; got {self.level!r}."
                ) from None

    def require_single(self, name: str) -> None:
        """Refuse a level or a series of a source that has one of each."""
        for word, value in (("level", self.level), ("series", self.series)):
            if value not in (None, 0):
                raise InvalidInputError(f"{name} has one {word}, number 0; got {word}={value!r}.")


class Reader(Protocol):
    """Opens one kind of source.

    Attributes
    ----------
    name : str
        What messages call the kind.
    """

    name: str

    def matches(self, source: Any) -> int:
        """Say how well this reader fits a source.

        Parameters
        ----------
        source : Path, str, bytes, array, list or anything else
            What the caller passed; paths come as ``Path``, only URLs as ``str``. Look at names and first bytes, do not
            open it.

        Returns
        -------
        int
            0 not at all, 1 perhaps (where nothing fits better), 2 surely, more to go before the built-in readers.
        """
        ...

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open a source that it fits.

        Raises
        ------
        Sam2Error
            A source that cannot be read, said so that a user can act on it.
        """
        ...
