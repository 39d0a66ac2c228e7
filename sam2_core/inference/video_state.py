"""What the video predictor knows of one video: its frames, its objects, their prompts and what was found for them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import torch

from sam2_core.errors import InvalidTypeError, StateError
from sam2_core.inference.frame_features import FrameFeatures
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.memory_pool import MemoryPool
from sam2_core.inference.record_index import FrameFlags
from sam2_core.inference.record_journal import JournalEntry
from sam2_core.inference.record_store import EntryKind, RecordStore
from sam2_core.inference.tracked_object import TrackedObject
from sam2_core.inference.video_frames import PreparedFrames
from sam2_core.model.results import ImageFeatures

_TRACKED = struct.Struct("<IB")
_RUN_FRAME = struct.Struct("<8sI")


class VideoState:
    """A video being worked on, as :meth:`SAM2VideoPredictor.init_state` hands it out.

    Attributes are the way in. For code written against the official package its keys can be read too:
    ``state["num_frames"]``, ``"video_height"``, ``"video_width"``, ``"images"``, ``"obj_ids"``, ``"obj_id_to_idx"``,
    ``"obj_idx_to_id"``, ``"device"``, ``"storage_device"``, ``"offload_video_to_cpu"``, ``"offload_state_to_cpu"``,
    ``"point_inputs_per_obj"``, ``"mask_inputs_per_obj"``, ``"output_dict_per_obj"``, ``"frames_tracked_per_obj"``. They
    are views for reading: to change the state, call the predictor.

    Nothing here grows with the number of frames but an index of 30 bytes for each object and frame: what was found is
    in ``records``, on disk.

    Parameters
    ----------
    images : PreparedFrames
        The frames, read when needed.
    features : FrameFeatures
        Their image features: kept, or encoded when needed.
    device, storage_device : torch.device
        Where the model computes, and where memories are kept.
    memory_budget_bytes : int
        Size up to which mask memories are kept on the storage device; see
        :class:`~sam2_core.inference.memory_pool.MemoryPool`.
    records : RecordStore, optional
        Where records are; a temporary folder by default. What it already holds is taken up.
    fingerprint : dict, optional
        What records depend on: those of another model or video are refused.
    is_stream : bool
        Whether frames are still to come.

    Raises
    ------
    StateError
        The records belong to another video or model.
    """

    def __init__(
        self,
        images: PreparedFrames,
        features: FrameFeatures,
        *,
        device: torch.device,
        storage_device: torch.device,
        memory_budget_bytes: int,
        records: RecordStore | None = None,
        fingerprint: dict[str, Any] | None = None,
        is_stream: bool = False,
    ) -> None:
        self.images = images
        self.features = features
        self.device = device
        self.storage_device = storage_device
        self.records = records or RecordStore(None, device=storage_device)
        self.memories = MemoryPool(memory_budget_bytes, storage_device)
        self.objects: OrderedDict[Hashable, TrackedObject] = OrderedDict()
        self.memory_position: torch.Tensor | None = None
        self._opened: tuple[ImageFeatures, ImageFeatures] | None = None
        self.is_stream = is_stream
        self._next_number = 0
        self._runs: dict[bytes, tuple[frozenset[int], int | None]] = {}
        self._take_up(fingerprint or {})

    @property
    def num_frames(self) -> int:
        """Number of frames; of a stream, those that came so far."""
        return len(self.images)

    @property
    def video_height(self) -> int:
        """Height of the frames in pixels."""
        return self.images.frame_size[0]

    @property
    def video_width(self) -> int:
        """Width of the frames in pixels."""
        return self.images.frame_size[1]

    @property
    def obj_ids(self) -> list[Hashable]:
        """The object ids, in the order in which they came."""
        return list(self.objects)

    @property
    def obj_id_to_idx(self) -> dict[Hashable, int]:
        """Position of each object id in the results."""
        return {object_id: position for position, object_id in enumerate(self.objects)}

    @property
    def obj_idx_to_id(self) -> dict[int, Hashable]:
        """Object id at each position in the results."""
        return dict(enumerate(self.objects))

    def __getitem__(self, key: str) -> Any:
        try:
            read = _OFFICIAL_KEYS[key]
        except KeyError:
            raise KeyError(f"{key!r}; the state has {', '.join(_OFFICIAL_KEYS)}") from None
        return read(self)

    def __contains__(self, key: object) -> bool:
        return key in _OFFICIAL_KEYS

    def __iter__(self) -> Iterator[str]:
        return iter(_OFFICIAL_KEYS)

    def keys(self) -> list[str]:
        """The official keys that can be read."""
        return list(_OFFICIAL_KEYS)

    # -- objects -------------------------------------------------------------------------------------------------------

    def existing_object(self, object_id: Hashable) -> TrackedObject:
        """Return an object.

        Raises
        ------
        StateError
            There is none of that id.
        """
        try:
            return self.objects[object_id]
        except KeyError:
            known = ", ".join(repr(known_id) for known_id in self.objects) or "none yet"
            raise StateError(f"There is no object {object_id!r} in this video. Its objects: {known}.") from None

    def new_object(self, object_id: Hashable) -> TrackedObject:
        """Make an object, to be added once its first prompt was answered.

        Raises
        ------
        InvalidTypeError
            The id is neither text nor an integer, and the records are to be opened again later.
        """
        if not self.records.is_temporary and not isinstance(object_id, str | int):
            raise InvalidTypeError(
                f"An object id that is kept on disk is an integer or text; got {object_id!r} of type "
                f"{type(object_id).__name__}."
            )
        return TrackedObject(object_id, self._next_number, self.records)

    def add(self, tracked: TrackedObject) -> None:
        """Add an object, if it is not there yet."""
        if self.objects.get(tracked.object_id) is tracked:
            return
        self.objects[tracked.object_id] = tracked
        self._next_number = max(self._next_number, tracked.number + 1)
        object_id = tracked.object_id
        known = object_id if isinstance(object_id, str | int) else repr(object_id)
        self.records.stage_json(EntryKind.OBJECT, {"number": tracked.number, "id": known})

    def remove(self, object_id: Hashable) -> None:
        """Remove an object with everything found for it."""
        tracked = self.objects.pop(object_id)
        self.memories.forget(tracked.number)
        self.forget_runs(tracked)
        self.records.stage_json(EntryKind.REMOVED, {"number": tracked.number})

    def forget_objects(self) -> None:
        """Remove all objects with everything found for them; the frames and their features stay."""
        for object_id in self.obj_ids:
            self.remove(object_id)
        self.records.flush()

    def mark_tracked(self, objects: Sequence[TrackedObject], frame_index: int, reverse: bool) -> None:
        """Note that propagation went over a frame."""
        for tracked in objects:
            tracked.mark_tracked(frame_index, reverse)
        numbers = struct.pack(f"<{len(objects)}I", *(tracked.number for tracked in objects))
        self.records.stage(EntryKind.TRACKED, _TRACKED.pack(frame_index, reverse) + numbers)

    # -- runs that can be continued ------------------------------------------------------------------------------------

    def begin_run(self, objects: Sequence[TrackedObject], description: dict[str, Any]) -> tuple[bytes, int | None]:
        """Begin a propagation, or find the one of the same description.

        Returns
        -------
        key : bytes
            For :meth:`finish_frame`.
        last_frame : int or None
            The last frame that was completed earlier.
        """
        numbers = [tracked.number for tracked in objects]
        document = json.dumps(description | {"numbers": numbers}, sort_keys=True)
        key = hashlib.sha256(document.encode()).digest()[:8]
        if key not in self._runs:
            self._runs[key] = (frozenset(numbers), None)
            self.records.stage(EntryKind.RUN, key + struct.pack(f"<{len(numbers)}I", *numbers))
        return key, self._runs[key][1]

    def finish_frame(self, key: bytes, frame_index: int) -> None:
        """Note that a propagation completed a frame."""
        if key in self._runs:
            self._runs[key] = (self._runs[key][0], frame_index)
            self.records.stage(EntryKind.RUN_FRAME, _RUN_FRAME.pack(key, frame_index))

    def forget_runs(self, tracked: TrackedObject) -> None:
        """Note that an object's prompts changed: propagations over it have to begin anew."""
        self._runs = {key: run for key, run in self._runs.items() if tracked.number not in run[0]}

    # -- records and memories ------------------------------------------------------------------------------------------

    def opened(self, features: ImageFeatures, open_features: Callable[[ImageFeatures], ImageFeatures]) -> ImageFeatures:
        """Return what ``open_features`` makes of a frame's features, computed once for all objects of the frame."""
        if self._opened is None or self._opened[0] is not features:
            self._opened = features, open_features(features)
        return self._opened[1]

    def forget_memories(self) -> None:
        """Let go of all mask memories and records held in memory; they are made from the records on disk again."""
        self._opened = None
        self.memories.clear()
        self.records.forget_cached()

    def _take_up(self, fingerprint: dict[str, Any]) -> None:
        """Apply the journal of the records, or begin it."""
        numbered: dict[int, TrackedObject] = {}
        meta = None
        self.records.is_replaying = True
        try:
            for entry in self.records.entries():
                if entry.kind == EntryKind.META:
                    meta = json.loads(entry.payload)
                    self.records.check_format(fingerprint, meta)
                else:
                    self._replay(entry, numbered)
        except BaseException:
            self.records.close()
            raise
        finally:
            self.records.is_replaying = False
        if meta is None:
            self.records.stage_meta(fingerprint)
            self.records.flush()

    def _replay(self, entry: JournalEntry, numbered: dict[int, TrackedObject]) -> None:
        kind, payload = entry.kind, entry.payload
        if kind == EntryKind.OBJECT:
            document = json.loads(payload)
            tracked = numbered[document["number"]] = TrackedObject(document["id"], document["number"], self.records)
            self.add(tracked)
        elif kind == EntryKind.REMOVED:
            self.remove(numbered.pop(json.loads(payload)["number"]).object_id)
        elif kind == EntryKind.TRACKED:
            frame, reverse = _TRACKED.unpack_from(payload)
            count = (len(payload) - _TRACKED.size) // 4
            for number in struct.unpack_from(f"<{count}I", payload, _TRACKED.size):
                if number in numbered:
                    numbered[number].mark_tracked(frame, bool(reverse))
        elif kind == EntryKind.RUN:
            numbers = struct.unpack_from(f"<{(len(payload) - 8) // 4}I", payload, 8)
            self._runs[payload[:8]] = (frozenset(numbers), None)
        elif kind == EntryKind.RUN_FRAME:
            self.finish_frame(*_RUN_FRAME.unpack(payload))
        elif kind == EntryKind.RECORD:
            number, frame, place, ref = self.records.parse_record(entry)
            if number in numbered:
                numbered[number].replay_record(frame, ref, place)
        else:
            number, frame = struct.unpack_from("<II", payload)
            tracked = numbered[number]
            tracked.replay(kind, frame, payload)
            if kind in (EntryKind.POINTS, EntryKind.MASK, EntryKind.PROMPTS_CLEARED):
                self.forget_runs(tracked)

    def forget_before(self, frame_index: int) -> None:
        """Let go of what is known of frames before one, but for those that are prompted, locked or conditioning."""
        for tracked in self.objects.values():
            kept = {*tracked.prompted_frames(), *tracked.conditioning_frames(), *tracked.pending}
            kept.update(tracked.index.frames(FrameFlags.LOCKED))
            tracked.index.forget_before(frame_index, frozenset(kept))

    def close(self, *, keep_frames_open: bool = False) -> None:
        """Let go of memories, features and the source of the frames, and close the records.

        Records in a folder that was named stay there, and can be opened again; those in a temporary folder are removed.

        Parameters
        ----------
        keep_frames_open : bool
            Leave the source of the frames to whoever opened it.
        """
        self._opened = None
        self.memories.clear()
        self.records.close()
        self.objects.clear()
        self.features.close()
        if keep_frames_open:
            self.images.stop_reading_ahead()
        else:
            self.images.close()


