"""The one trainer: steps, optimiser, schedule, averaged weights, checkpoints, a log of JSON lines."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from sam2_core.errors import CheckpointError, InvalidInputError, MissingFileError, StateError


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
        Largest norm of the gradient.
    averaging
        Decay of the moving average of the weights; 0 for none.
    seed
        Of the batches; each process and step has a stream of its own.
    log_every
        Steps between lines of the log.
    """

    learning_rate: float = 6e-4
    final_rate: float = 0.03
    warm_up: int = 100
    weight_decay: float = 0.02
    clip: float = 1.0
    averaging: float = 0.998
    seed: int = 0
    log_every: int = 20


class Trainer:
    """Train networks with tasks, alone or as one of several processes that share their gradients.

    Parameters
    ----------
    modules : nn.ModuleDict
        Everything that is trained; under "model" the network itself.
    options : TrainerOptions
    folder : Path
        For "checkpoint.pt" and "log.jsonl"; created if missing.
    """

    def __init__(self, modules: nn.ModuleDict, options: TrainerOptions, folder: Path) -> None:
        if "model" not in modules:
            raise InvalidInputError(f'modules needs an entry "model", got {sorted(modules)}')
        self.modules = modules
        self.options = options
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        named = [(name, p) for name, p in modules.named_parameters() if p.requires_grad]
        self._names = [name for name, _ in named]
        self._parameters = [p for _, p in named]
        # Tables that are looked up or added, rather than multiplied with, are not drawn to zero.
        plain = ("embed", "token", "tpos", "no_obj", "no_mem")
        decayed = [p for name, p in named if p.ndim > 1 and not any(word in name for word in plain)]
        others = [p for name, p in named if p.ndim <= 1 or any(word in name for word in plain)]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=options.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.step = 0
        self.average = [p.detach().clone() for p in self._parameters]
        self._seconds = 0.0
        self._sums: dict[str, tuple[float, int]] = {}

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
        StateError
            If the loss is not finite. The last checkpoint stays as it was.
        """
        self.modules.train()
        while not until(self.step):
            started = time.monotonic()
            rate = self._set_rate(progress(self.step))
            seed = self.options.seed
            random = StepRandom(
                own=np.random.default_rng((seed, self.step, 1 + self.rank)),
                shared=np.random.default_rng((seed, self.step)),
            )
            loss, measures = task(random)
            if not math.isfinite(float(loss.detach())):
                raise StateError(f"The loss is {float(loss.detach())} at step {self.step}; lower the learning rate.")
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._share_gradients()
            norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.options.clip)
            self.optimiser.step()
            self._move_average()
            self.step += 1
            self._seconds += time.monotonic() - started
            self._log({"loss": float(loss.detach()), **measures}, rate, float(norm))

    def _set_rate(self, done: float) -> float:
        options = self.options
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(max(done, 0.0), 1.0))
        rate = options.learning_rate * (options.final_rate + (1 - options.final_rate) * cosine)
        rate *= min(1.0, (self.step + 1) / max(options.warm_up, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _share_gradients(self) -> None:
        """Average gradients over the processes; a parameter that a step did not use has a gradient of zero."""
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return
        flat = torch.cat([p.grad.flatten() for p in self._parameters if p.grad is not None])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        offset = 0
        for parameter in self._parameters:
            count = parameter.numel()
            parameter.grad = flat[offset : offset + count].view_as(parameter)
            offset += count

    @torch.no_grad()
    def _move_average(self) -> None:
        if not self.options.averaging:
            return
        # At first the average follows quickly, so that it forgets the start.
        decay = min(self.options.averaging, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self._parameters], 1 - decay)

    def averaged_state(self) -> dict[str, Tensor]:
        """State dict of the network with averaged weights, detached copies."""
        state = {name: value.detach().clone() for name, value in self.modules["model"].state_dict().items()}
        if self.options.averaging:
            for name, value in zip(self._names, self.average, strict=True):
                if name.startswith("model."):
                    state[name.removeprefix("model.")] = value.clone()
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
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self, extra: dict[str, Any] | None = None) -> Path:
        """Write "checkpoint.pt", replacing the last one in a single move.

        Parameters
        ----------
        extra : dict, optional
            Plain values kept beside the weights.
        """
        path = self.folder / "checkpoint.pt"
        state = {
            "modules": self.modules.state_dict(),
            # By name: a network whose parts are declared in another order reads them all the same.
            "average": dict(zip(self._names, self.average, strict=True)),
            "optimiser": {
                name: dict(self.optimiser.state[p]) for name, p in zip(self._names, self._parameters, strict=True)
            },
            "step": self.step,
            "seconds": self._seconds,
            "options": asdict(self.options),
            "extra": extra or {},
        }
        partial = path.with_suffix(f".{os.getpid()}.part")
        torch.save(state, partial)
        partial.replace(path)
        return path

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
        mine = {name: p.shape for name, p in zip(self._names, self._parameters, strict=True)}
        if {name: value.shape for name, value in state["average"].items()} != mine:
            raise CheckpointError(f"{path} belongs to other networks than those of this trainer.")
        self.modules.load_state_dict(state["modules"])
        self.average = [state["average"][name].clone() for name in self._names]
        for name, parameter in zip(self._names, self._parameters, strict=True):
            self.optimiser.state[parameter] = state["optimiser"][name]
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
