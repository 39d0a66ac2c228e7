"""``sam2 finetune``: let a model learn from labels of one's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import messages, output
from sam2_core.cli.interruption import INTERRUPTED
from sam2_core.cli.stack_choice import StackChoice
from sam2_core.errors import InvalidInputError

if TYPE_CHECKING:
    from sam2_core.hooks import TrainingEvent


def finetune(
    stack: options.StackSource,
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help="Labels of the same shape, in any format; 0 is background.")
    ],
    recipe: Annotated[
        str, typer.Option(help="decoder (minutes on a CPU), memory, lora, all; 'sam2 plugins list' shows more.")
    ] = "decoder",
    budget: Annotated[str, typer.Option(help="How long it may take.")] = "5 min",
    name: Annotated[str | None, typer.Option(help="Of the new model; made of the stack's and the recipe's.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Of the recipe: learning_rate=1e-4, … Repeatable."),
    ] = None,
    labelled: Annotated[
        str | None, typer.Option(metavar="0,5,9", help="Frames that are labelled; those that show a label by default.")
    ] = None,
    validate: Annotated[
        str | None, typer.Option(metavar="3,4", help="Labelled frames to hold back; one of five by default.")
    ] = None,
    no_validation: Annotated[bool, typer.Option("--no-validation", help="Hold no frame back.")] = False,
    licence: Annotated[
        str | None, typer.Option(metavar="SPDX", help="For the model's card; that of the base model by default.")
    ] = None,
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    image_size: options.ImageSize = None,
    contrast: options.ContrastOption = None,
    channels: options.Channels = None,
    axis: options.Axis = None,
    at: options.At = None,
) -> None:
    """Let a model learn from labelled frames.

    A few labelled frames are enough. One of five is held back to see whether it gets better; the best weights become
    a model that all commands and viewers know by its name. Ctrl-C ends the training and keeps the best so far.

    Example: sam2 finetune stack.zarr labels.tif --budget "3 min"
    """
    if no_validation and validate is not None:
        raise InvalidInputError("--validate and --no-validation exclude each other.")
    held_back = [] if no_validation else _numbers(validate, "--validate")
    labelled_frames = _numbers(labelled, "--labelled")
    choice = StackChoice.parsed(axis=axis, at=at, channels=channels, contrast=contrast)

    from sam2_core.hooks import Recipe, get_plugins
    from sam2_core.hooks.options import parsed_options
    from sam2_core.training.fine_tuning.fine_tune import fine_tune

    train = get_plugins().find(Recipe, recipe).contribution.train
    chosen = parsed_options(train, options.parse_pairs(option or (), "--option"))
    with choice.open(stack) as opened:
        result = fine_tune(
            opened,
            labels,
            recipe,
            budget,
            _tell,
            model=checkpoint,
            name=name,
            labelled_frames=labelled_frames,
            validation_frames=held_back,
            image_size=image_size,
            licence=licence,
            **chosen,
        )
    for finding in result.findings:
        messages.print(f"Note: {finding.message}", markup=False)
    if result.before is not None and result.after is not None:
        output.print(
            f"One-click IoU on the frames held back ({', '.join(map(str, result.split.validation))}): "
            f"{result.before:.3f} before, {result.after:.3f} after {result.best_step} of {result.steps} steps"
        )
    output.print(f"The model is {result.name}: sam2 track STACK -c {result.name}", markup=False)
    output.print(f"Its card and weights are in {result.folder}", markup=False)
    if result.reason is not None:
        messages.print(f"It ended before its time: {result.reason}.", markup=False)
        sys.exit(INTERRUPTED)


def _tell(event: TrainingEvent) -> None:
    left = "" if event.eta_seconds is None else f"{event.eta_seconds:4.0f} s left  "
    if event.kind == "validation" or (event.kind == "step" and event.step % 10 == 0):
        shown = "  ".join(f"{name} {value:.3f}" for name, value in event.measures.items() if value == value)
        messages.print(f"{left}step {event.step}  {event.kind:<10}  {shown}", markup=False)


def _numbers(text: str | None, option: str) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InvalidInputError(f"Cannot understand {option} {text!r}. Expected frame numbers, such as 0,5,9.")
    return [int(part) for part in parts]
