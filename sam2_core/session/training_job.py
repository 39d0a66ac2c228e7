"""Fine-tuning on what a session holds, as the work of a job."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from sam2_core.checkpoints.own_models import remove_own_model
from sam2_core.errors import InvalidTypeError, StateError
from sam2_core.hooks import Recipe, TrainingEvent, get_plugins
from sam2_core.hooks.options import checked_options
from sam2_core.session.local_jobs import Progress
from sam2_core.session.training_labels import LearnedMasks, labels_to_learn
from sam2_core.session.training_record import TrainingRecord
from sam2_core.volumes.labels import open_labels
from sam2_core.volumes.labels.label_stack import LabelStack

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.worker.model_choice import ModelChoice
    from sam2_core.training.fine_tuning.fine_tune import FineTuned
    from sam2_core.volumes.labels.opening import LabelSource


class TrainingWork:
    """What a job of kind "train" does; everything that can be looked at before is looked at when this is made.

    Parameters
    ----------
    session : AnnotationSession
    recipe, budget, name, validation_frames, options
        As for :func:`~sam2_core.fine_tune`.
    masks : {"accepted", "all"}
        What is learned from, unless there are `labels`.
    labels : path, array or LabelStack, optional
        What is learned from rather than the session's masks.
    frames : iterable of int, optional
    base : str or path, optional
        What is begun with; the session's model by default.
    use : bool
        Whether the session works with the new model at once.
    """

    def __init__(
        self,
        session: AnnotationSession,
        recipe: str,
        budget: str | float,
        *,
        masks: LearnedMasks,
        labels: LabelSource | None,
        frames: Iterable[int] | None,
        validation_frames: Iterable[int] | None,
        name: str | None,
        base: str | Path | None,
        use: bool,
        options: dict[str, Any],
    ) -> None:
        # the network takes seconds to import; who does not train need not wait for it
        from sam2_core.training.fine_tuning.budget import budget_seconds
        from sam2_core.training.fine_tuning.fine_tune import look_at_data, require_usable_name

        self._session = session
        self.seconds = budget_seconds(budget)
        chosen = get_plugins().find(Recipe, recipe).contribution
        # the image size is no option of the recipe, but how the model is opened
        self._image_size = _checked_size(options.pop("image_size", None))
        self._options = checked_options(chosen.train, options)
        require_usable_name(name)
        self._name = name
        self._base = _named_model(session.model if base is None else base)
        self._use = use
        self._labels: LabelStack
        self._frames: list[int] | None
        if labels is None:
            self._labels = labels_to_learn(session, masks, frames, f"the masks of {session.stack.name}")
            self._frames = sorted(self._labels.written)
        else:
            self._labels = open_labels(labels)
            self._frames = None if frames is None else [session.checked_frame(frame) for frame in frames]
        held = None if validation_frames is None else list(validation_frames)
        self._split, _ = look_at_data(session.stack, self._labels, chosen, self._frames, held)
        self.record = TrainingRecord(recipe, str(self._base))
        self._stopped = Event()
        self._before: ModelChoice | None = None
        self._saved: str | None = None

    def stop(self) -> None:
        """End after the step that is being done, and keep the best so far."""
        self._stopped.set()
        self.record.is_stopping = True
        self.record.changed.emit(self.record)

    def discard(self) -> None:
        """Take the new model out of the catalogue, and give the session back the one it had."""
        if self.record.is_used and self._before is not None and self._session.model == self._saved:
            # a session that was closed meanwhile uses none
            with suppress(StateError):
                self._session.use_model(self._before)
        self.record.is_used = False
        self.record.model = None
        if self._saved is not None:
            remove_own_model(self._saved)

    def __call__(self, progress: Progress) -> FineTuned:
        """Train; in whichever thread."""
        from sam2_core.training.fine_tuning.fine_tune import fine_tune

        total = max(1, round(self.seconds))

        def hear(event: TrainingEvent) -> None:
            self.record.note(event)
            if event.kind == "end" and event.path is not None:
                self._saved = event.path.name
            progress(min(total, int(event.seconds)), total)

        progress(0, total)
        result = fine_tune(
            self._session.stack,
            self._labels,
            self.record.recipe,
            self.seconds,
            hear,
            model=self._base,
            name=self._name,
            labelled_frames=self._frames,
            validation_frames=self._split.validation,
            should_stop=self._stopped.is_set,
            image_size=self._image_size,
            **self._options,
        )
        self.record.model = result.name
        if self._use:
            self._before = self._session.model
            self._session.use_model(result.name)
            self.record.is_used = True
        self.record.changed.emit(self.record)
        return result


def _named_model(model: Any) -> str | Path:
    """The name or path of a model that can be trained further."""
    if isinstance(model, str):
        return model
    if isinstance(model, os.PathLike):
        return Path(model)
    raise StateError(
        "This session's model was given as a predictor, whose configuration is not known. Name a model to begin with: "
        'start_train(…, model="sam2.1_hiera_micro").'
    )


def _checked_size(size: Any) -> int | None:
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise InvalidTypeError(f"image_size is a whole number of pixels; got {size!r:.100}.")
    return size
