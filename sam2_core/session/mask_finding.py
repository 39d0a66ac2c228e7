"""Masks as the model finds them: answers to prompts, everything on a frame, results that come frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sam2_core.session.items import MaskRecord, SessionObject, SessionPrompt, Source
from sam2_core.session.journal import Key
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.object_editing import ObjectEditing
from sam2_core.session.session_state import MASK, OBJECT, PROMPT, Changes, alone

if TYPE_CHECKING:
    from sam2_core.session.frame_candidates import FrameCandidates


class MaskFinding(ObjectEditing):
    """The part of :class:`AnnotationSession` that takes what the model found."""

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
        replaces: Iterable[int] = (),
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
        replaces : iterable of int
            Objects of an earlier choice among the same masks: those whose mask is not among these any more go, unless
            something was done with them since.

        Returns
        -------
        list of int
            The objects' ids: of `replaces` those that stand for one of these masks, then the new ones.
        """
        frame = self.checked_frame(frame)
        there = {one: self.pixels(record.mask) for one, record in self.records_on(frame).items() if record.area}
        found = {one: there[one] for one in replaces if one in there and self._is_as_found(one, frame)}
        staying = [one for one, mask in found.items() if any(mask.same_as(other) for other, _, _ in masks)]
        gone = [one for one in found if one not in staying]
        others = [mask for one, mask in there.items() if one not in found]
        new = [
            (mask, iou, score)
            for mask, iou, score in masks
            if mask.area
            and all(mask.iou(one) <= most_overlap for one in others)
            and not any(mask.same_as(found[one]) for one in staying)
        ]
        changes = self._without(gone)
        if not new and not gone:
            return staying
        references = self._keep_pixels([mask for mask, _, _ in new])
        ids = self._free_ids(len(new))
        changes += self._reserve(ids) if ids else []
        for object_id, (mask, iou, score), reference in zip(ids, new, references, strict=True):
            made = SessionObject.new(object_id)
            record = MaskRecord(reference, "prompt", mask.area, predicted_iou=iou, object_score=score)
            changes.append((Key(OBJECT, object_id), made.document()))
            changes.append((Key(PROMPT, object_id, frame), SessionPrompt(mask=reference).document()))
            changes.append((Key(MASK, object_id, frame), record.document()))
        _, done = self._journal.do(label, changes)
        self._announce(label, done, found=True)
        return [*staying, *ids]

    def add_candidates(
        self,
        candidates: FrameCandidates,
        *,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        replaces: Iterable[int] = (),
    ) -> list[int]:
        """Make objects of the candidates that pass thresholds, as one step; the network is not asked again.

        Parameters
        ----------
        candidates : FrameCandidates
            The result of :meth:`AnnotationSession.start_candidates`.
        pred_iou_thresh, stability_score_thresh : float, optional
            Those that the candidates were found with by default; not below.
        replaces : iterable of int
            What this returned for earlier thresholds: objects that do not pass any more go, unless something was done
            with them since.

        Returns
        -------
        list of int
            The objects' ids. Each has its mask as prompt, so that it can be propagated. Candidates that are an object
            already that is not in `replaces` are left out.

        Raises
        ------
        InvalidInputError
            A threshold below that of the candidates.
        """
        chosen = candidates.choose(pred_iou_thresh, stability_score_thresh)
        masks = [
            (candidates.mask(one), float(candidates.predicted_ious[one]), float(candidates.object_scores[one]))
            for one in chosen
        ]
        label = f"segment everything on frame {candidates.frame}"
        return self.add_found_objects(candidates.frame, masks, label=label, replaces=replaces)

    def _is_as_found(self, object_id: int, frame: int) -> bool:
        """Whether an object is still what was found on a frame, and nothing else was said or made of it."""
        if not self.has_object(object_id) or self.masked_frames(object_id) != [frame]:
            return False
        record, prompt = self.record(object_id, frame), self.prompt(object_id, frame)
        return (
            record is not None
            and not record.locked
            and prompt == SessionPrompt(mask=record.mask)
            and self.prompted_frames(object_id) == [frame]
            and self.object(object_id) == SessionObject.new(object_id)
        )

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
            one: found for one, found in results.items() if one in there and not (one in kept and kept[one].is_trusted)
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
