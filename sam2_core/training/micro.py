"""The training of the checkpoint that ships, `sam2.1_hiera_micro`, on drawn microscopy.

    sam2 train --config-name micro folder=RUN hours=1.4 workers=2

It draws RUN/stills, RUN/stacks, RUN/tissue and RUN/motion, trains from nothing (or goes on from RUN/checkpoint.pt), and
writes the averaged weights in fp16 under official keys. Training starts on small inputs, where a step is cheap and the
network learns what a click means, and goes on to larger ones; short stacks are mixed in for the memory. Real images are
not used. The learning rate follows the share of the hours that is over.

docs/checkpoint.md says what was run for the checkpoint of this revision, and what it can do.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.errors import CheckpointError, ConfigError, MissingFileError
from sam2_core.model import SAM2Base
from sam2_core.training.dense_head import DenseHead
from sam2_core.training.initialisation import initialise
from sam2_core.training.input_size import set_input_size
from sam2_core.training.objectives import image_loss, stack_loss
from sam2_core.training.pool import draw_pool, open_pool
from sam2_core.training.recipe import Phase, Recipe, Work
from sam2_core.training.samples import draw_batch
from sam2_core.training.trainer import StepRandom, Task, Trainer, TrainerOptions, mixture

CONFIG = "configs/sam2.1/sam2.1_hiera_micro.yaml"
WEIGHTS = Path(__file__).parents[1] / "checkpoints" / "weights" / "sam2.1_hiera_micro.safetensors"

_log = logging.getLogger(__name__)


def build_modules(seed: int = 0) -> nn.ModuleDict:
    """A new network, initialised, and its auxiliary head; position frequencies as at 256 pixels whatever the config."""
    torch.manual_seed(seed)
    model = instantiate_model(load_config(CONFIG))
    initialise(model, frequency=2.0 * model.input_size[0] / 256)
    width = model.hidden_dim
    return nn.ModuleDict({"model": model, "dense": DenseHead((width // 8, width // 4, width))})


def task_of(recipe: Recipe, phase: Phase, modules: nn.ModuleDict) -> Task:
    """The mixed steps of a phase."""
    model, head = modules["model"], modules["dense"]
    assert isinstance(model, SAM2Base)
    assert isinstance(head, DenseHead)
    pools = {name: open_pool(recipe.folder / name) for name in recipe.pools}

    def make(work: Work) -> Task:
        def run(step: StepRandom) -> tuple[Tensor, dict[str, float]]:
            random = step.own
            set_input_size(model, work.size)
            shares = recipe.stack_shares if work.frames > 1 else recipe.image_shares
            pool = pools[str(random.choice(list(shares), p=list(shares.values())))]
            batch = draw_batch(
                random, pool, stacks=work.stacks, objects=work.objects, size=work.size, frames=work.frames
            )
            loss = stack_loss if work.frames > 1 else image_loss
            value, measures = loss(model, head, batch, random, phase.weights)
            return value, {f"{name}@{work.size}": number for name, number in measures.items()}

        return run

    return mixture((work.share, make(work)) for work in phase.works)


class _Clock:
    """Share of the training's time that is over; the first process's clock counts for all."""

    def __init__(self, seconds: float, used: float) -> None:
        self._seconds = seconds
        self._start = time.monotonic() - used
        self._step = -1
        self._share = 0.0

    @property
    def used(self) -> float:
        return time.monotonic() - self._start

    def __call__(self, step: int) -> float:
        if step != self._step:
            share = torch.tensor([self.used / self._seconds])
            if dist.is_initialized():
                dist.broadcast(share, 0)
            self._step, self._share = step, float(share)
        return self._share


def _start_from(model: SAM2Base, weights: Path) -> None:
    """Give a new network the weights of an earlier one, which are for the configured input size."""
    if not weights.exists():
        raise MissingFileError(f"No weights at {weights} to start from.")
    state = {name: value.float() for name, value in load_file(weights).items()}
    own = model.state_dict()
    wrong = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if wrong or len(state) != len(own):
        raise CheckpointError(f"{weights} does not hold the weights of {CONFIG}, for example {(wrong or ['more'])[0]}.")
    model.load_state_dict(state)


def _train(rank: int, recipe: Recipe, meeting: str) -> None:
    torch.set_num_threads(1)
    # Gradients of what is nearly certain are denormal numbers, which cost a CPU a hundred cycles each.
    torch.set_flush_denormal(True)
    if recipe.workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=recipe.workers)
    modules = build_modules()
    model = modules["model"]
    assert isinstance(model, SAM2Base)
    start, plan = recipe.start, recipe.plan
    goes_on = (recipe.folder / "checkpoint.pt").exists()
    # A run's own checkpoint brings its optimiser and its auxiliary head along.
    from_run = start is not None and not goes_on and start.suffix == ".pt"
    if start is not None and not goes_on and not from_run:
        _start_from(model, start)
    trainer = Trainer(modules, recipe.options, recipe.folder)
    used = 0.0
    if goes_on or from_run:
        extra = trainer.resume(start if from_run else None)
        # The position frequencies in a checkpoint are those of the last step's size.
        model.image_size = int(extra["size"])
        now = model.image_size
        set_input_size(model, 32)
        set_input_size(model, now)
        if from_run:
            trainer.step = 0
        else:
            used = float(extra["used"])
            plan = str(extra.get("plan", plan))
    if plan not in recipe.plans:
        known = ", ".join(recipe.plans)
        raise ConfigError(f"The run in {recipe.folder} goes through the plan {plan!r}; the recipe has {known}.")
    clock = _Clock(recipe.hours * 3600, used)
    saved = time.monotonic()

    def save() -> None:
        if rank == 0:
            trainer.save({"used": clock.used, "size": model.input_size[0], "plan": plan})

    def until_of(end: float) -> Callable[[int], bool]:
        def until(step: int) -> bool:
            nonlocal saved
            if time.monotonic() - saved > 120:
                save()
                saved = time.monotonic()
            return clock(step) >= end

        return until

    for phase in recipe.plans[plan]:
        trainer.run(task_of(recipe, phase, modules), clock, until_of(phase.until))
    save()


def train(recipe: Recipe) -> None:
    """Train in one or several processes; goes on from an earlier run in the folder, with what that started with.

    Raises
    ------
    MissingFileError, CheckpointError
        No pools in the folder, or nothing to start from.
    """
    with tempfile.TemporaryDirectory() as scratch:
        meeting = os.path.join(scratch, "meeting")
        if recipe.workers == 1:
            try:
                _train(0, recipe, meeting)
            finally:
                # the process is the caller's, who may want them
                torch.set_flush_denormal(False)
        else:
            torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
                _train, args=(recipe, meeting), nprocs=recipe.workers
            )


def export(folder: Path, target: Path, size: int | None = None, about: dict[str, str] | None = None) -> None:
    """Write the averaged weights of a run as fp16 safetensors.

    Parameters
    ----------
    folder : Path
        The run's.
    target : Path
        Replaced in a single move.
    size : int, optional
        Input size that the weights are for; the config's by default.
    about : dict, optional
        Further metadata.
    """
    modules = build_modules()
    trainer = Trainer(modules, TrainerOptions(), folder)
    extra = trainer.resume()
    model = modules["model"]
    assert isinstance(model, SAM2Base)
    size = size or model.input_size[0]
    state = trainer.averaged_state()
    matrix = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    state[matrix] = state[matrix] * (size / int(extra["size"]))
    half = {name: value.half().contiguous() if value.is_floating_point() else value for name, value in state.items()}
    metadata = {
        "format": "pt",
        "model": "sam2.1_hiera_micro",
        "sam2_config": CONFIG,
        "sam2_image_size": str(size),
        "trained_by": "sam2 train --config-name micro",
        "data": "procedurally drawn microscopy (sam2_core.training.generator), no real images",
        "steps": str(trainer.step),
        "hours": f"{float(extra['used']) / 3600:.2f}",
        # Steps and hours are those of the last run alone.
        **({"started_from": "earlier weights of this model"} if extra.get("plan", "first") != "first" else {}),
        "licence": "Apache-2.0",
        **(about or {}),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    save_file(half, partial, metadata=metadata)
    partial.chmod(0o644)  # safetensors writes for the owner alone, git and wheels want it readable
    partial.replace(target)
    _log.info("%s: %s bytes, %s", target, target.stat().st_size, json.dumps(metadata))


def draw(recipe: Recipe) -> None:
    """Draw the pools of a run, but for those that are there."""
    for name, plan in recipe.pools.items():
        folder = recipe.folder / name
        if (folder / "drawn.json").exists() and len(open_pool(folder)) == plan.stacks:
            continue
        drawing = draw_pool(
            folder,
            first_seed=plan.first_seed,
            stacks=plan.stacks,
            frames=plan.frames,
            size=(plan.side, plan.side),
            nuclei=plan.nuclei,
            tissue=plan.tissue,
            motion=plan.motion,
        )
        for drawn in drawing:
            if drawn % 100 == 0:
                _log.info("%s: %d of %d stacks drawn", name, drawn, plan.stacks)


def follow(recipe: Recipe) -> None:
    """Do the steps of a recipe."""
    if "draw" in recipe.steps:
        draw(recipe)
    if "train" in recipe.steps:
        train(recipe)
    if "export" in recipe.steps:
        export(recipe.folder, recipe.target)
