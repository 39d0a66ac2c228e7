"""Masks as a person gives them (painted, erased, imported, interpolated, locked), and as the model finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.session.items import MaskRecord, SessionObject, SessionPrompt, Source
from sam2_core.session.journal import Key
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
        shape-based interpolation), after the masks' centres have been laid on each other. Locked frames stay.

        Returns
        -------
        list of int
            The frames that were filled.

        Raises
        ------
        StateError
            There is no such object, or no mask on one of the two frames.
        InvalidInputError
            Frames in the wrong order.
        """
        one, first, last = self.object(object_id), self.checked_frame(first), self.checked_frame(last)
        if first >= last:
            raise InvalidInputError(f"Interpolation goes from a frame to a later one; got {first} and {last}.")
        ends = []
        for frame in (first, last):
            record = self.record(object_id, frame)
            if record is None or not record.area:
                raise StateError(f"{one.name} has no mask on frame {frame} to interpolate from.")
            ends.append(self.mask(object_id, frame))
        frames = [
            frame
            for frame in range(first + 1, last)
            if not ((record := self.record(object_id, frame)) is not None and record.locked)
        ]
        masks = [MaskPixels.cut(_between(ends[0], ends[1], (frame - first) / (last - first))) for frame in frames]
        references = self._keep_pixels(masks)
        self._do(
            f"interpolate {one.name}",
            [
                (Key(MASK, object_id, frame), MaskRecord(reference, "edit", mask.area).document())
                for frame, mask, reference in zip(frames, masks, references, strict=True)
            ],
        )
        return frames

    @alone
    def answer(
        self,
        object_id: int,
        frame: int,
        prompt: SessionPrompt,
        mask: MaskPixels,
        predicted_iou: float | None,
        object_score: float | None,
    ) -> MaskRecord | None:
        """Take the mask that answers an object's prompt on a frame; part of the step that gave the prompt.

        Parameters
        ----------
        object_id, frame : int
        prompt : SessionPrompt
            What was answered.
        mask : MaskPixels
        predicted_iou, object_score : float, optional
            See :class:`~sam2_core.session.items.MaskRecord`.

        Returns
        -------
        MaskRecord or None
            None if the answer came too late: the object is gone, or something else is said of it on this frame now.
        """
        if not self.has_object(object_id) or self.prompt(object_id, frame) != prompt:
            return None
        (reference,) = self._keep_pixels([mask])
        record = MaskRecord(reference, "prompt", mask.area, predicted_iou=predicted_iou, object_score=object_score)
        label, done = self._journal.amend(
            Key(PROMPT, object_id, frame),
            "segment",
            [(Key(MASK, object_id, frame), record.document())],
            still=lambda document: document is not None and SessionPrompt.read(document) == prompt,
        )
        self._announce(label, done, found=True)
        return record if done else None

    @alone
    def add_found_objects(
        self,
        frame: int,
        masks: Sequence[tuple[MaskPixels, float | None, float | None]],
        *,
        label: str,
        most_overlap: float = 0.5,
    ) -> list[int]:
        """Make an object of every mask that was found on a frame, as one step; its mask is its prompt.

        Parameters
        ----------
        frame : int
        masks : sequence of (MaskPixels, float or None, float or None)
            Masks with the predicted IoU and the object score, if there are any.
        label : str
            Name of the step.
        most_overlap : float
            IoU with an object that is there already above which a mask is left out: it is that object.

        Returns
        -------
        list of int
            The new objects' ids.
        """
        frame = self.checked_frame(frame)
        known = [self.pixels(record.mask) for record in self.records_on(frame).values() if record.area]
        new = [one for one in masks if one[0].area and all(one[0].iou(other) <= most_overlap for other in known)]
        if not new:
            return []
        references = self._keep_pixels([mask for mask, _, _ in new])
        ids = self._free_ids(len(new))
        changes: Changes = [*self._reserve(ids)]
        for object_id, (mask, iou, score), reference in zip(ids, new, references, strict=True):
            made = SessionObject.new(object_id)
            record = MaskRecord(reference, "prompt", mask.area, predicted_iou=iou, object_score=score)
            changes.append((Key(OBJECT, object_id), made.document()))
            changes.append((Key(PROMPT, object_id, frame), SessionPrompt(mask=reference).document()))
            changes.append((Key(MASK, object_id, frame), record.document()))
        _, done = self._journal.do(label, changes)
        self._announce(label, done, found=True)
        return ids

    def begin_results(self, label: str) -> int:
        """Begin a step that takes results frame by frame; see :meth:`add_results`."""
        return self._journal.begin(label)

    @alone
    def add_results(
        self,
        step: int,
        frame: int,
        results: Mapping[int, tuple[MaskPixels, float | None, float | None]],
        source: Source,
    ) -> None:
        """Take masks of a frame into a step that is going on.

        Masks that are locked, painted or the answer to a prompt stay as they are, and so does all that was done after
        the step began; objects that are gone meanwhile stay gone.

        Parameters
        ----------
        step : int
            From :meth:`begin_results`.
        frame : int
        results : mapping of int to (MaskPixels, float or None, float or None)
            By object: mask, predicted IoU, object score.
        source : {"track", "import", "edit"}
        """
        kept = self.records_on(frame)
        there = {a for a, _ in self._journal.keys(OBJECT)}
        wanted = {
            one: found
            for one, found in results.items()
            if one in there and not (one in kept and (kept[one].locked or kept[one].source in ("paint", "prompt")))
        }
        references = self._keep_pixels([mask for mask, _, _ in wanted.values()])
        changes: Changes = [
            (
                Key(MASK, one, frame),
                MaskRecord(reference, source, mask.area, predicted_iou=iou, object_score=score).document(),
            )
            for (one, (mask, iou, score)), reference in zip(wanted.items(), references, strict=True)
        ]
        done = self._journal.extend(step, changes)
        self._announce("track", done, found=True)

    def finish_results(self, step: int) -> None:
        """End such a step; one without any result is forgotten."""
        self._journal.finish(step)

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
        step = self._journal.begin("import labels")
        ids: dict[int, int] = {}
        done = []
        try:
            for frame, image in labels.items() if isinstance(labels, Mapping) else labels:
                with self._journal.lock:
                    done += self._journal.extend(
                        step, self._imported(self.checked_frame(frame), np.asarray(image), ids, names or {})
                    )
            done += self._journal.extend(step, self._with_parents(ids, parents or {}))
        except BaseException:
            self._journal.finish(step)
            last = self._journal.next_undo()
            # if another thread has gone on meanwhile, what was imported stays, as a step that can be undone
            if last is not None and last.id == step:
                self._journal.undo()
            raise
        self._journal.finish(step)
        self._announce("import labels", done)
        return ids

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
