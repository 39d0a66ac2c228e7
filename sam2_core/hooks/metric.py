"""A number that says how good labels are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of


@dataclass(frozen=True, kw_only=True)
class Metric(Contribution):
    """Compares labels with the truth.

    Attributes
    ----------
    measure : callable
        ``measure(frames, *, …options) -> Mapping[str, float]``. `frames`, an iterator, yields for each frame a pair
        (predicted, truth) of labels (y, x), 0 for background; a number means the same object on every frame. Where
        divisions are known, `frames` has them as ``predicted_parents`` and ``true_parents`` (mapping of an object's
        number to that of the one it divided from). The result's first entry is the one to rank by; NaN where there is
        nothing to measure.
    better : {"higher", "lower"}
        Which direction of that entry is the better one.
    """

    measure: Callable[..., Mapping[str, float]]
    better: Literal["higher", "lower"] = "higher"

    def check(self) -> None:
        """Refuse what cannot be called or ranked by."""
        super().check()
        require_callable(self.measure, self, "measure")
        list(options_of(self.measure))
        if self.better not in get_args(Literal["higher", "lower"]):
            raise InvalidInputError(f"better of the metric {self.name!r} is higher or lower; got {self.better!r}.")


def require_measures(found: Any) -> None:
    """Refuse what a metric must not return.

    Raises
    ------
    InvalidInputError
        It is no mapping of names to numbers, or an empty one.
    """
    sound = isinstance(found, Mapping) and len(found) > 0
    if not sound or not all(isinstance(name, str) and isinstance(found[name], int | float) for name in found):
        raise InvalidInputError(f"a metric returns numbers by name, at least one; got {found!r:.200}")
