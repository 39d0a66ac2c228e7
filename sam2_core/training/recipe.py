"""A recipe: drawn data, a schedule of steps on them, and where the weights go, as a configuration says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig

from sam2_core.checkpoints.config import load_config
from sam2_core.checkpoints.overrides import apply_overrides
from sam2_core.errors import ConfigError
from sam2_core.training.objectives import LossWeights
from sam2_core.training.trainer import TrainerOptions
from sam2_core.training.training_config import find_training_config, resolved

STEPS = ("draw", "train", "export")


@dataclass(frozen=True)
class PoolPlan:
    """What is drawn into one of a run's pools.

    Attributes
    ----------
    first_seed, stacks, frames, side
        Seed of the first stack, number of stacks, frames of each and their side in pixels.
    nuclei, tissue, motion
        See :func:`~sam2_core.training.pool.draw_pool`.
    """

    first_seed: int
    stacks: int
    frames: int
    side: int
    nuclei: float = 0.0
    tissue: float = 0.0
    motion: float = 0.0


@dataclass(frozen=True)
class Work:
    """One kind of step.

    Attributes
    ----------
    share
        How often, in proportion to the other kinds of the phase.
    size
        Side of the input in pixels.
    stacks, objects, frames
        Stacks (images if `frames` is 1) of a worker's batch, objects in each, frames of each.
    """

    share: float
    size: int
    stacks: int
    objects: int
    frames: int = 1


@dataclass(frozen=True)
class Phase:
    """A part of the training.

    Attributes
    ----------
    until
        Share of the training's time at which it ends.
    works
        Kinds of steps, mixed.
    weights
        Of the losses.
    """

    until: float
    works: tuple[Work, ...]
    weights: LossWeights = field(default_factory=LossWeights)


@dataclass(frozen=True)
class Recipe:
    """All of a training on drawn data.

    Attributes
    ----------
    folder
        Of the run: pools, log, checkpoint.
    steps
        Of `STEPS`, those that are to be done.
    hours
        Of the whole training, earlier calls included.
    workers
        Processes of one thread each.
    options
        Of the trainer.
    pools, image_shares, stack_shares
        What is drawn, and how often each pool is used for images and for stacks.
    plans, plan
        Phases by name, and which of them a new run goes through.
    start
        What a new run starts from: weights, with a new optimiser, or the checkpoint.pt of another run, with its own.
    target
        Where the weights go.
    """

    folder: Path
    steps: tuple[str, ...]
    hours: float
    workers: int
    options: TrainerOptions
    pools: Mapping[str, PoolPlan]
    image_shares: Mapping[str, float]
    stack_shares: Mapping[str, float]
    plans: Mapping[str, tuple[Phase, ...]]
    plan: str
    start: Path | None
    target: Path


def is_recipe(config: DictConfig) -> bool:
    """Whether a configuration is one of a recipe, rather than of a training on labelled data."""
    return config.get("recipe") is not None


def read_recipe_config(name: str | os.PathLike[str], overrides: Sequence[str] = ()) -> DictConfig:
    """Read a configuration and apply overrides; what it holds is not looked at.

    Parameters
    ----------
    name : str or os.PathLike
        A name (see :func:`~sam2_core.training.training_config.training_config_names`) or a file.
    overrides : sequence of str
        In Hydra's grammar: ``hours=3 options.learning_rate=3e-4``.
    """
    config = load_config(find_training_config(name))
    if is_recipe(config):
        apply_overrides(config, list(overrides))
    return config


def recipe_of(config: DictConfig) -> Recipe:
    """What a configuration describes.

    Raises
    ------
    ConfigError
        An entry that is missing, unknown or of no use; the message names it.
    """
    given = resolved(config, "the whole")
    name = str(given.pop("recipe"))
    wanted = {one.name for one in fields(Recipe)}
    if set(given) != wanted:
        wrong = sorted(set(given) ^ wanted)
        raise ConfigError(f"a recipe has the entries {', '.join(sorted(wanted))}; look at {', '.join(wrong)}")
    steps = tuple(given["steps"])
    if not steps or not set(steps) <= set(STEPS):
        raise ConfigError(f"steps are some of {', '.join(STEPS)}; got {list(steps)}")
    if not (given["hours"] > 0 and int(given["workers"]) >= 1):
        raise ConfigError(
            f"hours have to be positive and workers at least 1; got {given['hours']} and {given['workers']}"
        )
    pools = {key: _made(PoolPlan, one, f"pools.{key}") for key, one in given["pools"].items()}
    for shares in ("image_shares", "stack_shares"):
        unknown = set(given[shares]) - set(pools)
        if unknown or not given[shares] or abs(sum(given[shares].values()) - 1) > 1e-6:
            raise ConfigError(f"{shares} are those of pools ({', '.join(pools)}), 1 together; got {given[shares]}")
    plans = {key: _phases(phases, f"plans.{key}") for key, phases in given["plans"].items()}
    if given["plan"] not in plans:
        raise ConfigError(f"plan is one of {', '.join(plans)}; got {given['plan']!r}")
    folder = Path(given["folder"])
    return Recipe(
        folder=folder,
        steps=steps,
        hours=float(given["hours"]),
        workers=int(given["workers"]),
        options=_made(TrainerOptions, given["options"], "options"),
        pools=pools,
        image_shares=given["image_shares"],
        stack_shares=given["stack_shares"],
        plans=plans,
        plan=given["plan"],
        start=None if given["start"] is None else Path(given["start"]),
        target=folder / f"{name}.safetensors" if given["target"] is None else Path(given["target"]),
    )


def _phases(given: Any, where: str) -> tuple[Phase, ...]:
    phases = []
    for number, one in enumerate(given):
        place = f"{where}[{number}]"
        works = tuple(_made(Work, work, f"{place}.works") for work in one.get("works") or ())
        weights = _made(LossWeights, one.get("weights") or {}, f"{place}.weights")
        phases.append(_made(Phase, {**one, "works": works, "weights": weights}, place))
    if not phases or any(not phase.works for phase in phases) or phases[-1].until != 1.0:
        raise ConfigError(f"{where} needs phases with works, the last of which ends at 1.0")
    return tuple(phases)


_Made = TypeVar("_Made")


def _made(kind: type[_Made], given: Mapping[str, Any], where: str) -> _Made:
    try:
        return kind(**given)
    except TypeError as error:
        raise ConfigError(f"{where} of the recipe cannot be used: {error}") from error
