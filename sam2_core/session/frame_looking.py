"""How a session looks at its frames: which one first, and whether as a whole or through crops."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from os import PathLike
from typing import TYPE_CHECKING, Final

from psygnal import Signal

from sam2_core.errors import Sam2Error
from sam2_core.inference.preset_names import LARGEST_EXACT, Preset, checked_preset, times_the_input
from sam2_core.session.session_state import SessionState

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.job_runner import JobRunner
    from sam2_core.session.worker.model_choice import ModelChoice

_LOGGER = logging.getLogger(__name__)

#: Side of the smallest input of the models that have a name.
_SMALLEST_INPUT: Final = 256


class FrameLooking(SessionState, ABC):
    """The part of :class:`AnnotationSession` that says how frames are looked at."""

    #: Emitted with the new :attr:`preset`, in the thread that set it.
    preset_changed = Signal(str)

    if TYPE_CHECKING:

        @property
        def runner(self) -> JobRunner: ...  # noqa: D102  that of AnnotationSession

    @property
    def current_frame(self) -> int:
        """The frame a person looks at: it is encoded first, then those round it, as long as nothing else is to do."""
        return self._current_frame

    @current_frame.setter
    def current_frame(self, frame: int) -> None:
        self._current_frame = self.checked_frame(frame)
        if self.can_segment:
            self.runner.look_at(self._current_frame)

    _current_frame = 0

    @property
    def preset(self) -> Preset:
        """How frames are looked at for what is started from now on.

        ``"exact"``: each frame as a whole. ``"crops"``: each object in a window of its own that follows it, so that a
        small cell is seen sharply; a first click is looked at in the frame, or in its tile, too. Everything else in the
        session is the same: what was found in one way can be corrected in the other.

        Until it is set it is "crops" where the sides of frames are more than four times those of the model's input, at
        which a cell would be a pixel or two, and else "exact".

        Raises
        ------
        InvalidInputError
            When it is set: there is no such preset, or the model tracks objects jointly.
        StateError
            When it is set: the session is closed.
        """
        if self._preset is None:
            self._preset = self._suitable_preset()
        return self._preset

    @preset.setter
    def preset(self, preset: Preset) -> None:
        self.runner.require_open()
        wanted = checked_preset(preset)
        require_possible(wanted, self._whole().model)
        before, self._preset = self.preset, wanted
        if wanted != before:
            self.preset_changed.emit(wanted)

    _preset: Preset | None = None

    @property
    @abstractmethod
    def can_segment(self) -> bool:
        """Whether there is a model, and the session may be changed."""

    def _suitable_preset(self) -> Preset:
        model = self._whole().model
        input_size = None if model is None else _input_size(model, self.frame_size)
        if input_size is None or times_the_input(self.frame_size, input_size) <= LARGEST_EXACT:
            return "exact"
        height, width = self.frame_size
        _LOGGER.warning(
            "The model would see frames of %d x %d pixels at %d x %d, too small to show cells. Each object is looked "
            'at in a crop of its own; session.preset = "exact" looks at whole frames.',
            width,
            height,
            *reversed(input_size),
        )
        return "crops"

    @abstractmethod
    def _whole(self) -> AnnotationSession: ...


def require_possible(preset: Preset, model: object) -> None:
    """Refuse a preset that a model cannot do; of one that is named only, the worker will say so.

    Raises
    ------
    InvalidInputError
        The model tracks objects jointly, and the preset is "crops".
    """
    if preset == "crops" and model is not None and not isinstance(model, str | PathLike):
        from sam2_core.inference.object_crop_tracker import require_separate_objects

        require_separate_objects(model)


def _input_size(model: ModelChoice, frame_size: tuple[int, int]) -> tuple[int, int] | None:
    """(height, width) that a model sees; None where that does not matter, or crops are not possible."""
    if not isinstance(model, str | PathLike):
        return None if model.joint_objects else model.input_size
    if max(frame_size) <= LARGEST_EXACT * _SMALLEST_INPUT:
        # who only looks at a session need not wait for its model's weights to be opened
        return None
    from sam2_core.checkpoints.build import model_config
    from sam2_core.checkpoints.config import configured_size

    try:
        return configured_size(model_config(model))
    except Sam2Error:  # what needs the model will say so
        return None
