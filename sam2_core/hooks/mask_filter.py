"""Something done to masks before they become labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class MaskFilter(Contribution):
    """Changes one object's mask on one frame: ``sam2 track --filter NAME``, and exports.

    Attributes
    ----------
    apply : callable
        ``apply(mask, *, …options) -> mask``, both (y, x) bool of the same shape; the mask that comes must not be
        changed. It may be a part of the frame that holds the whole object. Its keyword-only parameters are the options.
    """

    apply: Callable[..., npt.NDArray[np.bool_]]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.apply, self, "apply")
        list(options_of(self.apply))
