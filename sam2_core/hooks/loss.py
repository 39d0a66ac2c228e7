"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of


@dataclass(frozen=True, kw_only=True)
class Loss(Contribution):
    """A loss on masks.

    Attributes
    ----------
    compute : callable
        ``compute(logits, targets, *, …options) -> Tensor``: logits (B, M, h, w) of the candidates of B objects, targets
        (B, 1, h, w) in [0, 1], both floating point on one device; the result (B, M), one loss for each candidate, with
        a gradient. Its keyword-only parameters are the options.
    """

    compute: Callable[..., Any]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.compute, self, "compute")
        list(options_of(self.compute))
