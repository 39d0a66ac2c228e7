"""Adding, naming, merging, splitting and deleting objects; divisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.items import MaskRecord, SessionObject
from sam2_core.session.journal import Key
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.session_state import MASK, OBJECT, ON_FRAMES, PROMPT, Changes, SessionState, alone


class ObjectEditing(SessionState):
    """The part of :class:`AnnotationSession` that makes and changes objects."""

    @alone
    def add_object(
        self, name: str | None = None, *, colour: str | None = None, category: str | None = None
    ) -> SessionObject:
        """Make an object.

        Parameters
        ----------
        name, colour, category : str, optional
            "object N", a colour of its own and none by default.

        Raises
        ------
        InvalidInputError
            The colour is not #rrggbb.
        """
        made = SessionObject.new(self._free_ids(1)[0], name=name, colour=colour, category=category)
        self._do(f"new {made.name}", [*self._reserve([made.id]), (Key(OBJECT, made.id), made.document())])
        return made

    @alone
    def change_object(
        self, object_id: int, *, name: str | None = None, colour: str | None = None, category: str | None = None
    ) -> SessionObject:
        """Rename, recolour or classify an object.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError
            The colour is not #rrggbb.
        """
        before = self.object(object_id)
        after = replace(
            before,
            name=before.name if name is None else name,
            colour=before.colour if colour is None else colour,
            category=before.category if category is None else category,
        ).checked()
        self._do(f"change {before.name}", [(Key(OBJECT, object_id), after.document())])
        return after

    @alone
    def delete_objects(self, object_ids: Iterable[int]) -> None:
        """Delete objects with all their prompts and masks; what lay beneath them shows again.

        Raises
        ------
        StateError
            There is no such object.
        """
        gone = [self.object(object_id) for object_id in dict.fromkeys(object_ids)]
        names = gone[0].name if len(gone) == 1 else f"{len(gone)} objects"
        self._do(f"delete {names}", self._without([one.id for one in gone]))

    @alone
    def merge_objects(self, object_ids: Sequence[int]) -> SessionObject:
        """Make one object of several: the first one gets the others' masks and prompts, and the others go.

        Where several have a mask on a frame the result is their union. Points add up; of boxes and mask prompts those
        of the first object that has any stay.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError
            Fewer than two different objects.
        """
        members = [self.object(object_id) for object_id in dict.fromkeys(object_ids)]
        if len(members) < 2:
            raise InvalidInputError(f"Merging takes at least two different objects; got {list(object_ids)}.")
        first = members[0]
        changes = self._without([one.id for one in members[1:]])
        changes += self._merged_prompts([one.id for one in members])
        changes += self._merged_masks([one.id for one in members])
        self._do(f"merge {len(members)} objects", changes)
        return first

    @alone
    def split_object(self, object_id: int) -> list[SessionObject]:
        """Make an object of every part of an object that touches no other part, over all its frames.

        Parts touch if their pixels do on a frame (8 neighbours), or cover each other from a frame to the next one, of
        a stack along two axes to the next one on either. The largest part stays the object; prompts with points go
        with the part they lie in.

        Returns
        -------
        list of SessionObject
            All parts, the original object first; it alone if there was nothing to split.

        Raises
        ------
        StateError
            There is no such object.
        """
        whole = self.object(object_id)
        parts = self._parts(object_id)
        if len(parts) < 2:
            return [whole]
        ids = [object_id, *self._free_ids(len(parts) - 1)]
        made = [whole] + [
            SessionObject.new(new_id, name=f"{whole.name}.{number}", category=whole.category)
            for number, new_id in enumerate(ids[1:], start=2)
        ]
        changes: Changes = [*self._reserve(ids[1:])]
        changes += [(Key(OBJECT, one.id), one.document()) for one in made[1:]]
        for frame in self.masked_frames(object_id):
            if frame not in parts[0]:
                changes.append((Key(MASK, object_id, frame), None))
        for new_id, part in zip(ids, parts, strict=True):
            references = self._keep_pixels(list(part.values()))
            for (frame, pixels), reference in zip(part.items(), references, strict=True):
                before = self.record(object_id, frame)
                locked = before is not None and before.locked
                record = MaskRecord(reference, "edit", pixels.area, locked=locked)
                changes.append((Key(MASK, new_id, frame), record.document()))
        self._do(f"split {whole.name}", changes)
        return made

    @alone
    def mark_division(self, parent_id: int, daughter_ids: Sequence[int] = (), *, count: int = 2) -> list[SessionObject]:
        """Say that an object divided.

        Parameters
        ----------
        parent_id : int
        daughter_ids : sequence of int
            Objects that it became; new ones are made if none are given.
        count : int
            How many new ones.

        Returns
        -------
        list of SessionObject
            The daughters.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError
            A daughter that is the parent or an ancestor of it, or fewer than one new object wanted.
        """
        parent = self.object(parent_id)
        changes: Changes = []
        if daughter_ids:
            daughters = [self.object(object_id) for object_id in dict.fromkeys(daughter_ids)]
        else:
            if count < 1:
                raise InvalidInputError(f"A division leaves at least one daughter; got count={count}.")
            ids = self._free_ids(count)
            daughters = [SessionObject.new(new_id, category=parent.category) for new_id in ids]
            changes += self._reserve(ids)
        parent_id = parent.id
        ancestors = self.ancestors(parent_id) | {parent_id}
        for one in daughters:
            if one.id in ancestors:
                raise InvalidInputError(
                    f"Object {one.id} cannot come from object {parent_id}: it is {parent_id} itself or an ancestor of "
                    "it."
                )
        daughters = [replace(one, parents=tuple(sorted({*one.parents, parent_id}))) for one in daughters]
        changes += [(Key(OBJECT, one.id), one.document()) for one in daughters]
        self._do(f"division of {parent.name}", changes)
        return daughters

    @alone
    def unlink_objects(self, object_ids: Iterable[int], parent_ids: Iterable[int] | None = None) -> list[SessionObject]:
        """Say that objects do not come from others, as one step; :meth:`mark_division` says that they do.

        Parameters
        ----------
        object_ids : iterable of int
        parent_ids : iterable of int, optional
            Take away the links to these only; all links by default.

        Returns
        -------
        list of SessionObject
            Those that were changed.

        Raises
        ------
        StateError
            There is no such object, or none of them comes from any of these.
        """
        gone = None if parent_ids is None else {self.object(parent).id for parent in parent_ids}
        changed = []
        for one in [self.object(object_id) for object_id in dict.fromkeys(object_ids)]:
            left = () if gone is None else tuple(parent for parent in one.parents if parent not in gone)
            if left != one.parents:
                changed.append(replace(one, parents=left))
        if not changed:
            raise StateError("There is no link to take away: none of these objects comes from another one of them.")
        names = changed[0].name if len(changed) == 1 else f"{len(changed)} objects"
        self._do(f"unlink {names}", [(Key(OBJECT, one.id), one.document()) for one in changed])
        return changed

    def ancestors(self, object_id: int) -> set[int]:
        """The objects that an object comes from, directly and by way of others."""
        parents = {one.id: one.parents for one in self.objects}
        found: set[int] = set()
        todo = list(parents.get(object_id, ()))
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += parents.get(one, ())
        return found

    def _without(self, gone: Sequence[int]) -> Changes:
        """What takes objects away, and their names from those that came from them and stay."""
        changes: Changes = [(Key(OBJECT, one), None) for one in gone]
        for kind in ON_FRAMES:
            changes += [(Key(kind, *numbers), None) for one in gone for numbers in self._journal.keys(kind, a=one)]
        for one in self.objects:
            left = tuple(parent for parent in one.parents if parent not in gone)
            if one.id not in gone and left != one.parents:
                changes.append((Key(OBJECT, one.id), replace(one, parents=left).document()))
        return changes

    def _merged_prompts(self, ids: Sequence[int]) -> Changes:
        changes: Changes = []
        for frame in sorted({frame for one in ids for frame in self.prompted_frames(one)}):
            every = [self.prompt(one, frame) for one in ids]
            merged = replace(
                every[0],
                points=tuple(point for prompt in every for point in prompt.points),
                labels=tuple(label for prompt in every for label in prompt.labels),
                box=next((prompt.box for prompt in every if prompt.box is not None), None),
                mask=next((prompt.mask for prompt in every if prompt.mask is not None), None),
            )
            changes.append((Key(PROMPT, ids[0], frame), merged.document()))
        return changes

    def _merged_masks(self, ids: Sequence[int]) -> Changes:
        changes: Changes = []
        for frame in sorted({frame for one in ids for frame in self.masked_frames(one)}):
            records = [record for one in ids if (record := self.record(one, frame)) is not None]
            if len(records) == 1:
                changes.append((Key(MASK, ids[0], frame), records[0].document()))
                continue
            union = np.zeros(self.frame_size, bool)
            for record in records:
                pixels = self.pixels(record.mask)
                union[pixels.window] |= pixels.inside
            pixels = MaskPixels.cut(union)
            (reference,) = self._keep_pixels([pixels])
            locked = any(record.locked for record in records)
            merged = MaskRecord(reference, "edit", pixels.area, locked=locked)
            changes.append((Key(MASK, ids[0], frame), merged.document()))
        return changes

    def _parts(self, object_id: int) -> list[dict[int, MaskPixels]]:
        """The connected parts of an object, largest first: for each frame the part is on, its pixels."""
        # the session's process goes without torch for as long as it can
        from sam2_core.kernels import mask_components

        pieces: list[tuple[int, MaskPixels]] = []
        parent: list[int] = []

        def root(piece: int) -> int:
            while parent[piece] != piece:
                piece = parent[piece]
            return piece

        # of frames that others come next to: where the pieces lie, their numbers there, and that of the first one
        seen: dict[int, tuple[tuple[slice, slice], np.ndarray, int]] = {}
        reach = 1 if self.grid is None else self.grid.sizes[1]
        for frame in self.masked_frames(object_id):
            record = self.record(object_id, frame)
            if record is None or record.mask.pixels is None:
                continue
            pixels = self.pixels(record.mask)
            labels, _ = mask_components(pixels.inside)
            found = np.unique(labels[pixels.inside])
            numbered = np.where(pixels.inside, np.searchsorted(found, labels) + 1, 0)
            full = np.zeros(self.frame_size, np.int32)
            full[pixels.window] = numbered
            first = len(pieces)
            for number in range(1, len(found) + 1):
                offset = (pixels.box[1], pixels.box[0])
                pieces.append((frame, MaskPixels.cut(numbered == number, offset)))
                parent.append(len(parent))
            for earlier in self._frames_before(frame):
                if earlier in seen:
                    window, theirs, first_there = seen[earlier]
                    mine = full[window]
                    both = (mine > 0) & (theirs > 0)
                    for here, there in set(zip(mine[both].tolist(), theirs[both].tolist(), strict=True)):
                        parent[root(first + here - 1)] = root(first_there + there - 1)
            seen[frame] = (pixels.window, numbered, first)
            seen = {one: known for one, known in seen.items() if one > frame - reach}
        parts: dict[int, dict[int, list[MaskPixels]]] = {}
        for number, (frame, piece) in enumerate(pieces):
            parts.setdefault(root(number), {}).setdefault(frame, []).append(piece)
        joined = [{frame: self._joined(group) for frame, group in part.items()} for part in parts.values()]
        return sorted(joined, key=lambda part: -sum(pixels.area for pixels in part.values()))

    def _frames_before(self, frame: int) -> list[int]:
        """The frames that a frame comes next to: one, or one along each axis."""
        if self.grid is None:
            return [frame - 1]
        lines = [self.grid.line(axis, frame) for axis in self.grid.axes]
        return [frame - line.step for line in lines if frame != line.start]

    def _joined(self, pieces: Sequence[MaskPixels]) -> MaskPixels:
        if len(pieces) == 1:
            return pieces[0]
        full = np.zeros(self.frame_size, bool)
        for piece in pieces:
            full[piece.window] |= piece.inside
        return MaskPixels.cut(full)
