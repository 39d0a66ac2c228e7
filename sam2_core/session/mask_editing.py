"""Masks as a person gives them: painted, erased, imported, interpolated, locked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.session.items import MaskRecord, SessionObject, SessionPrompt
from sam2_core.session.journal import Document, DocumentChange, Key
from sam2_core.session.mask_pixels import MaskPixels, checked_mask
from sam2_core.session.session_state import MASK, OBJECT, PROMPT, Changes, SessionState, alone


class MaskEditing(SessionState):
    """The part of :class:`AnnotationSession` that takes masks."""

    @alone
    def paint(self, object_id: int, frame: int, mask: Any, *, lock: bool = True) -> MaskRecord:
        """Set an object's mask on a frame by hand.

        Parameters
        ----------
        object_id, frame : int
        mask : array_like, (y, x), bool or integers
            The whole mask as it shall be; it may be empty.
        lock : bool
            Whether it stays as it is when the object is tracked again.

        Raises
        ------
        StateError
            There is no such object.
        InvalidInputError, InvalidTypeError
            Not a mask of the frame's size.
        """
        one, frame = self.object(object_id), self.checked_frame(frame)
        pixels = MaskPixels.cut(checked_mask(mask, self.frame_size))
        (reference,) = self._keep_pixels([pixels])
        record = MaskRecord(reference, "paint", pixels.area, locked=lock)
        self._do(f"paint {one.name}", [(Key(MASK, object_id, frame), record.document())])
        return record

    @alone
    def lock(self, object_id: int, frames: int | Sequence[int], locked: bool = True) -> None:
        """Accept masks as they are, so that nothing but a person's hand changes them; or let them go again.

        Raises
        ------
        StateError
            There is no such object, or it has no mask on one of the frames.
        """
        one = self.object(object_id)
        changes: Changes = []
        for frame in [frames] if isinstance(frames, int | np.integer) else frames:
            record = self.record(object_id, frame)
            if record is None:
                raise StateError(f"{one.name} has no mask on frame {frame} that could be locked.")
            changes.append((Key(MASK, object_id, frame), replace(record, locked=locked).document()))
        self._do(f"{'lock' if locked else 'unlock'} {one.name}", changes)

    @alone
    def delete_masks(self, object_id: int, frames: Sequence[int] | None = None) -> None:
        """Delete an object's masks on some frames, or on all; locked ones too, since a person asks for it."""
        one = self.object(object_id)
        chosen = self.masked_frames(object_id) if frames is None else [self.checked_frame(frame) for frame in frames]
        self._do(f"delete masks of {one.name}", [(Key(MASK, object_id, frame), None) for frame in chosen])

    @alone
    def interpolate(self, object_id: int, first: int, last: int) -> list[int]:
        """Fill the frames between two masks of an object by a shape that changes evenly from one to the other.

        The signed distances to the two borders are averaged (Raya and Udupa, IEEE Trans. Med. Imaging 9(1), 1990,
        shape-based interpolation), after the masks' centres have been laid on each other. Locked frames stay. In a
        stack along two axes the frames are those between the two along one of them.

        Returns
        -------
        list of int
            The frames that were filled.

        Raises
        ------
        StateError
            There is no such object, or no mask on one of the two frames.
        InvalidInputError
            Frames in the wrong order, or that differ in their positions on both axes.
        """
        one, first, last = self.object(object_id), self.checked_frame(first), self.checked_frame(last)
        if first >= last:
            raise InvalidInputError(f"Interpolation goes from a frame to a later one; got {first} and {last}.")
        line = self._line_between(first, last)
        ends = []
        for frame in (first, last):
            record = self.record(object_id, frame)
            if record is None or not record.area:
                raise StateError(f"{one.name} has no mask on frame {frame} to interpolate from.")
            ends.append(self.mask(object_id, frame))
        frames = [
            frame
            for frame in line[1:-1]
            if not ((record := self.record(object_id, frame)) is not None and record.locked)
        ]
        shares = [line.index(frame) / (len(line) - 1) for frame in frames]
        masks = [MaskPixels.cut(_between(ends[0], ends[1], share)) for share in shares]
        references = self._keep_pixels(masks)
        self._do(
            f"interpolate {one.name}",
            [
                (Key(MASK, object_id, frame), MaskRecord(reference, "edit", mask.area).document())
                for frame, mask, reference in zip(frames, masks, references, strict=True)
            ],
        )
        return frames

    def import_labels(
        self,
        labels: Mapping[int, NDArray[Any]] | Iterable[tuple[int, NDArray[Any]]],
        *,
        names: Mapping[int, str] | None = None,
        parents: Mapping[int, int] | None = None,
    ) -> dict[int, int]:
        """Take objects from label images, such as those of Cellpose or StarDist.

        Parameters
        ----------
        labels : mapping or iterator of (frame, array)
            Labels (y, x), integer; 0 is background. One frame is looked at at a time.
        names : mapping of int to str, optional
            Names by label.
        parents : mapping of int to int, optional
            For labels of daughter cells the label of the cell that divided.

        Returns
        -------
        dict of int to int
            The new object's id for each label. An object that a label stands for already, with the same id, is not
            touched: new ids are given.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Labels that are no integers, negative, or of another size than the frame. Nothing is imported then.
        """
        ids: dict[int, int] = {}
        with self._importing("import labels") as add:
            for frame, image in labels.items() if isinstance(labels, Mapping) else labels:
                with self._journal.lock:
                    add(self._imported(self.checked_frame(frame), np.asarray(image), ids, names or {}))
            add(self._with_parents(ids, parents or {}))
        return ids

    def import_tracks(
        self,
        tracks: Mapping[int, Sequence[int]],
        frames: Iterable[tuple[int, Mapping[int, MaskPixels | tuple[float, float]]]],
        *,
        names: Mapping[int, str | None] | None = None,
    ) -> dict[int, int]:
        """Take objects that are known by their tracks, as one step.

        Parameters
        ----------
        tracks : mapping of int to sequence of int
            For each track, by any number, those that it came from.
        frames : iterable of (frame, mapping)
            Where the tracks are on a frame: the mask, or (x, y) in pixels, which becomes a click.
        names : mapping of int to str, optional
            By track.

        Returns
        -------
        dict of int to int
            The new object's id for each track.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            There is no such frame. Nothing is imported then.
        """
        ids: dict[int, int] = {}
        with self._importing("import tracks") as add:
            with self._journal.lock:
                ids.update(zip(tracks, self._free_ids(len(tracks)), strict=True))
                add(self._reserve(ids.values()) if ids else [])
                add(
                    (Key(OBJECT, ids[one]), self._tracked(ids, one, parents, (names or {}).get(one)).document())
                    for one, parents in tracks.items()
                )
            for frame, places in frames:
                add(self._placed(self.checked_frame(frame), {ids[one]: place for one, place in places.items()}))
        return ids

    def _line_between(self, first: int, last: int) -> range:
        """The frames from one to a later one along one axis, with both."""
        if self.grid is None:
            return range(first, last + 1)
        for axis in self.grid.axes:
            line = self.grid.line(axis, first)
            if last in line:
                return range(first, last + 1, line.step)
        places = [
            ", ".join(f"{axis} = {at}" for axis, at in self.grid.position(frame).items()) for frame in (first, last)
        ]
        raise InvalidInputError(
            f"Interpolation goes along {' or '.join(self.grid.axes)}; frame {first} is at {places[0]} and frame {last} "
            f"at {places[1]}. Choose two frames that differ on one axis only."
        )

    @contextmanager
    def _importing(self, label: str) -> Iterator[Callable[[Iterable[tuple[Key, Document | None]]], None]]:
        """A step that is made piece by piece by what is yielded, or not at all; it is told of as a whole."""
        step = self._journal.begin(label)
        done: list[DocumentChange] = []
        try:
            yield lambda changes: done.extend(self._journal.extend(step, changes))
        except BaseException:
            self._journal.finish(step)
            last = self._journal.next_undo()
            # if another thread has gone on meanwhile, what was imported stays, as a step that can be undone
            if last is not None and last.id == step:
                self._journal.undo()
            raise
        self._journal.finish(step)
        self._announce(label, done)

    @staticmethod
    def _tracked(ids: Mapping[int, int], track: int, parents: Sequence[int], name: str | None) -> SessionObject:
        return SessionObject.new(ids[track], name=name, parents=tuple(sorted(ids[parent] for parent in parents)))

    def _placed(self, frame: int, places: Mapping[int, MaskPixels | tuple[float, float]]) -> Changes:
        masks = {one: place for one, place in places.items() if isinstance(place, MaskPixels)}
        references = self._keep_pixels(list(masks.values()))
        changes: Changes = [
            (Key(MASK, one, frame), MaskRecord(reference, "import", mask.area).document())
            for (one, mask), reference in zip(masks.items(), references, strict=True)
        ]
        for one, place in places.items():
            if not isinstance(place, MaskPixels):
                changes.append((Key(PROMPT, one, frame), SessionPrompt(points=(place,), labels=(1,)).document()))
        return changes

    def _with_parents(self, ids: Mapping[int, int], parents: Mapping[int, int]) -> Changes:
        changes: Changes = []
        for daughter, parent in parents.items():
            if daughter in ids and parent in ids:
                one = replace(self.object(ids[daughter]), parents=(ids[parent],))
                changes.append((Key(OBJECT, one.id), one.document()))
        return changes

    def _imported(self, frame: int, image: NDArray[Any], ids: dict[int, int], names: Mapping[int, str]) -> Changes:
        if image.dtype.kind not in "bui":
            raise InvalidTypeError(f"Labels are integers; those of frame {frame} are {image.dtype}.")
        if image.shape != tuple(self.frame_size):
            raise InvalidInputError(
                f"Labels must have the frame's size {tuple(self.frame_size)}; those of frame {frame} have shape "
                f"{image.shape}."
            )
        if image.size and image.min() < 0:
            raise InvalidInputError(f"Labels are 0 or above; those of frame {frame} go down to {image.min()}.")
        values, compact = np.unique(image, return_inverse=True)
        compact = compact.reshape(image.shape)
        changes: Changes = []
        found = []
        next_id = max(self._free_ids(1)[0], max(ids.values(), default=0) + 1)
        for number, (value, window) in enumerate(zip(values.tolist(), ndimage.find_objects(compact + 1), strict=True)):
            if value == 0:
                continue
            if value not in ids:
                ids[value], next_id = next_id, next_id + 1
                made = SessionObject.new(ids[value], name=names.get(value))
                changes.append((Key(OBJECT, made.id), made.document()))
            rows, columns = window
            found.append((value, MaskPixels.cut(compact[window] == number, (rows.start, columns.start))))
        if found:
            changes += self._reserve(ids.values())
        references = self._keep_pixels([pixels for _, pixels in found])
        for (value, pixels), reference in zip(found, references, strict=True):
            changes.append((Key(MASK, ids[value], frame), MaskRecord(reference, "import", pixels.area).document()))
        return changes


def _between(first: NDArray[np.bool_], last: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """A mask that lies `share` of the way from one to the other."""
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (first, last)]
    middle = centres[0] + share * (centres[1] - centres[0])
    distances = []
    for mask, centre in zip((first, last), centres, strict=True):
        signed = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
        distances.append(ndimage.shift(signed, middle - centre, order=1, mode="nearest"))
    return np.asarray((1 - share) * distances[0] + share * distances[1] > 0)
