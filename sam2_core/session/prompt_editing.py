"""Prompts: what a person says of an object on a frame, by clicks, boxes and masks, or drawn in any registered way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import Drawn, ObjectPrompt, PromptContext, prompts_of
from sam2_core.session.items import SessionObject, SessionPrompt
from sam2_core.session.journal import Key
from sam2_core.session.mask_pixels import MaskPixels, checked_mask
from sam2_core.session.session_state import OBJECT, PROMPT, Changes, SessionState, alone


class PromptEditing(SessionState, ABC):
    """The part of :class:`AnnotationSession` that takes prompts."""

    @alone
    def add_points(self, object_id: int, frame: int, points: Any, labels: Sequence[int] | None = None) -> SessionPrompt:
        """Add clicks on a frame.

        Parameters
        ----------
        object_id, frame : int
        points : array_like
            (P, 2) or (2,): (x, y) in pixels of the frame, x first.
        labels : sequence of int, optional
            One a point: 1 on the object, which is the default, 0 beside it.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError, InvalidTypeError
            Points that are not numbers, outside the frame, or not as many as labels; labels other than 0 and 1.
        """
        one, frame = self.object(object_id), self.checked_frame(frame)
        added = self._checked_points(points)
        given = _checked_labels((1,) * len(added) if labels is None else labels, len(added))
        before = self.prompt(object_id, frame)
        after = replace(before, points=before.points + added, labels=before.labels + given, mask=None)
        self._say(f"click on {one.name}", one.id, frame, after)
        return after

    @alone
    def set_points(self, object_id: int, frame: int, points: Any, labels: Sequence[int]) -> SessionPrompt:
        """Replace the clicks on a frame, to move or delete some; arguments as for :meth:`add_points`."""
        one, frame = self.object(object_id), self.checked_frame(frame)
        new = self._checked_points(points)
        given = _checked_labels(labels, len(new))
        before = self.prompt(object_id, frame)
        # points replace a mask, as everywhere; to take the last ones away replaces nothing
        after = replace(before, points=new, labels=given, mask=None if new else before.mask)
        self._say(f"move clicks on {one.name}", one.id, frame, after)
        return after

    @alone
    def set_box(self, object_id: int, frame: int, box: Sequence[float] | None) -> SessionPrompt:
        """Set the box (x0, y0, x1, y1) around an object on a frame, in pixels; None takes it away.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError, InvalidTypeError
            No four numbers; an inverted or empty box, or one that does not touch the frame.
        """
        one, frame = self.object(object_id), self.checked_frame(frame)
        before = self.prompt(object_id, frame)
        after = replace(before, box=None) if box is None else replace(before, box=self._checked_box(box), mask=None)
        self._say(f"box around {one.name}", one.id, frame, after)
        return after

    @alone
    def set_mask_prompt(self, object_id: int, frame: int, mask: Any) -> SessionPrompt:
        """Say which pixels an object covers on a frame: (y, x), bool or integers. Replaces points and box there.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError, InvalidTypeError
            Not a mask of the frame's size, or an empty one.
        """
        one, frame = self.object(object_id), self.checked_frame(frame)
        pixels = MaskPixels.cut(checked_mask(mask, self.frame_size))
        if not pixels.area:
            raise InvalidInputError("A mask prompt needs at least one pixel that is set.")
        (reference,) = self._keep_pixels([pixels])
        after = SessionPrompt(mask=reference)
        self._say(f"mask of {one.name}", one.id, frame, after)
        return after

    @alone
    def clear_prompt(self, object_id: int, frame: int) -> None:
        """Take back everything said of an object on a frame; the mask there stays until it is computed anew."""
        one = self.object(object_id)
        self._do(f"clear prompts of {one.name}", [(Key(PROMPT, object_id, self.checked_frame(frame)), None)])

    def add_drawn(self, prompt_type: str, drawn: Drawn, object_id: int | None = None, **options: Any) -> list[int]:
        """Take what a person drew as prompts, as the prompt type of that name understands it; one step.

        Nothing is segmented yet: :meth:`start_segment` the objects that are returned.

        Parameters
        ----------
        prompt_type : str
            Name of a registered :class:`~sam2_core.hooks.PromptType`.
        drawn : Drawn
        object_id : int, optional
            The current object; a new one is made where a prompt type speaks of it and there is none.
        **options
            The prompt type's own.

        Returns
        -------
        list of int
            The objects that something was said of, each once; empty where the prompt type had nothing to say.

        Raises
        ------
        StateError
            There is no such object.
        PluginError, InvalidInputError, InvalidTypeError
            See :func:`~sam2_core.hooks.prompts_of`. Nothing is changed then.
        """
        if object_id is not None:
            self.object(object_id)
        self.checked_frame(drawn.frame)
        prompts = prompts_of(prompt_type, drawn, self._prompt_context(object_id, drawn.frame), **options)
        return self._take_prompts(prompts, prompt_type, object_id, drawn.frame)

    @alone
    def _take_prompts(
        self, prompts: Sequence[ObjectPrompt], prompt_type: str, current: int | None, drawn_frame: int
    ) -> list[int]:
        free = iter(self._free_ids(len(prompts) + 1))
        made: list[SessionObject] = []
        said: dict[tuple[int, int], SessionPrompt] = {}
        for one in prompts:
            if one.object_id == "new" or (one.object_id is None and current is None):
                made.append(SessionObject.new(next(free)))
                target = made[-1].id
                current = target if one.object_id is None else current
            else:
                target = self._checked_id(one.object_id if isinstance(one.object_id, int) else current or 0)
                if target not in {new.id for new in made}:
                    self.object(target)
            frame = drawn_frame if one.frame is None else self.checked_frame(one.frame)
            before = said.get((target, frame)) or (SessionPrompt() if one.replace else self.prompt(target, frame))
            said[target, frame] = self._with_added(before, one)
        changes: Changes = self._reserve(new.id for new in made) if made else []
        changes += [(Key(OBJECT, new.id), new.document()) for new in made]
        changes += [(Key(PROMPT, *key), prompt.document()) for key, prompt in said.items()]
        if changes:
            self._do(f"draw {prompt_type}", changes)
        return list(dict.fromkeys(target for target, _ in said))

    def _with_added(self, before: SessionPrompt, added: ObjectPrompt) -> SessionPrompt:
        """What was said, and what is said beside it; a mask replaces all else, and all else replaces a mask."""
        if added.mask is not None:
            (reference,) = self._keep_pixels([MaskPixels.cut(checked_mask(added.mask, self.frame_size))])
            return SessionPrompt(mask=reference)
        points = self._checked_points(np.asarray(list(added.points), dtype=float))
        labels = _checked_labels(list(added.labels), len(points))
        box = before.box if added.box is None else self._checked_box(added.box)
        return SessionPrompt(before.points + points, before.labels + labels, box)

    @abstractmethod
    def _prompt_context(self, object_id: int | None, frame: int) -> PromptContext: ...

    def _say(self, label: str, object_id: int, frame: int, prompt: SessionPrompt) -> None:
        self._do(label, [(Key(PROMPT, object_id, frame), None if prompt.is_empty else prompt.document())])

    def _checked_box(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        try:
            values = np.asarray(box, dtype=float)
        except (TypeError, ValueError):
            raise InvalidTypeError(f"A box is four numbers (x0, y0, x1, y1); got {box!r:.100}.") from None
        if values.shape != (4,) or not np.isfinite(values).all():
            raise InvalidInputError(f"A box is four numbers (x0, y0, x1, y1); got {box!r}.")
        x0, y0, x1, y1 = (float(value) for value in values)
        height, width = self.frame_size
        if x0 >= x1 or y0 >= y1 or x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InvalidInputError(
                f"A box needs x0 < x1, y0 < y1 and a part inside the frame, which is {width} wide and {height} "
                f"high; got {x0:g}, {y0:g}, {x1:g}, {y1:g}."
            )
        return x0, y0, x1, y1

    def _checked_points(self, points: Any) -> tuple[tuple[float, float], ...]:
        try:
            array = np.asarray(points, dtype=float)
        except (TypeError, ValueError):
            raise InvalidTypeError(f"Points are pairs of numbers (x, y); got {points!r}.") from None
        if array.size == 0:
            return ()
        array = array.reshape(1, 2) if array.shape == (2,) else array
        if array.ndim != 2 or array.shape[1] != 2:
            raise InvalidInputError(f"Points are pairs (x, y), shape (P, 2); got shape {array.shape}.")
        height, width = self.frame_size
        if not np.isfinite(array).all() or not ((array >= 0) & (array < [width, height])).all():
            raise InvalidInputError(
                f"Points must lie in the frame: x from 0 to {width - 1}, y from 0 to {height - 1}, x first; got "
                f"{array.tolist()}."
            )
        return tuple((float(x), float(y)) for x, y in array)


def _checked_labels(labels: Sequence[int], point_count: int) -> tuple[int, ...]:
    try:
        given = list(labels)
        is_known = set(given) <= {0, 1}
    except TypeError:
        raise InvalidTypeError(f"Labels are a list of 1 and 0, one for each point; got {labels!r:.100}.") from None
    if len(given) != point_count or not is_known:
        raise InvalidInputError(
            f"Each point needs a label, 1 on the object or 0 beside it; got {point_count} points and {given}."
        )
    return tuple(int(label) for label in given)
