"""The objects of a time-lapse as a Tracks layer, with their divisions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_napari.gui_thread import Gathered
from sam2_napari.label_layer import like
from sam2_napari.layer_removal import remove_layers

if TYPE_CHECKING:
    from napari.layers import Layer, Tracks

    from sam2_core.session.items import Change
    from sam2_napari.annotation import Annotation

#: Milliseconds between two looks at the tracks.
TRACKS_MS: Final = 1000

Track = NDArray[np.float64]


class Lineage:
    """Keeps a Tracks layer in step with a session along t; the middle of a mask's box is where an object is.

    A volume, in a session along t and z, is in the middle of its slices, by their areas.

    Parameters
    ----------
    annotation : Annotation
    image : Layer
    """

    def __init__(self, annotation: Annotation, image: Layer) -> None:
        self._annotation, self._image = annotation, image
        self._tracks: dict[int, Track] = {}
        self._outdated: set[int] = set()
        self._lock = threading.Lock()
        self.layer: Tracks | None = None
        # napari has time first in tracks
        self.is_on = "t" in annotation.placement.along and annotation.placement.axes[0] == "t"
        if self.is_on:
            self._soon = Gathered(annotation.gui, self._read, TRACKS_MS)
            annotation.session.changed.connect(self._note)
            annotation.closed.connect(self._let_go)
            self._soon.ask()

    def _note(self, change: Change) -> None:
        if change.what & {"mask", "object"}:
            with self._lock:
                self._outdated |= change.objects
            self._soon.ask()

    def _read(self) -> None:
        self._annotation.work.do(self._computed, then=self._show)

    def _computed(self) -> tuple[list[Track], dict[int, list[int]]]:
        """All tracks (vertex, [id, t, …, y, x]), and the parents of each object that has any."""
        session, placement = self._annotation.session, self._annotation.placement
        # what changes while it is read stays outdated for the next time
        with self._lock:
            outdated, self._outdated = self._outdated, set()
        for object_id in outdated:
            self._tracks.pop(object_id, None)
        tracks, graph = [], {}
        for one in session.objects:
            track = self._tracks.get(one.id)
            if track is None:
                records = {frame: record for frame, record in session.records(one.id).items() if record.area}
                boxes = np.array([record.mask.box for record in records.values()], float).reshape(-1, 4)
                middles = (boxes[:, :2] + boxes[:, 2:] - 1) / 2
                places = [placement.positions(frame, middle) for frame, middle in zip(records, middles, strict=True)]
                positions = np.concatenate([np.zeros((0, len(placement.axes))), *places])
                if len(placement.along) > 1:
                    positions = _middles(positions, np.array([record.area for record in records.values()], float))
                track = np.column_stack([np.full(len(positions), one.id), positions])
                self._tracks[one.id] = track
            tracks.append(track)
            if one.parents:
                graph[one.id] = list(one.parents)
        shown = [track for track in tracks if len(track)]
        known = {int(track[0, 0]) for track in shown}
        linked = {
            child: [parent for parent in parents if parent in known]
            for child, parents in graph.items()
            if child in known and not known.isdisjoint(parents)
        }
        return shown, linked

    def _show(self, found: tuple[list[Track], dict[int, list[int]]]) -> None:
        from napari.layers import Tracks

        tracks, graph = found
        viewer = self._annotation.viewer
        if not tracks:
            if self.layer is not None:
                remove_layers(viewer, [self.layer])
            self.layer = None
            return
        data = np.concatenate(tracks)
        if self.layer is None or self.layer not in viewer.layers:
            active = viewer.layers.selection.active
            made: Any = Tracks(data, graph=graph, name=f"{self._image.name} tracks", **like(self._image))
            self.layer = made
            viewer.add_layer(made)
            # it must not take the mouse from the tool in use
            viewer.layers.selection.active = active
            return
        self.layer.graph = {}
        self.layer.data = data
        self.layer.graph = graph

    def _let_go(self, _: str = "") -> None:
        self._annotation.session.changed.disconnect(self._note, missing_ok=True)
        if self.layer is not None:
            remove_layers(self._annotation.viewer, [self.layer])


def _middles(positions: NDArray[np.float64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """One position for each time, the first of the coordinates: the mean of those at that time, by their areas."""
    found = [
        np.average(positions[here], axis=0, weights=areas[here])
        for here in (positions[:, 0] == time for time in np.unique(positions[:, 0]))
    ]
    return np.array(found).reshape(-1, positions.shape[1])
