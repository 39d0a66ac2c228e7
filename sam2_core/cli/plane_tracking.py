"""Tracking through parts of the plane: tiles where it is large, or a crop around each object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.plane_labels import SparseLabels, bands
from sam2_core.cli.prompts import MaskCrop, ObjectPrompts
from sam2_core.cli.segmentation import prompt_plane
from sam2_core.cli.track_plan import Stretch
from sam2_core.cli.tracking import TrackRules, probability
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels import LabelWriter

if TYPE_CHECKING:
    from sam2_core.inference.object_crop_tracker import CropTracker
    from sam2_core.inference.tile_masks import ObjectMask
    from sam2_core.inference.tile_tracker import TiledTracker
    from sam2_core.volumes.embedding_store import EmbeddingStore


@dataclass
class PlaneTracking:
    """Objects on their way through a stack whose planes are looked at in parts.

    What the records already hold, from an earlier process that was stopped or killed, is not computed again.

    Attributes
    ----------
    tracker : TiledTracker or CropTracker
    stack : FrameStack
    objects : sequence of ObjectPrompts
    rules : TrackRules
    labels : LabelWriter
        Filled.
    table : ObjectTable
        Gets the scores.
    should_stop : callable
        Asked between steps.
    records : Path, optional
        Folder for what is found, to go on from; a temporary one by default.
    store : EmbeddingStore, optional
        Where image features are looked for and kept.
    """

    tracker: TiledTracker | CropTracker
    stack: FrameStack
    objects: Sequence[ObjectPrompts]
    rules: TrackRules
    labels: LabelWriter
    table: ObjectTable
    should_stop: Callable[[], bool] = field(default=lambda: False)
    records: Path | None = None
    store: EmbeddingStore | None = None

    def __post_init__(self) -> None:
        # windows hold what is in memory, whatever the number of objects: all go together
        firsts = [(one.object_id, one.first_frame) for one in self.objects]
        self.stretches = TrackRules(self.rules.reach, self.rules.direction, group_size=len(firsts)).plan(firsts)

    def __len__(self) -> int:
        return sum(stretch.count for stretch in self.stretches)

    def run(self) -> Iterator[int]:
        """Track, write, and hand out the number of each frame done, until the end or until somebody wishes to stop."""
        tracker: Any = self.tracker
        states: dict[bool, Any] = {}
        try:
            for reverse, name in ((False, "forward"), (True, "backward")):
                folder = None if self.records is None else self.records / name
                states[reverse] = tracker.init_state(self.stack, records=folder, embedding_store=self.store)
            for stretch in self.stretches:
                self._prompt(states[stretch.reverse], stretch)
                if self.should_stop():
                    return
                for found in tracker.propagate(
                    states[stretch.reverse],
                    stretch.start,
                    stretch.count,
                    reverse=stretch.reverse,
                    objects=stretch.object_ids,
                    stop_when_empty=self.rules.stop_when_empty,
                    resume=True,
                    should_stop=self.should_stop,
                ):
                    masks = {one.object_id: one for one in found.objects}
                    for state in states.values():
                        for one in tracker.masks_on_frame(state, found.frame_index).objects if state.objects else ():
                            masks.setdefault(one.object_id, one)
                    self._write(found.frame_index, list(masks.values()))
                    yield found.frame_index
        finally:
            for state in states.values():
                state.close()

    def _prompt(self, state: Any, stretch: Stretch) -> None:
        """Add those who join at this stretch."""
        for one in self.objects:
            if one.object_id not in stretch.object_ids:
                continue
            known = state.objects.get(one.object_id)
            prompted = () if known is None else known.prompted_frames()
            for frame, prompt in sorted(one.frames.items()):
                if self.should_stop():
                    return
                if frame not in prompted:
                    prompt_plane(self.tracker, state, frame, one.object_id, prompt)

    def _write(self, index: int, found: Sequence[ObjectMask]) -> None:
        ids = [int(str(one.object_id)) for one in found]
        scores = [probability(one.object_score) for one in found]
        self.table.score(index, ids, [one.predicted_iou for one in found], scores)
        height, _ = self.stack.frame_size
        masks = [
            (object_id, MaskCrop.of(one.mask, one.window.top, one.window.left, self.stack.frame_size))
            for object_id, one in self._bottom_first(ids, found)
            if one.mask.any()
        ]
        labels = SparseLabels(self.stack.frame_size, (), masks).filtered(self.rules.filters)
        for top, bottom in bands(self.stack.frame_size):
            self.labels.write_window(index, labels.rows(top, bottom), top, 0, complete=bottom == height)

    def _bottom_first(self, ids: Sequence[int], found: Sequence[ObjectMask]) -> list[tuple[int, ObjectMask]]:
        pairs = list(zip(ids, found, strict=True))
        if self.rules.priority == "surest":
            return sorted(pairs, key=lambda pair: pair[1].predicted_iou)
        return sorted(pairs, key=lambda pair: pair[0], reverse=self.rules.priority == "lower id")
