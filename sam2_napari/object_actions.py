"""What a person does with the objects of a session: choosing, changing, tracking them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sam2_napari.session_view import SessionView

if TYPE_CHECKING:
    from sam2_core.session.items import SessionObject
    from sam2_core.session.job import Job
    from sam2_napari.drawing import Drawing


class ObjectActions(SessionView):
    """The part of :class:`~sam2_napari.annotation.Annotation` that works on objects; each call returns at once."""

    drawing: Drawing
    #: The current object, as far as the work has come.
    _target: int | None = None
    #: Counts how often a person chose an object.
    _choice: int = 0

    # Objects

    def select(self, object_id: int | None) -> None:
        """Make an object the current one, whose prompts are shown; None lets the next prompt begin a new one."""
        self._choice += 1
        self.work.do(lambda: setattr(self, "_target", object_id))
        self._make_current(object_id)

    def _make_current(self, object_id: int | None) -> None:
        if object_id == self.current:
            return
        self.current = object_id
        if object_id is not None:
            self.layer.selected_label = object_id
        self._read_prompts()
        self.selected.emit(object_id)

    def step_object(self, step: int) -> None:
        """Make the next object the current one, or with -1 the one before, and go to where it is."""
        ids = [row.id for row in self.rows]
        if not ids:
            self.say("There is no object yet: click on one.")
            return
        at = ids.index(self.current) + step if self.current in ids else (0 if step > 0 else -1)
        object_id = ids[at % len(ids)]
        self.select(object_id)
        self.go_to_object(object_id)

    def go_to_object(self, object_id: int) -> None:
        """Show a frame on which an object is, unless it is on the one that is shown."""
        row = self.row(object_id)
        if row is None or row.is_here:
            return
        here = self.frame or 0

        def nearest() -> int | None:
            frames = self.session.prompted_frames(object_id) or self.session.masked_frames(object_id)
            return min(frames, key=lambda one: abs(one - here), default=None)

        self.work.do(nearest, then=lambda frame: None if frame is None else self.go_to_frame(frame))

    def go_to_frame(self, frame: int) -> None:
        """Show a frame of the session."""
        position = self.placement.positions(frame, [(0.0, 0.0)])[0]
        world = self.layer.data_to_world(position)
        offset = self.viewer.dims.ndim - len(world)
        for dimension in self.viewer.dims.not_displayed:
            if dimension >= offset:
                self.viewer.dims.set_point(dimension, world[dimension - offset])

    def show_object(self, object_id: int, is_shown: bool) -> None:
        """Show or hide an object."""
        (self.hidden.discard if is_shown else self.hidden.add)(object_id)
        self._show_colours()

    def change_object(self, object_id: int, **changes: Any) -> None:
        """Rename, recolour or classify an object."""
        self.work.do(lambda: self.session.change_object(object_id, **changes))

    def delete_objects(self, object_ids: Iterable[int]) -> None:
        """Delete objects; undo brings them back."""
        chosen = list(object_ids)
        if not chosen:
            self.say("Select objects in the table first.")
            return
        if self.current in chosen:
            self.select(None)
        self.work.do(lambda: self.session.delete_objects(chosen))

    def merge_objects(self, object_ids: Iterable[int]) -> None:
        """Make one object of several."""
        chosen = list(object_ids)
        if len(chosen) < 2:
            self.say("Select at least two objects in the table to merge them.")
            return
        self.work.do(lambda: self.session.merge_objects(chosen), then=lambda one: self.select(one.id))

    def split_object(self) -> None:
        """Make an object of each part of the current one."""
        object_id = self._required_current()
        if object_id is not None:
            self.work.do(lambda: self.session.split_object(object_id), then=self._split)

    def mark_division(self) -> None:
        """Say that the current object divides on this frame; the first daughter becomes the current one."""
        object_id = self._required_current()
        if object_id is not None:
            self.work.do(
                lambda: self.session.mark_division(object_id),
                then=lambda daughters: self._go_on_with(object_id, daughters),
            )

    def _go_on_with(self, parent: int, daughters: Sequence[SessionObject]) -> None:
        self.select(daughters[0].id)
        self.say(f"{' and '.join(one.name for one in daughters)} come from object {parent}; click on each.")

    def link_objects(self, object_ids: Iterable[int]) -> None:
        """Say that of these objects the one that is there first became the others."""
        chosen = list(object_ids)
        if len(chosen) < 2:
            self.say("Select a cell and those that it became in the table, at least two objects.")
            return

        def work() -> str:
            session = self.session
            frames = {one: session.masked_frames(one) or session.prompted_frames(one) for one in chosen}
            parent, *daughters = sorted(chosen, key=lambda one: (frames[one][:1] or [session.frame_count], one))
            names = [one.name for one in session.mark_division(parent, daughters)]
            said = f"{' and '.join(names)} come{'s' * (len(names) == 1)} from {session.object(parent).name}."
            first = min((frames[one][0] for one in daughters if frames[one]), default=session.frame_count)
            if frames[parent] and frames[parent][-1] >= first:
                said += (
                    f" It is still there on frame {frames[parent][-1]}: graphs leave out a link to what began earlier."
                )
            return said

        self.work.do(work, then=self.say)

    def unlink_objects(self, object_ids: Iterable[int]) -> None:
        """Take away the links between these objects, or, where there are none, all that they come from."""
        chosen = list(object_ids)
        if not chosen:
            self.say("Select objects in the table first.")
            return

        def work() -> str:
            parents = {parent for one in chosen for parent in self.session.object(one).parents}
            changed = self.session.unlink_objects(chosen, sorted(parents & set(chosen)) or None)
            return f"{' and '.join(one.name for one in changed)}: no link any more."

        self.work.do(work, then=self.say)

    def lock(self, object_id: int | None = None, locked: bool = True) -> None:
        """Accept an object's mask on this frame, so that nothing but a hand changes it; or let it go again."""
        current, frame = self._current_on_frame() if object_id is None else (object_id, self.frame)
        if current is not None and frame is not None:
            self.work.do(lambda: self.session.lock(current, frame, locked))

    # Jobs and steps

    def propagate(
        self,
        object_ids: list[int] | None = None,
        *,
        propagator: str = "both",
        start: int | None = None,
        count: int | None = None,
        along: str | None = None,
        **options: Any,
    ) -> None:
        """Carry objects through the stack in the background."""
        self.work.do(
            lambda: self.session.start_propagate(
                object_ids, propagator=propagator, start=start, count=count, along=along, **options
            )
        )

    def carry(self, object_ids: list[int] | None = None, **how: Any) -> None:
        """Carry volumes from the time that is shown to others, as the session's `start_carry` does."""
        if self.frame is None:
            self.say("The viewer shows no frame of this session.")
            return
        time = self.placement.places(self.frame)["t"]
        self.work.do(lambda: self.session.start_carry(object_ids, time=time, **how))

    def compare(self, propagator: str, then: Callable[[Job], object]) -> None:
        """Track all objects a second time, of z-stacks over time at the time that is shown, and note what differs."""
        start = self.frame if len(self.placement.along) > 1 else None
        self.work.do(
            lambda: self.session.start_compare(propagator=propagator, start=start),
            then=lambda job: self.when_done(job, then),
        )

    def cancel(self) -> None:
        """Stop what is being drawn, or else every job; what they have come to stays."""
        if self.drawing.give_up():
            return
        active = self.session.jobs.active
        for job in active:
            self.control.do(job.stop)
        if active:
            self.say(f"Stopped: {', '.join(job.label for job in active)}. What was found until then stays.")

    def _split(self, parts: list[Any]) -> None:
        self.say(f"{len(parts)} parts" if len(parts) > 1 else "The object is in one piece; there is nothing to split.")

    def _required_current(self) -> int | None:
        if self.current is None:
            self.say("Select an object first.")
        return self.current

    def _current_on_frame(self) -> tuple[int | None, int | None]:
        object_id, frame = self._required_current(), self.frame
        if object_id is not None and frame is None:
            self.say("The viewer shows no frame of this session.")
        return object_id, frame
