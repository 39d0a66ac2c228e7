"""The built-in ways of fine-tuning: the mask decoder, the memory, low-rank adapters, everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sam2_core.hooks import TrainingEvent, TrainingRun, TrainingVideo
from sam2_core.model import SAM2Base
from sam2_core.training.fine_tuning.keeping import Keeping, batch_of
from sam2_core.training.fine_tuning.views import Views, windows_of
from sam2_core.training.lora import LowRank, add_adapters
from sam2_core.training.objectives import LossWeights, image_loss, stack_loss
from sam2_core.training.trainer import StepRandom, Task, Trainer, TrainerOptions

#: Masks that end where the objects do, every candidate good, and the best of them known; no dense head, which is part
#: of the training from nothing alone.
WEIGHTS = LossWeights(balanced=0.0, local=2.0, iou=2.0, score=1.0, dense=0.0, others=0.4, single=0.5)

Steps = Annotated[int | None, {"min": 1}]
Rate = Annotated[float, {"min": 0.0, "max": 1.0}]
Objects = Annotated[int, {"min": 1, "max": 64}]
ViewCount = Annotated[int, {"min": 1, "max": 1000}]
Replay = Annotated[float, {"min": 0.0, "max": 0.9}]


def train_decoder(
    model: SAM2Base,
    videos: Sequence[TrainingVideo],
    run: TrainingRun,
    *,
    steps: Steps = None,
    learning_rate: Rate = 2e-4,
    objects: Objects = 8,
    views: ViewCount = 12,
    replay: Replay = 0.4,
    seed: int = 0,
) -> None:
    """Train the mask decoder on single frames; encoder, memory and prompt encoder stay as they are.

    Each step shows one view of one labelled frame and asks for some of its objects. Views are encoded once.

    Parameters
    ----------
    model : SAM2Base
        Changed in place, at the end, to the moving average of its weights; comes back in evaluation mode.
    videos : sequence of TrainingVideo
    run : TrainingRun
    steps : int, optional
        At most; the run may end earlier. As many as the run has time for by default.
    learning_rate : float
    objects : int
        Of a frame that are asked for in one step.
    views : int
        Of each frame: as it is, and cropped, turned, brighter or darker.
    replay : float
        Share of steps that show drawn cells instead, and keep the model's answers on them as they were.
    seed : int
        Of what is shown.

    Raises
    ------
    InvalidInputError
        No frame has an object that can be seen at the model's input size.
    """
    own = Views(model, windows_of(model, videos), views)
    with _training_only(model, _in_decoder):
        _train(model, run, _images(model, own, objects, replay), steps, learning_rate, seed)


def train_memory(
    model: SAM2Base,
    videos: Sequence[TrainingVideo],
    run: TrainingRun,
    *,
    steps: Steps = None,
    learning_rate: Rate = 1e-4,
    objects: Objects = 4,
    views: ViewCount = 6,
    replay: Replay = 0.25,
    frames: Annotated[int, {"min": 2, "max": 16}] = 3,
    seed: int = 0,
) -> None:
    """Train memory and mask decoder by following objects through consecutive labelled frames.

    Half of the steps show single frames, as :func:`train_decoder` does. Views are encoded once.

    Parameters
    ----------
    model, videos, run, steps, learning_rate, objects, views, replay, seed
        See :func:`train_decoder`.
    frames : int
        Through which an object is followed. Objects have to keep their numbers.

    Raises
    ------
    InvalidInputError
        So many labelled frames nowhere follow each other.
    """
    own = Views(model, windows_of(model, videos, frames), views)
    single = Views(model, windows_of(model, videos), views)
    with _training_only(model, lambda name: _in_decoder(name) or name.startswith(_MEMORY)):
        still = _images(model, single, objects, replay)

        def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
            if random.shared.random() < 0.5:
                return still(random)
            view = own.draw(random.own)
            starts = [frame for frame in range(frames) if view.objects(frame)]
            start = starts[int(random.own.integers(len(starts)))]
            batch = batch_of(view, random.own, objects, start)
            return stack_loss(model, None, batch, random.own, WEIGHTS, view.features)

        _train(model, run, task, steps, learning_rate, seed)


def train_lora(
    model: SAM2Base,
    videos: Sequence[TrainingVideo],
    run: TrainingRun,
    *,
    steps: Steps = None,
    learning_rate: Rate = 5e-4,
    objects: Objects = 8,
    rank: Annotated[int, {"min": 1, "max": 256}] = 8,
    replay: Replay = 0.4,
    seed: int = 0,
) -> None:
    """Train low-rank adapters of the attention weights, encoder included, and the mask decoder; then merge them.

    Parameters
    ----------
    model, videos, run, steps, learning_rate, objects, replay, seed
        See :func:`train_decoder`.
    rank : int
        Of the adapters.
    """
    own = Views(model, windows_of(model, videos), 1, are_kept=False)
    with _training_only(model, lambda name: False):
        layers = add_adapters(model, rank)
        for name, parameter in model.named_parameters():
            if name.startswith("sam_mask_decoder.") and ".original" not in name:
                parameter.requires_grad_(True)
        try:
            _train(model, run, _images(model, own, objects, replay), steps, learning_rate, seed)
        finally:
            for name in layers:
                layer = model.get_submodule(name)
                assert any(isinstance(part, LowRank) for part in layer.modules())
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def train_all(
    model: SAM2Base,
    videos: Sequence[TrainingVideo],
    run: TrainingRun,
    *,
    steps: Steps = None,
    learning_rate: Rate = 3e-5,
    objects: Objects = 8,
    replay: Replay = 0.25,
    seed: int = 0,
) -> None:
    """Train image encoder and mask decoder on single frames: slow on a CPU, and for many labels.

    Parameters
    ----------
    model, videos, run, steps, learning_rate, objects, replay, seed
        See :func:`train_decoder`.
    """
    own = Views(model, windows_of(model, videos), 1, are_kept=False)
    with _training_only(model, lambda name: name.startswith(("image_encoder.", "sam_mask_decoder."))):
        _train(model, run, _images(model, own, objects, replay), steps, learning_rate, seed)


_MEMORY = ("memory_attention.", "memory_encoder.", "maskmem_tpos_enc", "obj_ptr_", "no_obj_", "no_mem_pos_enc")


def _in_decoder(name: str) -> bool:
    """A weight of the decoder that is used after the image is encoded: the first two convolutions are before."""
    return name.startswith("sam_mask_decoder.") and not name.startswith(("sam_mask_decoder.conv_s",))


def _images(model: SAM2Base, own: Views, objects: int, replay: float) -> Task:
    """Single frames, drawn scenes now and then; to be made once it is settled what is trained."""
    keeping = Keeping(model) if replay else None

    def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        if keeping is not None and random.shared.random() < replay:
            return keeping.loss(model, objects, random.own)
        view = own.draw(random.own)
        return image_loss(model, None, batch_of(view, random.own, objects), random.own, WEIGHTS, view.features)

    return task


@contextmanager
def _training_only(model: SAM2Base, chosen: Callable[[str], bool]) -> Iterator[None]:
    """Within the context only the chosen weights are trained; afterwards all are as they were."""
    wanted = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(chosen(name))
    try:
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(wanted[name])
        model.eval()


def _train(model: SAM2Base, run: TrainingRun, task: Task, steps: int | None, learning_rate: float, seed: int) -> None:
    """Train as long as the run wants; the model is left with averaged weights."""
    options = TrainerOptions(learning_rate=learning_rate, warm_up=60, weight_decay=0.0, seed=seed)
    trainer = Trainer(nn.ModuleDict({"model": model}), options, run.folder)
    last: dict[str, float] = {}

    def measured(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        loss, measures = task(random)
        if "changed" in measures and "loss" in last:
            # what drawn scenes cost is another quantity: the loss that is told stays that of a person's own frames
            last.update(measures)
        else:
            last.clear()
            last.update({"loss": float(loss.detach()), **measures})
        return loss, measures

    def until(step: int) -> bool:
        if step:
            with trainer.averaged():
                run.report(TrainingEvent("step", step, steps, dict(last)))
        return run.is_stopping or (steps is not None and step >= steps)

    trainer.run(measured, lambda step: max(run.done, step / steps if steps else 0.0), until)
    if trainer.step:
        trainer.take_average()
