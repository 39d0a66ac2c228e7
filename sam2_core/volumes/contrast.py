"""Contrast limits: which intensity becomes black and which becomes white, the same for every frame of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

LOW_PERCENTILE = 1.0
HIGH_PERCENTILE = 99.8

ContrastPair: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class ContrastLimits:
    """The intensities shown as black and as white, one pair for each channel.

    Parameters
    ----------
    low, high : tuple of float
        One value for each channel, in raw intensity units. Both hold one value when all channels share their limits.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.low or len(self.low) != len(self.high):
            raise InvalidInputError(
                f"Contrast limits need as many low as high values, one pair a channel; got {self.low} and {self.high}."
            )
        for low, high in zip(self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise InvalidInputError(
                    f"Contrast limits must be finite with low < high; got low={low}, high={high}. "
                    "Give two different intensities, darkest first."
                )

    @classmethod
    def from_sample(cls, sample: NDArray[Any], *, per_channel: bool) -> ContrastLimits:
        """Take the limits from the 1st and the 99.8th percentile of a sample of pixels.

        Parameters
        ----------
        sample : ndarray, (pixel, channel), any real dtype
            Raw intensities, finite.
        per_channel : bool
            Whether each channel gets limits of its own (stains differ in brightness) or all share one pair (the colours
            of a photograph must not shift).
        """
        groups = [sample[:, channel] for channel in range(sample.shape[1])] if per_channel else [sample.reshape(-1)]
        pairs = [_percentile_pair(group) for group in groups]
        return cls(tuple(low for low, _ in pairs), tuple(high for _, high in pairs))

    def as_dict(self) -> dict[str, list[float]]:
        """Limits as plain lists, to be stored as JSON; :meth:`from_dict` reads them back exactly."""
        return {"low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Sequence[float]]) -> ContrastLimits:
        """Limits from what :meth:`as_dict` gave.

        Raises
        ------
        InvalidInputError
            Not such a mapping.
        """
        try:
            low, high = (tuple(float(value) for value in stored[word]) for word in ("low", "high"))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f'Stored contrast limits need lists "low" and "high"; got {stored!r}.') from error
        return cls(low, high)

    def apply(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Map raw intensities to 0..255, linearly between the limits and clipped beyond them.

        Parameters
        ----------
        raw : ndarray, (y, x, channel)

        Returns
        -------
        ndarray, (y, x, channel), uint8
        """
        # float32 holds every 16-bit intensity exactly and halves the memory; wider types need float64
        dtype = np.dtype(np.float32 if raw.dtype.itemsize <= 2 or raw.dtype == np.float32 else np.float64)
        low = np.asarray(self.low)
        factor = 255.0 / (np.asarray(self.high) - low)
        scaled: NDArray[Any] = (raw.astype(dtype) - low.astype(dtype)) * factor.astype(dtype)
        np.clip(scaled, 0, 255, out=scaled)
        np.rint(scaled, out=scaled)
        return scaled.astype(np.uint8)


Contrast: TypeAlias = Literal["auto"] | ContrastPair | Sequence[ContrastPair] | ContrastLimits | None
"""``None``: uint8 as it is, the rest from percentiles; ``"auto"``: uint8 too; ``(low, high)`` or limits: these."""


def _percentile_pair(values: NDArray[Any]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(values.astype(np.float64), (LOW_PERCENTILE, HIGH_PERCENTILE)))
    if low < high:
        return low, high
    # a few bright specks on a flat ground: the percentiles coincide, the extremes do not
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low, max(low + 1.0, float(np.nextafter(low, np.inf))))
