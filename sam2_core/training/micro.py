"""The recipe of the checkpoint that ships, `sam2.1_hiera_micro`.

    python -m sam2_core.training.micro draw --folder RUN
    python -m sam2_core.training.micro train --folder RUN --hours 1.4 --workers 2
    python -m sam2_core.training.micro export --folder RUN

`draw` fills RUN/stills, RUN/stacks, RUN/tissue and RUN/motion with drawn microscopy, `train` trains from nothing (or
goes on from RUN/checkpoint.pt), `export` writes the averaged weights in fp16 under official keys. Training starts on
small inputs, where a step is cheap and the network learns what a click means, and goes on to larger ones; short stacks
are mixed in for the memory. Real images are not used.

Trained weights are gone on from with `FURTHER_PHASES`, with a new optimiser or with that of another run, by

    python -m sam2_core.training.micro train --folder RUN --start WEIGHTS.safetensors
    python -m sam2_core.training.micro train --folder RUN --start OTHER/checkpoint.pt

A run goes on where it stopped when `train` is called with more hours: the learning rate follows the share of the hours
that is over.

What was run for the checkpoint of this revision:

1. 1,455 steps from nothing (`PHASES`) on about one core of an AVX2 CPU: 8 to 6 workers, learning rate 1.2e-3, warm-up
   40; pools of general scenes alone. 0.604 on the real nuclei of tests/test_nuclei_tiles.py.
2. 1,682 further steps in 1.12 hours of clock on about a third of an AVX-512 core, 1 worker: learning rate 1.5e-4, from
   step 1,340 with 3e-4 on the same falling cosine, warm-up 50, averaging 0.995. 0.680 on the same nuclei. Stills as
   `draw` draws them now, stacks of four frames that were followed from the first, no tissue; `FURTHER_PHASES` were
   others, and changed at step 780.

Stages of training after that do not ship: they are much better on nuclei, still and in stacks, but lose a cell that
moves far from frame to frame.

Records: benchmarks/records/training-2026-11-27.md, training-2026-11-27-tissue.md and training-2026-11-28.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.errors import CheckpointError, MissingFileError
from sam2_core.model import SAM2Base
from sam2_core.training.dense_head import DenseHead
from sam2_core.training.initialisation import initialise
from sam2_core.training.input_size import set_input_size
from sam2_core.training.objectives import LossWeights, image_loss, stack_loss
from sam2_core.training.pool import draw_pool, open_pool
from sam2_core.training.samples import draw_batch
from sam2_core.training.trainer import StepRandom, Task, Trainer, TrainerOptions, mixture

CONFIG = "configs/sam2.1/sam2.1_hiera_micro.yaml"
WEIGHTS = Path(__file__).parents[1] / "checkpoints" / "weights" / "sam2.1_hiera_micro.safetensors"


@dataclass(frozen=True)
class PoolPlan:
    """What is drawn into one of a run's pools.

    Attributes
    ----------
    first_seed, stacks, frames, side
        Seed of the first stack, number of stacks, frames of each and their side in pixels.
    nuclei, tissue, motion
        See :func:`draw_pool`.
    """

    first_seed: int
    stacks: int
    frames: int
    side: int
    nuclei: float = 0.5
    tissue: float = 0.0
    motion: float = 0.0


POOLS = {
    # Larger than any crop, so that small cells stay small in it.
    "stills": PoolPlan(1_000_000, 6000, 1, 320),
    "stacks": PoolPlan(2_000_000, 1000, 8, 224),
    # Small frames, which are shown magnified: nuclei of 20 to 150 pixels at 256.
    "tissue": PoolPlan(3_000_000, 1000, 12, 96, nuclei=0.0, tissue=1.0),
    # Without them longer training forgets cells that move far: those of "stacks" hardly do.
    "motion": PoolPlan(4_000_000, 1000, 8, 224, nuclei=0.0, motion=1.0),
}


# How often each is used, for images and for stacks; frames of stacks are images too.
IMAGE_SHARES = {"stills": 0.55, "stacks": 0.25, "tissue": 0.2}
# Tissue hardly moves: with more of it the memory becomes a matter of place.
STACK_SHARES = {"stacks": 0.42, "motion": 0.42, "tissue": 0.16}
# Frames of a stack that are shown: more than a nucleus is high, and as many as the memory holds.
FRAMES = 8


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


PHASES = (
    # Learn what a click means, and what a cell is.
    Phase(0.35, (Work(1.0, 128, 4, 4),), LossWeights(dense=1.0)),
    # Larger inputs, and memory.
    Phase(
        0.48,
        (Work(0.4, 128, 4, 4), Work(0.25, 256, 1, 8), Work(0.35, 128, 1, 6, FRAMES)),
        LossWeights(balanced=0.7, focal=10.0, dense=0.4),
    ),
    # The sizes of use; the official loss gains weight.
    Phase(
        0.7,
        (Work(0.42, 256, 1, 8), Work(0.38, 128, 1, 6, FRAMES), Work(0.2, 256, 1, 4, FRAMES)),
        LossWeights(balanced=0.5, focal=15.0, iou=1.0, score=0.5, dense=0.2, others=0.05),
    ),
    # What was weakest then: which candidate is best, and when a cell has ended.
    Phase(
        1.0,
        (Work(0.5, 256, 1, 8), Work(0.25, 128, 1, 6, FRAMES), Work(0.25, 256, 1, 4, FRAMES)),
        LossWeights(balanced=0.5, focal=15.0, iou=2.0, score=1.0, dense=0.1, others=0.05),
    ),
)


# From trained weights on: masks as large as the cells, the right candidate, touching cells; and where a cell ends.
FURTHER_WEIGHTS = LossWeights(balanced=0.0, local=2.0, iou=1.5, score=2.0, dense=0.2, others=0.4, single=0.5)
# Every candidate good, and the best of them known.
LATE_WEIGHTS = replace(FURTHER_WEIGHTS, dense=0.1, iou=3.0, others=0.6)
FURTHER_PHASES = (
    Phase(
        0.6,
        (
            Work(0.22, 128, 6, 8),
            Work(0.33, 256, 2, 8),
            Work(0.2, 128, 1, 12, FRAMES),
            Work(0.12, 128, 1, 12, 4),
            Work(0.13, 256, 1, 6, 4),
        ),
        FURTHER_WEIGHTS,
    ),
    Phase(
        1.0,
        (
            Work(0.12, 128, 6, 8),
            Work(0.42, 256, 2, 8),
            Work(0.18, 128, 1, 12, FRAMES),
            Work(0.1, 128, 1, 12, 4),
            Work(0.18, 256, 1, 6, 4),
        ),
        LATE_WEIGHTS,
    ),
)


PLANS = {"first": PHASES, "further": FURTHER_PHASES}


def build_modules(seed: int = 0) -> nn.ModuleDict:
    """A new network, initialised, and its auxiliary head; position frequencies as at 256 pixels whatever the config."""
    torch.manual_seed(seed)
    model = instantiate_model(load_config(CONFIG))
    initialise(model, frequency=2.0 * model.input_size[0] / 256)
    width = model.hidden_dim
    return nn.ModuleDict({"model": model, "dense": DenseHead((width // 8, width // 4, width))})


def task_of(phase: Phase, modules: nn.ModuleDict, folder: Path) -> Task:
    """The mixed steps of a phase."""
    model, head = modules["model"], modules["dense"]
    assert isinstance(model, SAM2Base)
    assert isinstance(head, DenseHead)
    pools = {name: open_pool(folder / name) for name in POOLS}

    def make(work: Work) -> Task:
        def run(step: StepRandom) -> tuple[Tensor, dict[str, float]]:
            random = step.own
            set_input_size(model, work.size)
            shares = STACK_SHARES if work.frames > 1 else IMAGE_SHARES
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


def _train(
    rank: int,
    workers: int,
    folder: Path,
    hours: float,
    meeting: str,
    options: TrainerOptions,
    start: Path | None,
    plan: str,
) -> None:
    torch.set_num_threads(1)
    # Gradients of what is nearly certain are denormal numbers, which cost a CPU a hundred cycles each.
    torch.set_flush_denormal(True)
    if workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers)
    modules = build_modules()
    model = modules["model"]
    assert isinstance(model, SAM2Base)
    goes_on = (folder / "checkpoint.pt").exists()
    # A run's own checkpoint brings its optimiser and its auxiliary head along.
    from_run = start is not None and not goes_on and start.suffix == ".pt"
    if start is not None and not goes_on and not from_run:
        _start_from(model, start)
    trainer = Trainer(modules, options, folder)
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
    clock = _Clock(hours * 3600, used)
    saved = time.monotonic()

    def save() -> None:
        if rank == 0:
            trainer.save({"used": clock.used, "size": model.input_size[0], "plan": plan})

    def until_of(end: float) -> object:
        def until(step: int) -> bool:
            nonlocal saved
            if time.monotonic() - saved > 120:
                save()
                saved = time.monotonic()
            return clock(step) >= end

        return until

    for phase in PLANS[plan]:
        until = until_of(phase.until)
        trainer.run(task_of(phase, modules, folder), clock, until)  # type: ignore[arg-type]
    save()


def train(
    folder: Path,
    hours: float,
    workers: int,
    options: TrainerOptions,
    start: Path | None = None,
    plan: str | None = None,
) -> None:
    """Train in one or several processes; goes on from an earlier run in the folder.

    Parameters
    ----------
    folder : Path
        The run's, with its pools.
    hours : float
        Of the whole run, earlier calls included.
    workers : int
        Processes of one thread each.
    options : TrainerOptions
    start : Path, optional
        What a new run starts from: weights as :func:`export` writes them, with a new optimiser, or the checkpoint.pt of
        another run, with its optimiser. A run that goes on keeps what it started with.
    plan : str, optional
        A key of `PLANS`; "first" by default, or "further" with a start.
    """
    chosen = plan or ("first" if start is None else "further")
    with tempfile.TemporaryDirectory() as scratch:
        meeting = os.path.join(scratch, "meeting")
        if workers == 1:
            try:
                _train(0, 1, folder, hours, meeting, options, start, chosen)
            finally:
                # the process is the caller's, who may want them
                torch.set_flush_denormal(False)
        else:
            torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
                _train, args=(workers, folder, hours, meeting, options, start, chosen), nprocs=workers
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
        "trained_by": "python -m sam2_core.training.micro",
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
    print(json.dumps({"target": str(target), "bytes": target.stat().st_size, **metadata}))


def draw(folder: Path) -> None:
    """Draw the pools of a run."""
    for name, plan in POOLS.items():
        drawing = draw_pool(
            folder / name,
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
                print(f"{name}: {drawn} of {plan.stacks}", flush=True)


def main() -> None:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Train sam2.1_hiera_micro.")
    parser.add_argument("command", choices=("draw", "train", "export"))
    parser.add_argument("--folder", type=Path, default=Path("runs/micro"))
    parser.add_argument("--hours", type=float, default=1.4)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--warm-up", type=int, default=100, help="steps")
    parser.add_argument("--averaging", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--start", type=Path, default=None, help="weights or checkpoint.pt that a new run starts from")
    parser.add_argument("--plan", choices=tuple(PLANS), default=None, help="further with --start, else first")
    parser.add_argument("--target", type=Path, default=WEIGHTS)
    parser.add_argument("--size", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.command == "draw":
        draw(arguments.folder)
    elif arguments.command == "train":
        options = TrainerOptions(
            learning_rate=arguments.learning_rate, warm_up=arguments.warm_up, averaging=arguments.averaging
        )
        train(arguments.folder, arguments.hours, arguments.workers, options, arguments.start, arguments.plan)
    else:
        export(arguments.folder, arguments.target, arguments.size)


if __name__ == "__main__":
    main()
