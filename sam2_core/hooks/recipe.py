"""A way of fine-tuning a model on somebody's own labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of


@dataclass(frozen=True, kw_only=True)
class Recipe(Contribution):
    """A way of fine-tuning a model on somebody's own labels.

    Attributes
    ----------
    train : callable
        ``train(model, videos, run, *, …options) -> None``: changes the weights of `model`, a ``SAM2Base``, in place;
        `videos` is a ``Sequence[TrainingVideo]``. Between steps it looks at ``run.is_stopping`` and ``run.done``, and
        calls ``run.report``. Its keyword-only parameters are the options.
    follows_objects : bool
        Whether it learns from several frames of an object: labels that change their numbers are refused then.
    """

    train: Callable[..., None]
    follows_objects: bool = False

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.train, self, "train")
        list(options_of(self.train))
