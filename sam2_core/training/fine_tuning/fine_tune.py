"""fine_tune: from a few labelled frames to a model of one's own."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_core.checkpoints.build import load_model, model_config
from sam2_core.checkpoints.catalogue import everything_thresholds, find_entry, known_models
from sam2_core.checkpoints.own_models import ModelCard, free_name, require_free, save_own_model
from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.hooks import Recipe, TrainingEvent, get_plugins
from sam2_core.hooks.options import checked_options, options_of
from sam2_core.model import SAM2Base
from sam2_core.training.fine_tuning.budget import budget_seconds
from sam2_core.training.fine_tuning.labelled_frames import LabelledFrames, Split, split_frames
from sam2_core.training.fine_tuning.replay import drawn_scenes
from sam2_core.training.fine_tuning.tuning_run import TuningRun
from sam2_core.training.fine_tuning.validation import ClickValidation
from sam2_core.training.interruption import stopping_on_signals
from sam2_core.training.label_check import Finding, check_labels
from sam2_core.training.labelled_volume import frames_that_show, require_same_shape
from sam2_core.volumes import FrameStack, LabelStack, open_frames, open_labels

DEFAULT_MODEL = "sam2.1_hiera_micro"
#: Drawn scenes that say what is kept, and objects in all of them; no recipe trains on them.
KEPT_SCENES, KEPT_OBJECTS, KEPT_SEED = 8, 64, 7_500_000


@dataclass(frozen=True)
class FineTuned:
    """What came of a fine-tuning.

    Attributes
    ----------
    name : str
        Of the model in the catalogue: for :func:`~sam2_core.load_model`, ``-c`` of all commands, and the viewers.
    model : SAM2Base
        The model itself, ready to use.
    folder : Path
        Where its weights, configuration and card are.
    before, after : float or None
        Mean one-click IoU on the frames held back, of the model that it was trained from and of this one; None without
        such frames.
    steps, best_step : int
        That were trained, and after which of them the weights were best.
    seconds : float
    split : Split
        Frames that were trained and validated on.
    findings : tuple of Finding
        What is worth knowing of the labels.
    reason : str or None
        Why it ended before its time, if it did.
    """

    name: str
    model: SAM2Base
    folder: Path
    before: float | None
    after: float | None
    steps: int
    best_step: int
    seconds: float
    split: Split
    findings: tuple[Finding, ...]
    reason: str | None


def fine_tune(
    volume: Any,
    labels: Any,
    recipe: str = "decoder",
    budget: str | float = "5 min",
    on_event: Callable[[TrainingEvent], None] | None = None,
    *,
    model: str | Path = DEFAULT_MODEL,
    name: str | None = None,
    labelled_frames: Iterable[int] | None = None,
    validation_frames: Iterable[int] | None = None,
    should_stop: Callable[[], bool] | None = None,
    keep: float | None = 0.02,
    image_size: int | None = None,
    licence: str | None = None,
    **options: Any,
) -> FineTuned:
    """Let a model learn from labelled frames, and put what it becomes into the catalogue.

    Parameters
    ----------
    volume : path, array, FrameStack, …
        What :func:`~sam2_core.open_frames` opens.
    labels : path, array or LabelStack
        Of the same shape; 0 is background. What :func:`~sam2_core.open_labels` opens.
    recipe : str
        "decoder" (minutes on a CPU), "memory" (following objects), "lora", "all", or a plugin's.
    budget : str or float
        How long it may take: "5 min", "90 s", or a number of seconds.
    on_event : callable, optional
        Called with each :class:`~sam2_core.hooks.TrainingEvent`: losses of steps; IoU and a picture of validations.
    model : str or Path
        What to start from: name or weights file.
    name : str, optional
        Of the new model; made of the stack's name and the recipe by default.
    labelled_frames : iterable of int, optional
        Frames that are labelled; by default those that the labels say were written and that show an object.
    validation_frames : iterable of int, optional
        Labelled frames to hold back; one of five by default. With none of them, the last weights count as the best.
    should_stop : callable, optional
        Asked after each step; once it says True the best weights so far are kept. So does Ctrl-C.
    keep : float or None
        How much one-click IoU on drawn cells may be lost: weights that lose more are blended with those of the start,
        or not kept. None for any.
    image_size : int, optional
        Side of the model's input in pixels.
    licence : str, optional
        SPDX identifier for the card; that of the base model by default.
    **options
        The recipe's own, such as ``steps``, ``learning_rate``.

    Returns
    -------
    FineTuned
        Never worse on the frames held back than the model that it started from.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        The data, the budget or an option is wrong; the message says what, and what to do.
    PluginError
        There is no such recipe.
    DivergedError
        The loss became infinite or NaN; nothing was kept.
    WriteError
        There is no room for the model.

    Examples
    --------
    >>> tuned = fine_tune("stack.tif", "labels.tif", budget="3 min")  # doctest: +SKIP
    >>> model = load_model(tuned.name)  # doctest: +SKIP
    """
    seconds = budget_seconds(budget)
    registered = get_plugins().find(Recipe, recipe)
    chosen = registered.contribution
    checked = checked_options(chosen.train, options)
    require_usable_name(name)
    images, label_stack = open_frames(volume), open_labels(labels)
    split, findings = look_at_data(images, label_stack, chosen, labelled_frames, validation_frames)

    network = load_model(model, device="cpu", precision="fp32", image_size=image_size)
    config = model_config(model, image_size=image_size)
    training = LabelledFrames(images, label_stack, frozenset(split.training))
    held_back = LabelledFrames(images, label_stack, frozenset(split.validation))
    validation = ClickValidation([held_back] * len(split.validation), split.validation) if split.validation else None
    keeping = None
    if validation is not None and keep is not None:
        scenes = drawn_scenes(KEPT_SCENES, network.input_size, KEPT_SEED)
        keeping = ClickValidation(scenes, [0] * len(scenes), KEPT_OBJECTS)
    listeners = [] if on_event is None else [on_event]
    with tempfile.TemporaryDirectory() as scratch:
        run = TuningRun(network, Path(scratch), seconds, validation, keeping, keep or 0.0, listeners, should_stop)
        with stopping_on_signals(run.stop):
            run.begin()
            get_plugins().call(registered, chosen.train, network, [training], run, **checked)
            run.finish()
    data = {
        "images": images.name,
        "labels": label_stack.name,
        "frames trained on": list(split.training),
        "frames held back": list(split.validation),
        "frame size (y, x)": list(images.frame_size),
    }
    how = {
        "name": recipe,
        **{option.name: option.default for option in options_of(chosen.train)},
        **checked,
        "steps done": run.step,
        "best after step": run.best_step,
        "share of the change": run.share,
        "seconds": round(run.elapsed, 1),
        "input size": list(network.input_size),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    notes = [finding.message for finding in findings]
    if run.reason is not None:
        notes.append(f"The training ended before its time: {run.reason}.")
    if validation is None:
        notes.append("No frame was held back: nothing says how good it is.")
    thresholds = everything_thresholds(model)
    card = ModelCard(
        base=str(model),
        data=data,
        recipe=how,
        metrics={
            "one-click IoU before": run.before,
            "one-click IoU after": run.best,
            "the same on drawn cells before": run.kept_before,
            "and after": run.kept,
        },
        licence=licence or _licence_of(model),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        notes=tuple(notes),
        min_iou=thresholds.get("pred_iou_thresh"),
        min_stability=thresholds.get("stability_score_thresh"),
    )
    called = name or free_name(f"{Path(images.name).stem}-{recipe}", known_models())
    folder = save_own_model(called, network.state_dict(), config, card)
    run.end(folder)
    return FineTuned(
        called,
        network,
        folder,
        run.before,
        run.best,
        run.step,
        run.best_step,
        run.elapsed,
        split,
        findings,
        run.reason,
    )


def look_at_data(
    images: FrameStack,
    labels: LabelStack,
    recipe: Recipe,
    labelled: Iterable[int] | None = None,
    validation: Iterable[int] | None = None,
) -> tuple[Split, tuple[Finding, ...]]:
    """Say what is wrong with the data before anything is trained, and hold frames back.

    Parameters
    ----------
    images : FrameStack
    labels : LabelStack
    recipe : Recipe
        One that follows objects needs labels that keep their numbers.
    labelled, validation : iterable of int, optional
        As for :func:`fine_tune`.

    Returns
    -------
    split : Split
    findings : tuple of Finding
        What is worth knowing, though no error.

    Raises
    ------
    InvalidInputError
        Naming everything that is wrong.
    """
    require_same_shape(images, labels)
    given = None if labelled is None else [int(frame) for frame in labelled]
    _, showing = frames_that_show(labels, range(len(images)), given)
    findings = check_labels(images, labels, showing or given)
    errors = [each for each in findings if each.kind == "error" and (each.about != "ids" or recipe.follows_objects)]
    if errors:
        raise InvalidInputError(" ".join(each.message for each in errors))
    split = split_frames(showing, validation)
    # a single frame is told of by the split; changing ids do not matter where objects are not followed
    return split, tuple(each for each in findings if each.about not in ("one frame", "ids"))


def require_usable_name(name: str | None) -> None:
    """Refuse a name that cannot be one, or that a model has.

    Raises
    ------
    InvalidInputError, DestinationExistsError
    """
    if name is None:
        return
    require_free(name)
    if name in known_models():
        raise DestinationExistsError(f"There is a model named {name!r} already; choose another name.")


def _licence_of(model: str | Path) -> str:
    entry = find_entry(str(model))
    return "unknown" if entry is None else entry.licence
