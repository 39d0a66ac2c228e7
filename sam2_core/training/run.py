"""A training as a configuration describes it: data sets, epochs, validation, checkpoints, logs.

The steps are taken by :class:`~sam2_core.training.trainer.Trainer`; this gives it what it needs, and decides when it
stops.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from sam2_core.checkpoints.load import save_checkpoint
from sam2_core.errors import ConfigError, DivergedError, InvalidInputError, MissingFileError
from sam2_core.hooks import TrainingEvent
from sam2_core.hooks.training_event import TrainingEventKind
from sam2_core.training.activation_checkpointing import checkpoint_activations
from sam2_core.training.audience import Audience, Listener
from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.initialisation import initialise
from sam2_core.training.interruption import stopping_on_signals
from sam2_core.training.lora import merged_state
from sam2_core.training.meters import Averages
from sam2_core.training.mixed_dataset import TorchTrainMixedDataset, random_numbers
from sam2_core.training.named_losses import named_losses
from sam2_core.training.run_options import (
    CheckpointOptions,
    LoggingOptions,
    built,
    choose_what_is_trained,
    gradient_dtype,
    scales_loss,
    set_cuda,
    shares_weights,
    trainer_options,
    training_model,
    training_optimiser,
    validation_meters,
)
from sam2_core.training.sam2_train import SAM2Train, TrackedFrame
from sam2_core.training.sharding import gathered, shard
from sam2_core.training.tensorboard import TensorBoardLogger, prediction_picture
from sam2_core.training.trainer import StepRandom, Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_log = logging.getLogger(__name__)


class TrainingRun:
    """Train a model as a configuration says.

    Parameters
    ----------
    data : mapping
        ``train`` and ``val``: configurations of :class:`~sam2_core.training.mixed_dataset.TorchTrainMixedDataset`, or
        built ones.
    model : mapping or SAM2Train
    logging : mapping
        See :class:`LoggingOptions`.
    checkpoint : mapping
        See :class:`CheckpointOptions`.
    max_epochs : int
    mode : {"train", "train_only", "val"}
        Train and validate, or one of both.
    accelerator : str
        Where the configuration is to run; chosen before, by :mod:`sam2_core.training.launch`.
    seed_value : int
        Of everything random.
    val_epoch_freq : int
        Validate after every so many epochs.
    distributed : mapping, optional
        Of the processes; ``comms_dtype`` is that of the gradients they exchange, ``strategy`` "ddp" (each holds the
        whole network) or "fsdp" (:mod:`sam2_core.training.sharding`).
    cuda : mapping, optional
        ``cudnn_deterministic``, ``cudnn_benchmark``, ``allow_tf32``, ``matmul_allow_tf32``, ``cudnn_allow_tf32``.
    env_variables : mapping, optional
        Set before anything else.
    optim : mapping, optional
        ``optimizer``, ``options``, ``param_group_modifiers``, ``amp``, ``gradient_clip``, ``gradient_logger`` (called
        with the model, ``rank`` and ``where`` when gradients are ready).
    optim_overrides : sequence, optional
        Accepted for official configurations, which do nothing with it.
    meters : mapping, optional
        For each phase and data key, meters by name: a configuration, or the name of a metric that a plugin adds, or
        ``{name: NAME, options: {…}}``.
    loss : str, sequence or mapping, optional
        For each data key; "all" stands for every key that is not named. Names of losses that plugins add stand for
        :class:`~sam2_core.training.named_losses.NamedLosses`.
    callbacks : sequence of str or mapping
        Training callbacks that plugins add: names, or ``{name: NAME, options: {…}}``.
    accumulate : int
        Batches whose gradients make one step.
    averaging : float
        Decay of a moving average of the weights, which is validated and exported then; 0 for none.
    freeze : sequence of str
        Patterns of names of weights that are not trained.
    lora : mapping, optional
        Train adapters alone: ``rank``, ``alpha``, ``targets`` (see :func:`~sam2_core.training.lora.add_adapters`), and
        ``also``: patterns of weights to train besides.
    activation_checkpointing : bool or sequence of str
        See :func:`~sam2_core.training.activation_checkpointing.checkpoint_activations`.
    from_scratch : bool
        Initialise a new network so that it can find a click (:mod:`sam2_core.training.initialisation`).
    fabric : lightning_fabric.Fabric
        Launched: device, precision, processes.
    listeners : sequence of callable
        Told of every event, in the first process; so are plugins that listen, and the callbacks.

    Raises
    ------
    ConfigError, InvalidInputError, MissingFileError
        The configuration, or what it names, cannot be used.
    """

    def __init__(
        self,
        *,
        data: Mapping[str, Any],
        model: Mapping[str, Any] | SAM2Train,
        logging: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        max_epochs: int,
        fabric: Fabric,
        mode: str = "train",
        accelerator: str = "auto",
        seed_value: int = 123,
        val_epoch_freq: int = 1,
        distributed: Mapping[str, Any] | None = None,
        cuda: Mapping[str, Any] | None = None,
        env_variables: Mapping[str, Any] | None = None,
        optim: Mapping[str, Any] | None = None,
        optim_overrides: Sequence[Any] | None = None,
        meters: Mapping[str, Any] | None = None,
        loss: str | Sequence[Any] | Mapping[str, Any] | None = None,
        callbacks: Sequence[str | Mapping[str, Any]] = (),
        accumulate: int = 1,
        averaging: float = 0.0,
        freeze: Sequence[str] = (),
        lora: Mapping[str, Any] | None = None,
        activation_checkpointing: bool | Sequence[str] = False,
        from_scratch: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> None:
        for name, value in (env_variables or {}).items():
            os.environ[name] = str(value)
        if mode not in ("train", "train_only", "val"):
            raise ConfigError(f'mode is "train", "train_only" or "val"; got {mode!r}')
        if mode != "train_only" and not data.get("val"):
            raise ConfigError(
                f"mode={mode} validates, and there are no validation data (data.val); use mode=train_only"
            )
        if mode != "val" and not data.get("train"):
            raise ConfigError(f"mode={mode} trains, and there are no training data (data.train)")
        if max_epochs < 1 or val_epoch_freq < 1:
            raise ConfigError(f"max_epochs and val_epoch_freq are at least 1; got {max_epochs} and {val_epoch_freq}")
        self.fabric = fabric
        self.mode = mode
        self.max_epochs = int(max_epochs)
        self.val_epoch_freq = int(val_epoch_freq)
        self.seed = int(seed_value)
        self.logging = LoggingOptions(**logging)
        self.checkpoint = CheckpointOptions(**checkpoint)
        self.log_folder = Path(self.logging.log_dir)
        self._audience = Audience(listeners, callbacks, is_present=fabric.is_global_zero)
        set_cuda(cuda or {})
        torch.manual_seed(self.seed)

        self.train_data: TorchTrainMixedDataset | None = None
        self.val_data: TorchTrainMixedDataset | None = None
        if mode != "val":
            self.train_data = built(data["train"], "trainer.data.train")
        if mode != "train_only":
            self.val_data = built(data["val"], "trainer.data.val")
        self.losses = nn.ModuleDict(built(named_losses(loss or {}), "trainer.loss")).to(fabric.device)
        self.meters = validation_meters(meters or {})

        self.epoch = 0
        self.batches_done = 0
        self.best: dict[str, float] = {}
        self._stop_reason: str | None = None
        self._interrupted = False
        self._total_steps: int | None = None
        self._saved_at = time.monotonic()
        self._batch: BatchedVideoDatapoint | None = None
        self.model = training_model(model)
        if from_scratch:
            initialise(self.model, frequency=2.0 * self.model.input_size[0] / 256)
        path = self._checkpoint_to_resume()
        options = optim or {}
        if path is None or self._initialises_again:
            self._load_initial_weights()
        choose_what_is_trained(self.model, freeze, lora)
        if activation_checkpointing:
            parts = None if activation_checkpointing is True else activation_checkpointing
            checkpoint_activations(self.model, parts)
        self.model.to(fabric.device)
        amp = options.get("amp") or {}
        comms_dtype = gradient_dtype((distributed or {}).get("comms_dtype"))
        if shares_weights(distributed or {}, amp) and fabric.world_size > 1:
            # lightning's ModelParallelStrategy calls the same function, but starts processes only by running the
            # program again: not from a notebook
            shard(self.model, comms_dtype)
        watch = built(options.get("gradient_logger"), "trainer.optim.gradient_logger")

        def tell_of_gradients(where: float) -> None:
            watch(self.model, rank=fabric.global_rank, where=where)

        self.trainer = Trainer(
            nn.ModuleDict({"model": self.model}),
            trainer_options(options, self.seed, averaging, int(accumulate), int(self.logging.log_freq)),
            Path(self.checkpoint.save_dir),
            training_optimiser(self.model, options),
            skip_saving=self.checkpoint.skip_saving_parameters,
            half_precision_scaler=scales_loss(amp),
            gradient_dtype=comms_dtype,
            log_folder=self.log_folder,
            on_gradients=None if watch is None else tell_of_gradients,
        )
        if path is not None:
            extra = self.trainer.resume(path)
            self.epoch, self.batches_done = int(extra["epoch"]), int(extra["batches_done"])
            self.best = dict(extra["best"])
        self._board: TensorBoardLogger | None = None
        if fabric.is_global_zero and self.logging.tensorboard_writer is not None:
            self._board = built(self.logging.tensorboard_writer, "trainer.logging.tensorboard_writer")

    @property
    def is_stopping(self) -> bool:
        """Whether it ends after this step."""
        return self._stop_reason is not None

    def stop(self, reason: str) -> None:
        """End after this step; what was done is saved."""
        self._stop_reason = self._stop_reason or reason

    def _interrupt(self, reason: str) -> None:
        """End after this step; the same command is to go on."""
        self._interrupted = True
        self.stop(reason)

    @property
    def folder(self) -> Path:
        """Of checkpoints and logs: the innermost that holds both."""
        return Path(os.path.commonpath([Path(self.checkpoint.save_dir).absolute(), self.log_folder.absolute()]))

    @property
    def done(self) -> float:
        """The share of the steps that is done, 0 to 1."""
        if self._total_steps is None:
            return self.epoch / self.max_epochs
        return min(self.trainer.step / self._total_steps, 1.0)

    def run(self) -> str | None:
        """Train and validate to the end, or until stopped.

        Returns
        -------
        str or None
            What interrupted it; None at the end of the training, also at one that a callback asked for.

        Raises
        ------
        DivergedError
            The loss is not finite; the batch is saved beside the logs.
        WriteError, StateError
            The disk is full, a process that reads data died; the last checkpoint is intact.
        PluginError
            A callback failed, or something else that a plugin adds and the configuration chooses.
        """
        with stopping_on_signals(self._interrupt):
            try:
                self._tell("start")
                if self.mode == "val":
                    self._validate()
                else:
                    self._train()
            except BaseException as error:
                self._tell_of_failure(error)
                raise
            self._tell("end")
        if self._board is not None:
            self._board.close()
        if self._interrupted:
            return self._stop_reason
        if self._stop_reason is not None:
            _log.info("The training ended early: %s", self._stop_reason)
        return None

    def _train(self) -> None:
        if self.mode == "train" and self.batches_done == 0 and self._validates_after(self.epoch - 1):
            # the checkpoint was written before the validation that belongs to it
            self._validate()
        while self.epoch < self.max_epochs and not self._all_stopping():
            averages = Averages()
            self._train_epoch(averages)
            if self._all_stopping():
                self._save()
                break
            self.epoch += 1
            self.batches_done = 0
            self._write_stats("train_stats", averages.means() | self._state("train"))
            names = [f"checkpoint_{self.epoch}"] if self._keeps_copy(self.epoch) else []
            self._save(("checkpoint", *names))
            if self.mode == "train" and (self._validates_after(self.epoch - 1) or self.epoch == self.max_epochs):
                self._validate()
        self._export()

    def _train_epoch(self, averages: Averages) -> None:
        assert self.train_data is not None
        loader = self.train_data.get_loader(self.epoch, self.seed)
        accumulate = self.trainer.options.accumulate
        steps = len(loader) // accumulate
        if steps == 0:
            raise InvalidInputError(
                f"An epoch has {len(loader)} batches, fewer than the {accumulate} of one step. Use smaller batches, a "
                "larger multiplier, or fewer accumulated batches."
            )
        first = self.trainer.step - self.batches_done // accumulate
        self._total_steps = first + steps * (self.max_epochs - self.epoch)
        loader.skip(self.batches_done)
        batches = iter(loader)
        total = Averages()

        def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
            batch = next(batches).to(self.fabric.device, non_blocking=True)
            self._batch = batch
            self.model.rng = random.shared
            loss, measures, outputs = self._forward(batch, "train")
            for name, value in measures.items():
                averages.add(name, value, batch.num_videos)
            total.add("loss", float(loss.detach()), batch.num_videos)
            self.batches_done += 1
            self._show("train", batch, outputs, measures)
            return loss, measures

        def progress(step: int) -> float:
            return (self.epoch + (step - first) / steps) / self.max_epochs

        def until(step: int) -> bool:
            if step > first:
                self._tell("step", measures=_together(total, averages) if step % self.logging.log_freq == 0 else {})
            self._save_now_and_then()
            return step - first >= steps or self._all_stopping()

        try:
            self.trainer.run(task, progress, until)
        except DivergedError as error:
            raise DivergedError(f"{error} {self._keep_batch()}") from error

    def _forward(
        self, batch: BatchedVideoDatapoint, phase: str
    ) -> tuple[Tensor, dict[str, float], Sequence[TrackedFrame]]:
        """Loss of a batch, its parts by official names, and what the model said."""
        key = batch.dict_key
        name = key if key in self.losses else "all"
        if name not in self.losses:
            raise ConfigError(f"no loss for the data key {key!r}; trainer.loss has {sorted(self.losses)}")
        with self.fabric.autocast():
            outputs = self.model(batch)
            if batch.labelled is None or bool(batch.labelled.all()):
                losses = self.losses[name](outputs, batch.masks)
            else:
                losses = self.losses[name](outputs, batch.masks, batch.labelled)
        parts = dict(losses) if isinstance(losses, Mapping) else {"core_loss": losses}
        core: Tensor = parts.pop("core_loss")
        measures = {f"Losses/{phase}_{key}_loss": float(core.detach())}
        measures |= {f"Losses/{phase}_{key}_{part}": float(value.detach()) for part, value in parts.items()}
        return core, measures, outputs

    @torch.no_grad()
    def _validate(self) -> None:
        assert self.val_data is not None
        # the same windows of the same frames in every validation, so that their numbers can be compared
        loader = self.val_data.get_loader(0, self.seed)
        meters = self.meters.get("val") or {}
        averages, total = Averages(), Averages()
        self.model.eval()
        self._tell_model("on_validation_epoch_start")
        # videos of different length are no reason to wait for each other
        with self.trainer.averaged(), gathered(self.model):
            for number, given in enumerate(loader):
                batch = given.to(self.fabric.device, non_blocking=True)
                # the same clicks in every validation
                with random_numbers((self.seed, number)):
                    self.model.rng = np.random.default_rng((self.seed, number))
                    loss, measures, outputs = self._forward(batch, "val")
                total.add("loss", float(loss), batch.num_videos)
                for name, value in measures.items():
                    averages.add(name, value, batch.num_videos)
                for meter in (meters.get(batch.dict_key) or {}).values():
                    meter.update(outputs, batch)
                if number == 0:
                    self._show("val", batch, outputs, {}, always=True)
        self._tell_model("on_validation_epoch_end")
        self.model.train()
        results = averages.means()
        better = [name for name, value in results.items() if self._is_best(name, value, lambda new, old: new < old)]
        for key, named in meters.items():
            for name, meter in (named or {}).items():
                for part, value in meter.compute_synced().items():
                    tracked = f"val_{key}/{name}/{part}"
                    results[f"Meters_train/{tracked}"] = value
                    ranks = getattr(meter, "ranked_by", None) in (None, part)
                    is_better = getattr(meter, "is_better", None) if ranks else None
                    if is_better is not None and self._is_best(tracked, value, is_better):
                        better.append(tracked)
                meter.reset()
        if not results:
            raise InvalidInputError("There is no validation batch: give data.val more frames, or drop_last=false.")
        wanted = self.checkpoint.save_best_meters or []
        chosen = [name for name in better if any(name == each or name.startswith(f"{each}/") for each in wanted)]
        if chosen and self.mode != "val":
            self._save([name.replace("/", "_").replace(" ", "_") for name in chosen])
        self._write_stats("val_stats", results | self._state("val"))
        self._write_stats("best_stats", dict(self.best))
        self._tell("validation", measures=total.means() | results)

    def _is_best(self, name: str, value: float, is_better: Callable[[float, float], bool]) -> bool:
        if value != value or (name in self.best and not is_better(value, self.best[name])):
            return False
        self.best[name] = value
        return True

    def _validates_after(self, epoch: int) -> bool:
        """Whether an epoch, not the last, is followed by a validation."""
        return 0 <= epoch < self.max_epochs - 1 and epoch % self.val_epoch_freq == 0

    def _keeps_copy(self, epoch: int) -> bool:
        options = self.checkpoint
        return (options.save_freq > 0 and epoch % options.save_freq == 0) or epoch in options.save_list

    def _tell_model(self, name: str) -> None:
        hook = getattr(self.model, name, None)
        if callable(hook):
            hook()

    def _all_stopping(self) -> bool:
        """Whether any process was told to stop; all end at the same step."""
        if self.fabric.world_size == 1:
            return self.is_stopping
        told = torch.tensor([float(self.is_stopping), float(self._interrupted)], device=self.fabric.device)
        dist.all_reduce(told)
        stopping, self._interrupted = (told > 0).tolist()
        if stopping:
            self.stop("another process was stopped")
        return self.is_stopping

    def _save_now_and_then(self) -> None:
        due = time.monotonic() - self._saved_at > 60 * self.checkpoint.save_minutes
        if self.trainer.is_sharded:
            due = bool(self.fabric.broadcast(due))
        if due:
            self._save()

    def _save(self, names: Sequence[str] = ("checkpoint",)) -> None:
        self._saved_at = time.monotonic()
        if self.fabric.is_global_zero or self.trainer.is_sharded:
            extra = {"epoch": self.epoch, "batches_done": self.batches_done, "best": self.best}
            path = self.trainer.save(extra, names)
            if self.fabric.is_global_zero:
                self._tell("checkpoint", path=path)

    def _export(self) -> None:
        """Write the weights as others read them: averaged where they are, adapters merged, official keys."""
        if self._interrupted or not (self.fabric.is_global_zero or self.trainer.is_sharded):
            return
        averaged = self.trainer.averaged_state()
        if self.fabric.is_global_zero:
            state = merged_state(averaged, self.model)
            path = Path(self.checkpoint.save_dir) / "model.safetensors"
            save_checkpoint(path, state, image_size=self.model.input_size[0])
            _log.info("The trained weights are in %s", path)

    def _checkpoint_to_resume(self) -> Path | None:
        own = Path(self.checkpoint.save_dir) / "checkpoint.pt"
        if own.exists():
            return own
        if self.checkpoint.resume_from is None:
            return None
        given = Path(self.checkpoint.resume_from)
        if not given.exists():
            raise MissingFileError(f"There is no checkpoint {given} to go on from (checkpoint.resume_from).")
        return given

    @property
    def _initialises_again(self) -> bool:
        again = self.checkpoint.initialize_after_preemption
        return bool(self.checkpoint.skip_saving_parameters) if again is None else again

    def _load_initial_weights(self) -> None:
        if self.checkpoint.weights is not None:
            from sam2_core.checkpoints.build import load_weights
            from sam2_core.checkpoints.catalogue import get_entry
            from sam2_core.checkpoints.fetch import locate_checkpoint
            from sam2_core.checkpoints.load import read_checkpoint

            given = self.checkpoint.weights
            path = Path(given) if Path(given).exists() else locate_checkpoint(get_entry(given), download=False)
            load_weights(self.model, read_checkpoint(path), "the model of this training")
        initializer = built(self.checkpoint.model_weight_initializer, "trainer.checkpoint.model_weight_initializer")
        if initializer is not None:
            initializer(model=self.model)

    def _state(self, phase: str) -> dict[str, float]:
        return {
            "Trainer/where": self.epoch / self.max_epochs,
            "Trainer/epoch": self.epoch,
            f"Trainer/steps_{phase}": self.trainer.step,
        }

    def _write_stats(self, name: str, values: Mapping[str, float]) -> None:
        if not self.fabric.is_global_zero:
            return
        with (self.log_folder / f"{name}.json").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(values)) + "\n")
        if self._board is not None:
            self._board.log_dict(values, self.epoch)

    def _show(
        self,
        phase: str,
        batch: BatchedVideoDatapoint,
        outputs: Sequence[TrackedFrame],
        measures: Mapping[str, float],
        always: bool = False,
    ) -> None:
        """Numbers and pictures for TensorBoard."""
        if self._board is None:
            return
        step = self.trainer.step
        if always or step % self.logging.log_scalar_frequency == 0:
            self._board.log_dict({f"Step_{name}": value for name, value in measures.items()}, step)
        if always or step % self.logging.log_visual_frequency == 0:
            self._board.log_picture(f"Predictions/{phase}", prediction_picture(batch, outputs), step)

    def report(self, event: TrainingEvent) -> None:
        """Tell everybody who listens; see :meth:`~sam2_core.training.audience.Audience.hear`."""
        self._audience.hear(event, self)

    def _tell_of_failure(self, error: BaseException) -> None:
        try:
            self._tell("failed", error=error)
        except Exception as further:  # what ended the training is the error that the person has to see
            error.add_note(f"And then, while it was told: {further}")

    def _tell(self, kind: TrainingEventKind, **parts: Any) -> None:
        step, seconds = self.trainer.step, self.trainer.seconds
        eta = None
        if self._total_steps is not None and step:
            eta = max(self._total_steps - step, 0) * seconds / step
        self.report(TrainingEvent(kind, step, self._total_steps, seconds=seconds, eta_seconds=eta, **parts))

    def _keep_batch(self) -> str:
        """Save the batch at which the loss broke, and say where."""
        if self._batch is None:
            return ""
        path = self.log_folder / f"diverged-step-{self.trainer.step}-process-{self.fabric.global_rank}.pt"
        batch = self._batch.to("cpu")
        torch.save(
            {
                "img_batch": batch.img_batch,
                "masks": batch.masks,
                "obj_to_frame_idx": batch.obj_to_frame_idx,
                "unique_objects_identifier": batch.metadata.unique_objects_identifier,
                "dict_key": batch.dict_key,
            },
            path,
        )
        return f"The batch is saved as {path}."


def _together(*averages: Averages) -> dict[str, float]:
    """Means of several, which all processes have to ask for."""
    return {name: value for each in averages for name, value in each.means().items()}
