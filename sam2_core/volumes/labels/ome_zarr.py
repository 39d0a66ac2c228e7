"""Label images in OME-Zarr: in the image's own store or a new one, readable at any moment while they are written."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes.labels.colours import label_colours
from sam2_core.volumes.labels.destination import DestinationLock, removed, write_errors
from sam2_core.volumes.labels.frame_ranges import parsed_ranges, ranges_text
from sam2_core.volumes.labels.label_place import LabelPlace
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.ngff import (
    LabelPlan,
    multiscale,
    ngff_attributes,
    plan_alone,
    plan_in_image,
    position_key,
    quiet_zarr,
)
from sam2_core.volumes.labels.pyramid import Pyramid

_STATE = "sam2_lab"
_MOST_COLOURS = 10_000
_LOCK_WAIT_S = 60.0


class OmeZarrLabelWriter(LabelWriter):
    """Writes a multiscale label image, NGFF 0.5 (zarr 3, sharded), or 0.4 where the image's store is.

    Every frame has shards (or chunks) of its own, and a lock keeps other writers out, so no shard is ever written by
    two. Which frames are written stands in the attribute ``sam2_lab``. The smaller levels and the colours are made
    when it is finished.

    Parameters
    ----------
    destination : str or path
        ``image.zarr/labels/NAME``, or ``NAME.zarr`` for a store that is a label image itself. Also a URL, which
        is not locked.
    layout : LabelLayout
        In an image's own store its spacing is the image's.
    any_dtype, overwrite, resume : bool
    metadata : dict
        ``properties`` ({id: {…}}) go to the standard's properties; all of it is kept under ``image-label/metadata``.
    at : mapping of str to int
        Positions on the image's other axes, such as ``{"t": 3}``.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str],
        layout: LabelLayout,
        *,
        any_dtype: bool,
        overwrite: bool,
        resume: bool,
        metadata: dict[str, Any],
        at: Mapping[str, int],
    ) -> None:
        self._place = place = LabelPlace.parsed(destination)
        name = os.fspath(destination)
        self._metadata = metadata
        self._properties = _checked_properties(metadata)
        self._plan = _planned(place, layout, at, name)
        existing = place.group(place.path)
        if existing is None and place.is_occupied():
            raise InvalidInputError(f"{name} exists and is no label image; it is not touched. Choose another name.")
        if existing is not None:
            layout = self._checked_existing(existing, layout, name, any_dtype, overwrite, resume)
        super().__init__(name, layout)
        self._pending = np.zeros(len(self), dtype=np.bool_)
        self._began = existing is None or overwrite
        lock_path = place.lock_path(place.name)
        self._hold = DestinationLock(lock_path, name) if lock_path is not None else None
        try:
            if existing is None and place.group(place.path) is not None:
                raise DestinationExistsError(  # noqa: TRY301  as any other error it lets go of the lock
                    f"{name} was made by another process a moment ago. Open it again, with resume=True to continue it."
                )
            with write_errors(name):
                self._group = self._opened(existing if not overwrite else None)
        except BaseException:
            self._release()
            raise

    def _checked_existing(
        self, existing: zarr.Group, layout: LabelLayout, name: str, any_dtype: bool, overwrite: bool, resume: bool
    ) -> LabelLayout:
        _, attributes = ngff_attributes(existing)
        if "image-label" not in attributes:
            what = "an image" if "multiscales" in attributes else "a zarr group"
            raise InvalidInputError(
                f"{name} is {what} and no label image; it is not touched. Labels for it would go to "
                f"{self._place.store}/labels/NAME."
            )
        if overwrite:
            return layout
        if not resume:
            raise DestinationExistsError(
                f"{name} exists already. Continue it with resume=True, replace it with overwrite=True, or choose "
                "another name."
            )
        if _STATE not in existing.attrs:
            raise InvalidInputError(
                f"{name} was written by another program, so it is not known which frames are complete. Convert it to a "
                "new place and continue there, or overwrite it."
            )
        first = existing.get(self._plan.levels[0].path)
        if first is None:  # stopped before its arrays were there
            return layout
        found = multiscale(existing, name)
        shapes = tuple(first.shape) if isinstance(first, zarr.Array) else ()
        if found is None or found.letters != self._plan.letters or shapes != self._plan.levels[0].shape:
            raise InvalidInputError(
                f"{name} cannot be continued: it has axes {found.letters if found else '?'} of {shapes}, to be "
                f"written are {self._plan.letters} of {self._plan.levels[0].shape}."
            )
        dtype = np.dtype(first.dtype) if isinstance(first, zarr.Array) else layout.dtype
        if not any_dtype and dtype != layout.dtype:
            raise InvalidInputError(f"{name} cannot be continued: it is {dtype}, to be written is {layout.dtype}.")
        return layout.with_dtype(dtype)

    def _opened(self, existing: zarr.Group | None) -> zarr.Group:
        place, plan = self._place, self._plan
        zarr_format: Literal[2, 3] = 2 if plan.version == "0.4" else 3
        if existing is None:
            # the parents first: a store is a group, and so are its labels
            for path in dict.fromkeys(["", "labels"] if place.name is not None else []):
                if place.group(path) is None:
                    zarr.open_group(place.store, path=path, mode="a", zarr_format=zarr_format, use_consolidated=False)
            group = zarr.create_group(
                place.store,
                path=place.path or None,
                zarr_format=zarr_format,
                overwrite=True,
                attributes={
                    **plan.attributes(place.name or _stem(place.store), self._image_label([])),
                    _STATE: {"finished": False, "written": {}, "pending": {}},
                },
            )
        else:
            group = existing
            self._sweep()
            _, attributes = ngff_attributes(group)
            self._metadata = self._metadata or dict(attributes["image-label"].get("metadata") or {})
            self._properties = _checked_properties(self._metadata)
        for level in plan.levels:
            if level.path not in group:
                plan.create_level(group, level, self.dtype)
        self._levels: list[Any] = [group[level.path] for level in plan.levels]
        self._read_state(group)
        if place.name is not None:
            self._enter_in_list(zarr_format)
        return group

    def _sweep(self) -> None:
        """Remove what a killed run left of files it was just writing."""
        if self._place.local is not None:
            for path in (self._place.local / self._place.path).rglob("*.partial"):
                removed(path)

    def _read_state(self, group: zarr.Group) -> None:
        self._state: dict[str, Any] = copy.deepcopy(cast(dict[str, Any], group.attrs.asdict()[_STATE]))
        for position, _, part in self._parts():
            count = part.stop - part.start
            self._written[part] = parsed_ranges(self._state["written"].get(position, ""), count)
            self._pending[part] = parsed_ranges(self._state["pending"].get(position, ""), count)

    def _save_state(self, finished: bool = False) -> None:
        for position, _, part in self._parts():
            self._state["written"][position] = ranges_text(self._written[part])
            self._state["pending"][position] = ranges_text(self._pending[part])
        self._state["finished"] = finished
        self._group.attrs[_STATE] = self._state

    def _enter_in_list(self, zarr_format: Literal[2, 3]) -> None:
        """Add the name to the store's list of label images."""
        lock_path = self._place.lock_path(None)
        hold = DestinationLock(lock_path, self._place.store, _LOCK_WAIT_S) if lock_path is not None else None
        try:
            labels = zarr.open_group(
                self._place.store, path="labels", mode="a", zarr_format=zarr_format, use_consolidated=False
            )
            _, attributes = ngff_attributes(labels)
            names = list(attributes.get("labels") or [])
            if self._place.name not in names:
                names.append(self._place.name)
                if zarr_format == 2:
                    labels.attrs["labels"] = names
                else:
                    labels.attrs["ome"] = {**attributes, "version": "0.5", "labels": names}
                self._consolidate()
        finally:
            if hold is not None:
                hold.release()

    def _consolidate(self) -> None:
        """Renew the store's consolidated metadata, if it has any."""
        root = zarr.open_group(self._place.store, mode="r")
        if root.metadata.consolidated_metadata is not None:
            with quiet_zarr():
                zarr.consolidate_metadata(self._place.store, zarr_format=root.metadata.zarr_format)

    def _image_label(self, ids: list[int]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        if ids:
            content["colors"] = [
                {"label-value": object_id, "rgba": [*colour, 255]}
                for object_id, colour in zip(ids, label_colours(ids).tolist(), strict=True)
            ]
        if self._properties:
            content["properties"] = [
                {"label-value": object_id, **values} for object_id, values in sorted(self._properties.items())
            ]
        if self._plan.in_image:
            content["source"] = {"image": "../../"}
        if self._metadata:
            content["metadata"] = self._metadata
        return content

    def _parts(self) -> Iterator[tuple[str, dict[str, int], slice]]:
        """The stacks along one axis that this is made of: what each is called, where it lies, and its frames."""
        grid = self.layout.grid
        if grid is None:
            yield self._plan.position, self._plan.fixed, slice(0, len(self))
            return
        for time in range(grid.sizes[0]):
            fixed = {**self._plan.fixed, "t": time}
            yield position_key(fixed), fixed, slice(time * grid.sizes[1], (time + 1) * grid.sizes[1])

    def _index(self, index: int, rows: slice, columns: slice) -> tuple[int | slice, ...]:
        place: dict[str, int | slice] = {"y": rows, "x": columns, **self._plan.fixed}
        grid = self.layout.grid
        if grid is not None:
            place.update(grid.position(index))
        elif self._plan.frame_axis:
            place[self._plan.frame_axis] = index
        return tuple(place[letter] for letter in self._plan.letters)

    def _write_pixels(self, index: int, labels: NDArray[Any], y0: int, x0: int) -> None:
        if not self._pending[index]:
            self._pending[index] = True
            if self._written[index]:
                # changed after it was finished: the smaller levels have to follow, even if this run is killed
                self._save_state()
        height, width = labels.shape
        self._levels[0][self._index(index, slice(y0, y0 + height), slice(x0, x0 + width))] = labels

    def _read_pixels(self, index: int) -> NDArray[Any]:
        return np.array(self._levels[0][self._index(index, slice(None), slice(None))], dtype=self.dtype)

    def _record_written(self, index: int) -> None:
        self._written[index] = True
        try:
            self._save_state()
        except BaseException:
            self._written[index] = False
            raise

    def _finish(self) -> None:
        if self._pending.any() or not self._state["finished"]:
            seen: set[int] = set(self._known_colours())
            for _, fixed, part in self._parts():
                pyramid = Pyramid(self._levels, self._plan.letters, self._plan.frame_axis[-1:], fixed)
                pyramid.build(self._pending[part], lambda pixels: seen.update(np.unique(pixels).tolist()))
            ids = sorted(seen - {0})
            attributes = self._plan.attributes(
                self._place.name or _stem(self._place.store),
                self._image_label(ids if len(ids) <= _MOST_COLOURS else []),
            )
            self._pending[:] = False
            self._group.attrs.update(attributes)
            self._save_state(finished=True)
            self._consolidate()
        self._release()

    def _known_colours(self) -> list[int]:
        _, attributes = ngff_attributes(self._group)
        return [int(colour["label-value"]) for colour in attributes.get("image-label", {}).get("colors") or ()]

    def _release(self) -> None:
        if self._hold is not None:
            self._hold.release()

    def _remove(self) -> None:
        if self._began:
            self._forget()
        self._release()

    def _forget(self) -> None:
        """Remove the label image and its name from the list."""
        place = self._place
        if place.name is None:
            place.remove_store()
            return
        labels = zarr.open_group(place.store, path="labels", mode="r+", use_consolidated=False)
        del labels[place.name]
        version, attributes = ngff_attributes(labels)
        names = [name for name in attributes.get("labels") or [] if name != place.name]
        if version == "0.4":
            labels.attrs["labels"] = names
        else:
            labels.attrs["ome"] = {**attributes, "labels": names}
        self._consolidate()


def _planned(place: LabelPlace, layout: LabelLayout, at: Mapping[str, int], name: str) -> LabelPlan:
    root = place.group("") if place.name is not None else None
    scales = multiscale(root, place.store) if root is not None else None
    if root is None or scales is None:
        if at:
            raise InvalidInputError(f"{name}: there is no image in the store, so at={dict(at)} has no meaning.")
        return plan_alone(layout)
    return plan_in_image(root, scales, layout, at, name)


def _stem(store: str) -> str:
    return Path(store.rstrip("/").rsplit("/", 1)[-1]).name.removesuffix(".zarr").removesuffix(".ome") or "labels"


def _checked_properties(metadata: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    properties: dict[int, dict[str, Any]] = {}
    given = metadata.get("properties") or {}
    try:
        for key, values in given.items():
            object_id = int(key)
            if object_id < 1 or object_id in properties:
                raise InvalidInputError(
                    f'metadata["properties"] holds object {object_id} twice, or it is no id (they start at 1).'
                )
            properties[object_id] = dict(values)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f'metadata["properties"] must map object ids to what is known of them; got {given!r:.80}.'
        ) from error
    return properties