def _official_record(state: VideoState, tracked: TrackedObject, frame: int, record: FrameRecord) -> dict[str, Any]:
    memory = state.memories.get(tracked.number, frame)
    if memory is not None and state.memory_position is not None:
        memory = memory.t().reshape(1, -1, *state.memory_position.shape[-2:])
    return {
        "pred_masks": record.shown_logits,
        "obj_ptr": record.object_pointer,
        "object_score_logits": record.object_score_logits,
        "maskmem_features": memory,
    }


class _OfficialOutputs:
    """One object's records of one kind, as the official state holds them: read when asked for."""

    def __init__(self, state: VideoState, tracked: TrackedObject, kind: str) -> None:
        self._state, self._tracked, self._records = state, tracked, getattr(tracked, kind)

    def __getitem__(self, frame: int) -> dict[str, Any]:
        return _official_record(self._state, self._tracked, frame, self._records[frame])

    def __contains__(self, frame: object) -> bool:
        return frame in self._records

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def keys(self) -> list[int]:
        """The frames."""
        return list(self._records)

    def items(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Frames and outputs."""
        return ((frame, self[frame]) for frame in self._records)


def _official_outputs(state: VideoState, tracked: TrackedObject) -> dict[str, _OfficialOutputs]:
    return {
        "cond_frame_outputs": _OfficialOutputs(state, tracked, "conditioning"),
        "non_cond_frame_outputs": _OfficialOutputs(state, tracked, "recent"),
    }


def _per_object(read: Callable[[VideoState, TrackedObject], Any]) -> Callable[[VideoState], dict[int, Any]]:
    return lambda state: {position: read(state, tracked) for position, tracked in enumerate(state.objects.values())}


def _official_points(state: VideoState, tracked: TrackedObject) -> dict[int, dict[str, torch.Tensor]]:
    return {
        frame: {"point_coords": prompt.coords, "point_labels": prompt.labels}
        for frame, prompt in tracked.point_prompts.items()
    }


_OFFICIAL_KEYS: dict[str, Callable[[VideoState], Any]] = {
    "images": lambda state: state.images,
    "num_frames": lambda state: state.num_frames,
    "offload_video_to_cpu": lambda state: state.images.device.type == "cpu",
    "offload_state_to_cpu": lambda state: state.storage_device.type == "cpu",
    "video_height": lambda state: state.video_height,
    "video_width": lambda state: state.video_width,
    "device": lambda state: state.device,
    "storage_device": lambda state: state.storage_device,
    "obj_ids": lambda state: state.obj_ids,
    "obj_id_to_idx": lambda state: state.obj_id_to_idx,
    "obj_idx_to_id": lambda state: state.obj_idx_to_id,
    "point_inputs_per_obj": _per_object(_official_points),
    "mask_inputs_per_obj": _per_object(lambda state, tracked: dict(tracked.mask_prompts)),
    "output_dict_per_obj": _per_object(_official_outputs),
    "frames_tracked_per_obj": _per_object(
        lambda state, tracked: {frame: {"reverse": reverse} for frame, reverse in tracked.tracked.items()}
    ),
}
