"""The one trainer: steps, optimiser, schedule, averaged weights, checkpoints, a log of JSON lines.

What a step trains on is a task (:data:`Task`): the recipe of the shipped checkpoint gives it drawn scenes, a run from a
configuration (:mod:`sam2_core.training.run`) batches of data sets.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from sam2_core.errors import (
    CheckpointError,
    ConfigError,
    DivergedError,
    InvalidInputError,
    MissingFileError,
    WriteError,
)
from sam2_core.training.optimiser import ScheduledOptimiser, names_matching
from sam2_core.training.sharding import clip_gradients, is_sharded, joined, joined_parts, own_part, shared_out_like


@dataclass(frozen=True)
class StepRandom:
    """Randomness of one step; the same whenever the step is run.

    Attributes
    ----------
    own
        Differs between processes: batches are drawn from it.
    shared
        The same in all processes: what kind of work is done, so that none waits long for another.
    """

    own: np.random.Generator
    shared: np.random.Generator


#: One step's task: draws its own batch and returns the loss and numbers to log.
Task = Callable[[StepRandom], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class TrainerOptions:
    """How a network is trained.

    Attributes
    ----------
    learning_rate
        Highest, after the warm-up.
    final_rate
        Fraction of it left at the end of the cosine.
    warm_up
        Steps over which it rises.
    weight_decay
        On matrices alone; biases, norms and embeddings have none.
    clip
        Largest norm of the gradient; None for any.
    clip_norm
        Which norm.
    averaging
        Decay of the moving average of the weights; 0 for none.
    seed
        Of the batches; each process and step has a stream of its own.
    log_every
        Steps between lines of the log.
    accumulate
        Tasks whose gradients are averaged for one step.
    """

    learning_rate: float = 6e-4
    final_rate: float = 0.03
    warm_up: int = 100
    weight_decay: float = 0.02
    clip: float | None = 1.0
    clip_norm: float = 2.0
    averaging: float = 0.998
    seed: int = 0
    log_every: int = 20
    accumulate: int = 1


class Trainer:
    """Train networks with tasks, alone or as one of several processes that share their gradients.

    Parameters
    ----------
    modules : nn.ModuleDict
        Everything that is trained; under "model" the network itself, whose weights may be sharded
        (:mod:`sam2_core.training.sharding`).
    options : TrainerOptions
    folder : Path
        For "checkpoint.pt" and "log.jsonl"; created if missing.
    optimiser : ScheduledOptimiser, optional
        In place of AdamW with the rates that the options describe. Parameters that a step did not use are left alone
        then.
    skip_saving : sequence of str
        Patterns of names of frozen weights of the model that checkpoints leave out.
    half_precision_scaler : bool
        Scale the loss so that gradients in float16 do not vanish.
    gradient_dtype : torch.dtype, optional
        In which processes exchange gradients; their own by default.
    log_folder : Path, optional
        For "log.jsonl" alone.
    on_gradients : callable, optional
        Called before each step, when gradients are shared and clipped, with the share of the training that is done.

    Raises
    ------
    InvalidInputError
        No "model".
    ConfigError
        A weight that checkpoints would leave out is trained.
    """

    def __init__(
        self,
        modules: nn.ModuleDict,
        options: TrainerOptions,
        folder: Path,
        optimiser: ScheduledOptimiser | None = None,
        *,
        skip_saving: Sequence[str] = (),
        half_precision_scaler: bool = False,
        gradient_dtype: torch.dtype | None = None,
        log_folder: Path | None = None,
        on_gradients: Callable[[float], None] | None = None,
    ) -> None:
        if "model" not in modules:
            raise InvalidInputError(f'modules needs an entry "model", got {sorted(modules)}')
        if options.accumulate < 1:
            raise InvalidInputError(f"accumulate is at least 1; got {options.accumulate}")
        self.modules = modules
        self.options = options
        self.folder = folder
        self._log_path = (log_folder or folder) / "log.jsonl"
        for each in (folder, self._log_path.parent):
            each.mkdir(parents=True, exist_ok=True)
        named = [(name, p) for name, p in modules.named_parameters() if p.requires_grad]
        self._names = [name for name, _ in named]
        self._parameters = [p for _, p in named]
        #: Whether processes hold parts of the weights.
        self.is_sharded = any(is_sharded(p) for p in self._parameters)
        self._skipped = _skipped_names(modules["model"], skip_saving)
        self._scheduled = optimiser
        self.optimiser = self._own_optimiser(named) if optimiser is None else optimiser.optimizer
        self._scaler = torch.amp.GradScaler(self._parameters[0].device.type, enabled=half_precision_scaler)
        self._gradient_dtype = gradient_dtype
        self._on_gradients = on_gradients
        self.step = 0
        self.average = [own_part(p.detach()).clone() for p in self._parameters] if options.averaging else []
        self._seconds = 0.0
        self._sums: dict[str, tuple[float, int]] = {}

    def _own_optimiser(self, named: Sequence[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
        # Tables that are looked up or added, rather than multiplied with, are not drawn to zero.
        plain = ("embed", "token", "tpos", "no_obj", "no_mem")
        decayed = [p for name, p in named if p.ndim > 1 and not any(word in name for word in plain)]
        others = [p for name, p in named if p.ndim <= 1 or any(word in name for word in plain)]
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.options.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.options.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    @property
    def seconds(self) -> float:
        """Time spent on steps, over all runs."""
        return self._seconds

    @property
    def rank(self) -> int:
        """Number of this process, 0 if it is alone."""
        return dist.get_rank() if dist.is_initialized() else 0

    def run(self, task: Task, progress: Callable[[int], float], until: Callable[[int], bool]) -> None:
        """Train until told to stop.

        Parameters
        ----------
        task : Task
        progress : callable
            From the step to the share of the whole training that is done, in [0, 1]: sets the learning rate.
        until : callable
            From the step to whether to stop before it. With several processes, all must answer alike.

        Raises
        ------
        DivergedError
            If the loss is not finite, in any of the processes. The last checkpoint stays as it was.
        """
        self.modules.train()
        while not until(self.step):
            started = time.monotonic()
            done = progress(self.step)
            rate = self._set_rate(done)
            self.optimiser.zero_grad(set_to_none=True)
            total = 0.0
            sums: dict[str, float] = {}
            for part in range(self.options.accumulate):
                loss, measures = task(self._random(part))
                self._require_finite(loss)
                self._scaler.scale(loss / self.options.accumulate).backward()
                total += float(loss.detach()) / self.options.accumulate
                for name, value in measures.items():
                    sums[name] = sums.get(name, 0.0) + value / self.options.accumulate
            self._share_gradients()
            self._scaler.unscale_(self.optimiser)
            norm = clip_gradients(self._parameters, self.options.clip or None, self.options.clip_norm)
            if self._on_gradients is not None:
                self._on_gradients(done)
            self._scaler.step(self.optimiser)
            self._scaler.update()
            self._move_average()
            self.step += 1
            self._seconds += time.monotonic() - started
            self._log({"loss": total, **sums}, rate, norm)

    def _random(self, part: int) -> StepRandom:
        """Randomness of a part of the step; torch's (dropout, where clicks fall) starts from the same."""
        seed, parts = self.options.seed, (part,) if part else ()
        own = np.random.SeedSequence((seed, self.step, 1 + self.rank, *parts))
        torch.manual_seed(int(own.generate_state(1, np.uint64)[0]))
        return StepRandom(
            own=np.random.default_rng(own),
            shared=np.random.default_rng((seed, self.step, *([0, part] if part else []))),
        )

    def _require_finite(self, loss: Tensor) -> None:
        finite = torch.isfinite(loss.detach()).float()
        if self._processes > 1:
            # all stop together: one that goes on alone would wait for the others for ever
            dist.all_reduce(finite, dist.ReduceOp.MIN)
        if not bool(finite):
            raise DivergedError(
                f"The loss is {float(loss.detach())} at step {self.step}; lower the learning rate, or look at the data."
            )

    @property
    def _processes(self) -> int:
        return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1

    def _set_rate(self, done: float) -> float:
        options = self.options
        if self._scheduled is not None:
            self._scheduled.set(min(max(done, 0.0), 1.0))
            return float(max(group["lr"] for group in self.optimiser.param_groups))
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(max(done, 0.0), 1.0))
        rate = options.learning_rate * (options.final_rate + (1 - options.final_rate) * cosine)
        rate *= min(1.0, (self.step + 1) / max(options.warm_up, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _share_gradients(self) -> None:
        """Average gradients over the processes.

        A parameter that a step did not use has a gradient of zero, or none where the optimiser is to leave it alone; it
        is used if any process did. Sharded ones are averaged in the backward pass.
        """
        used = torch.tensor([p.grad is not None for p in self._parameters], device=self._parameters[0].device)
        if self._scheduled is None:
            used[:] = True
        elif self._processes > 1:
            counts = used.int()
            dist.all_reduce(counts)
            used = counts > 0
        shared = [p for p, is_used in zip(self._parameters, used.tolist(), strict=True) if is_used]
        for parameter in shared:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        shared = [p for p in shared if not is_sharded(p)]
        if self._processes == 1 or not shared:
            return
        flat = torch.cat([p.grad.flatten() for p in shared if p.grad is not None])
        sent = flat if self._gradient_dtype is None else flat.to(self._gradient_dtype)
        dist.all_reduce(sent)
        flat = sent.to(flat.dtype) / self._processes
        offset = 0
        for parameter in shared:
            count = parameter.numel()
            parameter.grad = flat[offset : offset + count].view_as(parameter)
            offset += count

    @torch.no_grad()
    def _move_average(self) -> None:
        if not self.options.averaging:
            return
        # At first the average follows quickly, so that it forgets the start.
        decay = min(self.options.averaging, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [own_part(p.detach()) for p in self._parameters], 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the context the network has the averaged weights, where there are any."""
        if not self.options.averaging:
            yield
            return
        kept = [own_part(p.detach()).clone() for p in self._parameters]
        self._copy_in(self.average)
        try:
            yield
        finally:
            self._copy_in(kept)

    @torch.no_grad()
    def _copy_in(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            own_part(parameter).copy_(value)

    def take_average(self) -> None:
        """Give the network the averaged weights, where there are any, for good."""
        if self.options.averaging:
            self._copy_in(self.average)

    def averaged_state(self) -> dict[str, Tensor]:
        """State dict of the network with averaged weights, detached copies.

        If they are sharded, all processes have to ask for it.
        """
        state = {name: joined(value.detach().clone()) for name, value in self.modules["model"].state_dict().items()}
        if self.options.averaging:
            for name, value, parameter in zip(self._names, self.average, self._parameters, strict=True):
                if name.startswith("model."):
                    state[name.removeprefix("model.")] = joined_parts(value.clone(), parameter)
        return state

    def _log(self, measures: dict[str, float], rate: float, norm: float) -> None:
        for name, value in measures.items():
            if value == value:
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + value, count + 1)
        if self.step % self.options.log_every or self.rank:
            return
        means = {name: round(total / count, 4) for name, (total, count) in self._sums.items()}
        self._sums.clear()
        line = {"step": self.step, "seconds": round(self._seconds, 1), "rate": rate, "norm": round(norm, 3), **means}
        with self._log_path.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self, extra: dict[str, Any] | None = None, names: Sequence[str] = ("checkpoint",)) -> Path:
        """Write "checkpoint.pt", replacing the last one in a single move.

        If weights are sharded, all processes have to call it, and the first one writes.

        Parameters
        ----------
        extra : dict, optional
            Plain values kept beside the weights.
        names : sequence of str
            Files to write, without ".pt".

        Raises
        ------
        WriteError
            The disk is full, or may not be written to; the last checkpoint is as it was.
        """
        # By name: a network whose parts are declared in another order reads them all the same.
        named = dict(zip(self._names, self._parameters, strict=True))
        averages = zip(self._names, self.average, strict=True) if self.options.averaging else ()
        state = {
            # under the key that official programs look for
            "model": {
                name: self._kept(joined(value))
                for name, value in self.modules["model"].state_dict().items()
                if name not in self._skipped
            },
            "modules": {
                name: value for name, value in self.modules.state_dict().items() if not name.startswith("model.")
            },
            "average": {name: self._kept(joined_parts(value, named[name])) for name, value in averages},
            "shapes": {name: list(p.shape) for name, p in named.items()},
            "optimiser": {
                name: {
                    key: self._kept(joined(value)) if isinstance(value, Tensor) else value
                    for key, value in self.optimiser.state[p].items()
                }
                for name, p in named.items()
            },
            "scaler": self._scaler.state_dict(),
            "step": self.step,
            "seconds": self._seconds,
            "options": asdict(self.options),
            "extra": extra or {},
        }
        paths = [self.folder / f"{name}.pt" for name in names]
        if not (self.is_sharded and self.rank):
            for path in paths:
                _write(state, path)
        return paths[0]

    def _kept(self, value: Tensor) -> Tensor:
        """A value for a checkpoint; nothing where this process helps only to join it, and does not write."""
        return value.new_empty(0) if self.is_sharded and self.rank else value

    def resume(self, path: Path | None = None) -> dict[str, Any]:
        """Go on from a checkpoint of the same networks.

        Parameters
        ----------
        path : Path, optional
            "checkpoint.pt" of the trainer's folder by default.

        Returns
        -------
        dict
            What was given to :meth:`save` as ``extra``.

        Raises
        ------
        MissingFileError
            No such file.
        CheckpointError
            It belongs to other networks.
        """
        path = path or self.folder / "checkpoint.pt"
        if not path.exists():
            raise MissingFileError(f"No checkpoint at {path}; start without resuming.")
        state = torch.load(path, map_location="cpu", weights_only=True)
        mine = {name: tuple(p.shape) for name, p in zip(self._names, self._parameters, strict=True)}
        # checkpoints from before shapes were kept have an average of every parameter
        theirs = state.get("shapes") or {name: value.shape for name, value in state["average"].items()}
        if {name: tuple(shape) for name, shape in theirs.items()} != mine:
            raise CheckpointError(f"{path} belongs to other networks than those of this trainer.")
        weights = state["modules"] | {f"model.{name}": value for name, value in state.get("model", {}).items()}
        lacking = set(self.modules.state_dict()) - set(weights) - {f"model.{name}" for name in self._skipped}
        if lacking:
            raise CheckpointError(
                f"{path} lacks {len(lacking)} weights of these networks, such as {sorted(lacking)[0]}."
            )
        own = self.modules.state_dict()
        weights = {name: shared_out_like(value, own[name]) if name in own else value for name, value in weights.items()}
        self.modules.load_state_dict(weights, strict=False)
        if self.options.averaging:
            now = dict(zip(self._names, self._parameters, strict=True))
            kept = state["average"] or {name: p.detach() for name, p in now.items()}
            self.average = [own_part(shared_out_like(kept[name].clone(), now[name])) for name in self._names]
        for name, parameter in zip(self._names, self._parameters, strict=True):
            if state["optimiser"][name]:
                self.optimiser.state[parameter] = {
                    key: _state_for(value, parameter) for key, value in state["optimiser"][name].items()
                }
        if state.get("scaler"):
            self._scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])
        self._seconds = float(state["seconds"])
        extra: dict[str, Any] = state["extra"]
        return extra


def mixture(tasks: Iterable[tuple[float, Task]]) -> Task:
    """One task that is one of several at each step, with probabilities in proportion to their weights."""
    pairs = list(tasks)
    if not pairs or any(weight < 0 for weight, _ in pairs) or sum(weight for weight, _ in pairs) <= 0:
        raise InvalidInputError("A mixture needs tasks with weights of 0 or more, not all 0.")
    shares = np.array([weight for weight, _ in pairs]) / sum(weight for weight, _ in pairs)

    def run(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        return pairs[int(random.shared.choice(len(pairs), p=shares))][1](random)

    return run


def _skipped_names(model: nn.Module, patterns: Sequence[str]) -> set[str]:
    """Names of weights that checkpoints leave out; they have to be frozen."""
    skipped = names_matching(patterns, model.state_dict()) if patterns else set()
    trained = sorted(name for name, p in model.named_parameters() if p.requires_grad and name in skipped)
    if trained:
        raise ConfigError(
            f"checkpoints cannot leave out what is trained: {trained[0]} and {len(trained) - 1} others match "
            f"{list(patterns)}. Freeze them, or save them"
        )
    return skipped


def _state_for(value: Any, parameter: nn.Parameter) -> Any:
    """What an optimiser keeps of a parameter, from a checkpoint: where, and shared out, as the parameter is."""
    if not isinstance(value, Tensor) or not value.ndim:
        return value
    return shared_out_like(value, parameter) if value.shape == parameter.shape else value.to(parameter.device)


def _write(state: dict[str, Any], path: Path) -> None:
    """Write a file that appears complete or not at all, and survives a power cut."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError where the disk is full
        if isinstance(error.__context__, (KeyboardInterrupt, SystemExit)):
            # a signal came while it wrote, and what it wrote did not please it then
            raise error.__context__ from None
        raise WriteError(
            f"{path} could not be written ({error}); the checkpoint before it is intact. Make room and start again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
