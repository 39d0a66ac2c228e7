"""The built-in trainer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from sam2_core.hooks import TrainerKind, hookimpl

if TYPE_CHECKING:
    from sam2_core.training.trainer import Trainer


def make_trainer(
    modules: Any,
    folder: Path,
    *,
    learning_rate: Annotated[float, {"min": 0.0, "max": 1.0}] = 6e-4,
    weight_decay: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.02,
    warm_up: Annotated[int, {"min": 0}] = 100,
    seed: int = 0,
) -> Trainer:
    """Make the project's own trainer; see :class:`~sam2_core.training.trainer.TrainerOptions` for the options.

    Parameters
    ----------
    modules : nn.ModuleDict
        With the network under "model".
    folder : Path
        For checkpoints and the log.
    learning_rate, weight_decay, warm_up, seed
        Of the options.
    """
    # it brings torch
    from sam2_core.training.trainer import Trainer, TrainerOptions

    options = TrainerOptions(learning_rate=learning_rate, weight_decay=weight_decay, warm_up=warm_up, seed=seed)
    return Trainer(modules, options, folder)


@hookimpl
def sam2_trainers() -> Iterable[TrainerKind]:
    """List it."""
    return [TrainerKind("adamw", "AdamW with a cosine schedule and averaged weights", make=make_trainer)]
