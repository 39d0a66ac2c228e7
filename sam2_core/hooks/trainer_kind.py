"""A loop that takes training steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of


@dataclass(frozen=True, kw_only=True)
class TrainerKind(Contribution):
    """A loop that takes steps.

    Attributes
    ----------
    make : callable
        ``make(modules, folder, *, …options) -> trainer``: `modules` is a ``torch.nn.ModuleDict`` with the network under
        "model". The result has what :class:`sam2_core.training.trainer.Trainer` has: ``step``, ``run(task, progress,
        until)``, ``save()``, ``resume()``. The keyword-only parameters are the options.
    """

    make: Callable[..., Any]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.make, self, "make")
        list(options_of(self.make))
