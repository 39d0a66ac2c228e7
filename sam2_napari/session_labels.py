"""The labels of a session as an array that a Labels layer shows: computed where looked at, never held as a whole."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_napari.frame_placement import FramePlacement

if TYPE_CHECKING:
    from sam2_core.session.items import Change

KEPT_BYTES: Final = 128 * 2**20

Labels = NDArray[np.int32]


class HasLabels(Protocol):
    """What has labels frame by frame, as a session does."""

    def labels(self, frame: int, /) -> Labels:
        """Labels (y, x) of a frame, which the caller may write to."""


class SessionLabels:
    """An array over the labels of a session, in the dimensions of the image's layer.

    What is painted into it by a layer's own brush is kept aside until :meth:`take_painted` hands it over. Reading may
    come from any thread, and after the end too: a viewer that slices beside the interface comes late.

    Parameters
    ----------
    session : HasLabels
        An AnnotationSession, for one.
    placement : FramePlacement
        Where the session's frames are; elsewhere there is background.
    kept_bytes : int
        Size of the frames that are kept ready.
    """

    dtype: Final = np.dtype(np.int32)

    def __init__(self, session: HasLabels, placement: FramePlacement, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._session = session
        self._placement = placement
        height, width = placement.frame_size
        self._most = max(2, kept_bytes // (4 * height * width))
        self._frames: OrderedDict[int, Labels] = OrderedDict()
        self._before_painting: dict[int, Labels] = {}
        self._changes: Counter[int] = Counter()  # of each frame
        self._forgotten = 0  # how often all of them
        self._is_closed = False
        self._lock = threading.RLock()

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions of the image's layer."""
        return self._placement.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(np.prod([int(one) for one in self.shape], dtype=object))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[(slice(None),) * self.ndim]
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        keys = self._normalised(key)
        if any(isinstance(one, np.ndarray) for one in keys):
            return self._at_points(keys)
        wanted = [
            range(size)[one] if isinstance(one, slice) else one for one, size in zip(keys, self.shape, strict=True)
        ]
        ranges = [one if isinstance(one, range) else range(one, one + 1) for one in wanted]
        found = np.zeros([len(one) for one in ranges], np.int32)
        for places, frame in self._frames_within(ranges):
            found[places] = self._part(frame, ranges)
        return found[tuple(slice(None) if isinstance(one, slice) else 0 for one in keys)]

    def __setitem__(self, key: Any, value: Any) -> None:
        keys = self._normalised(key)
        with self._lock:
            if any(isinstance(one, np.ndarray) for one in keys):
                self._paint_points(keys, value)
                return
            ranges = self._ranges(keys)
            shape = [len(one) for one, given in zip(ranges, keys, strict=True) if isinstance(given, slice)]
            values = np.broadcast_to(np.asarray(value, np.int32), shape).reshape([len(one) for one in ranges])
            for places, frame in self._frames_within(ranges):
                plane = self._painted(frame)
                rows, columns = (ranges[number] for number in self._placement.plane_dimensions)
                part = values[places]
                # dimensions of the layer may come in another order than a frame's rows and columns
                plane[_slice(rows), _slice(columns)] = part if self._is_in_order else part.T

    def update(self, change: Change) -> None:
        """Bring the frames that are kept up to date; called in the thread that made the change."""
        for frame, (x0, y0, x1, y1) in change.boxes.items():
            with self._lock:
                self._changes[frame] += 1
                is_kept = frame in self._frames and frame not in self._before_painting
            if not is_kept:
                continue
            fresh = self._session.labels(frame)
            with self._lock:
                kept = self._frames.get(frame)
                if kept is not None and frame not in self._before_painting:
                    kept[y0:y1, x0:x1] = fresh[y0:y1, x0:x1]

    def forget(self) -> None:
        """Compute everything anew when it is looked at again, but for what was painted and not taken yet."""
        with self._lock:
            self._forgotten += 1
            self._frames = OrderedDict((one, self._frames[one]) for one in self._frames if one in self._before_painting)

    def close(self) -> None:
        """Ask the session for nothing any more: what is kept stays, and elsewhere there is background."""
        self._is_closed = True

    def take_painted(self) -> list[tuple[int, Labels, Labels]]:
        """Hand over what was painted: frame, labels before, labels after."""
        with self._lock:
            taken = [(frame, before, self._frames[frame].copy()) for frame, before in self._before_painting.items()]
            self._before_painting.clear()
        return taken

    def frame(self, frame: int) -> Labels:
        """Labels (y, x) of a frame; a part of what is kept, not to be written to."""
        while True:
            with self._lock:
                kept = self._frames.get(frame)
                if kept is not None:
                    self._frames.move_to_end(frame)
                    return kept
                seen = self._changes[frame], self._forgotten
            fresh = self._fresh(frame)
            with self._lock:
                if (self._changes[frame], self._forgotten) != seen:
                    # it changed while it was read: what was read may be older
                    continue
                self._frames.setdefault(frame, fresh)
                for old in list(self._frames):
                    if len(self._frames) <= self._most:
                        break
                    if old not in self._before_painting and old != frame:
                        del self._frames[old]
                return self._frames[frame]

    def _fresh(self, frame: int) -> Labels:
        """What the session has, as long as it is there."""
        if not self._is_closed:
            try:
                return self._session.labels(frame)
            except Exception:
                # it may have been closed meanwhile
                if not self._is_closed:
                    raise
        return np.zeros(self._placement.frame_size, np.int32)

    @property
    def _is_in_order(self) -> bool:
        rows, columns = self._placement.plane_dimensions
        return rows < columns

    def _normalised(self, key: Any) -> list[Any]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [one for one in keys if not isinstance(one, np.ndarray)]:
            place = next(number for number, one in enumerate(keys) if one is Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        if len(keys) != self.ndim:
            raise IndexError(f"These labels have {self.ndim} dimensions; got {len(keys)} indices.")
        return [self._normalised_one(one, size) for one, size in zip(keys, self.shape, strict=True)]

    @staticmethod
    def _normalised_one(one: Any, size: int) -> Any:
        if isinstance(one, slice):
            return one
        if np.ndim(one):
            return np.asarray(one)
        number = int(one) + (size if one < 0 else 0)
        if not 0 <= number < size:
            raise IndexError(f"There is no index {one} in a dimension of size {size}.")
        return number

    def _ranges(self, keys: list[Any]) -> list[range]:
        return [
            range(size)[one] if isinstance(one, slice) else range(one, one + 1)
            for one, size in zip(keys, self.shape, strict=True)
        ]

    def _frames_within(self, ranges: list[range]) -> Iterator[tuple[Any, int]]:
        """The frames in a region, each with its place (an index into the region's array)."""
        axes = self._placement.axes
        places: list[Any] = [slice(None)] * self.ndim
        for letter, value in self._placement.at.items():
            number = axes.index(letter)
            if value not in ranges[number]:
                return
            places[number] = ranges[number].index(value)
        # objects are the same in all channels
        channels = range(len(ranges[axes.index("c")]) if "c" in axes else 1)
        along = [axes.index(letter) for letter in self._placement.along]
        for channel in channels:
            if "c" in axes:
                places[axes.index("c")] = channel
            for each in product(*(enumerate(ranges[number]) for number in along)):
                for number, (place, _) in zip(along, each, strict=True):
                    places[number] = place
                yield tuple(places), self._placement.numbers([index for _, index in each])

    def _part(self, frame: int, ranges: list[range]) -> Labels:
        rows, columns = (ranges[number] for number in self._placement.plane_dimensions)
        part = self.frame(frame)[_slice(rows), _slice(columns)]
        return part if self._is_in_order else part.T

    def _at_points(self, keys: list[Any]) -> NDArray[np.int32]:
        found, places = self._points(keys)
        for frame, chosen, rows, columns in places:
            found[chosen] = self.frame(frame)[rows, columns]
        return found

    def _paint_points(self, keys: list[Any], value: Any) -> None:
        found, places = self._points(keys)
        values = np.broadcast_to(np.asarray(value, np.int32), found.shape)
        for frame, chosen, rows, columns in places:
            self._painted(frame)[rows, columns] = values[chosen]

    def _points(self, keys: list[Any]) -> tuple[NDArray[np.int32], list[tuple[int, Any, Any, Any]]]:
        if any(isinstance(one, slice) for one in keys):
            raise IndexError("Index these labels with numbers and slices, or with an array for every dimension.")
        indices = np.broadcast_arrays(*keys)
        found = np.zeros(indices[0].shape, np.int32)
        axes = self._placement.axes
        inside = np.ones(found.shape, bool)
        for letter, value in self._placement.at.items():
            inside &= indices[axes.index(letter)] == value
        along = [indices[axes.index(letter)] for letter in self._placement.along]
        numbers = np.broadcast_to(self._placement.numbers(along), found.shape)
        rows, columns = (indices[number] for number in self._placement.plane_dimensions)
        places = []
        for frame in np.unique(numbers[inside]).tolist():
            chosen = inside & (numbers == frame)
            places.append((frame, chosen, rows[chosen], columns[chosen]))
        return found, places

    def _painted(self, frame: int) -> Labels:
        """The plane to paint into; what it was before is remembered."""
        plane = self.frame(frame)
        self._before_painting.setdefault(frame, plane.copy())
        return plane


def _slice(numbers: range) -> slice:
    """The slice that gives these indices; one that goes down to the first index has no end."""
    return slice(numbers.start, None if numbers.stop < 0 else numbers.stop, numbers.step)
