"""How far masks are from what another propagator finds, kept beside them."""

from __future__ import annotations

from collections.abc import Mapping

from sam2_core.session.items import MaskRecord
from sam2_core.session.journal import Document, Key
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.session_state import DISAGREEMENT, Changes, SessionState, alone


class MaskComparing(SessionState):
    """The part of :class:`AnnotationSession` that knows where propagators disagree."""

    @alone
    def add_disagreements(self, step: int, frame: int, found: Mapping[int, MaskPixels]) -> None:
        """Note how far an object's mask is from another one, into a step that is going on.

        Parameters
        ----------
        step : int
            From :meth:`begin_results`.
        frame : int
        found : mapping of int to MaskPixels
            By object. Masks that a person has made or locked are what propagators begin with, and are left out.
        """
        records = self.records_on(frame)
        changes: Changes = []
        for one, mask in found.items():
            record = records.get(one)
            if record is not None and not record.is_trusted:
                # which mask it was: the score is void once it is another
                document = {"score": self._disagreement(record, mask), "pixels": record.mask.pixels}
                changes.append((Key(DISAGREEMENT, one, frame), document))
        self._announce("compare", self._journal.extend(step, changes), found=True)

    def disagreements(self, object_id: int) -> dict[int, float]:
        """How far an object's masks are from what was compared with them: 1 - IoU, by frame; see `start_compare`."""
        found = self._journal.items(DISAGREEMENT, a=self._checked_id(object_id))
        records = self.records(object_id) if found else {}
        return {key.b: document["score"] for key, document in found if _holds(document, records.get(key.b))}

    def disagreements_on(self, frame: int) -> dict[int, float]:
        """The same for all objects on a frame, by object."""
        found = self._journal.items(DISAGREEMENT, b=self.checked_frame(frame))
        records = self.records_on(frame) if found else {}
        return {key.a: document["score"] for key, document in found if _holds(document, records.get(key.a))}

    def _disagreement(self, record: MaskRecord, mask: MaskPixels) -> float:
        if not record.area and not mask.area:
            return 0.0
        return round(1.0 - self.pixels(record.mask).iou(mask), 4)


def _holds(document: Document, record: MaskRecord | None) -> bool:
    """Whether a score is still about the mask that is there."""
    return record is not None and record.mask.pixels == document["pixels"]
