"""ImageJ ROI zips: an outline per object and slice, along the edges of pixels, so that ImageJ fills the same pixels."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import roifile
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels.coco import GatheredWriter
from sam2_core.volumes.labels.colours import label_colours
from sam2_core.volumes.labels.frame_ranges import parsed_ranges, ranges_text
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.outlines import are_rectilinear, filled_outlines, mask_outlines

_NAME = re.compile(r"(\d+)-(\d+)")
_LARGEST_SIDE = 60535  # beyond that ImageJ's 16-bit coordinates mean something else
_LARGEST_OFFSET = 32767
_COMMENT_BYTES = 65535
_MOST_BOXES = 2**20
_AREAS = (roifile.ROI_TYPE.POLYGON, roifile.ROI_TYPE.FREEHAND, roifile.ROI_TYPE.TRACED)
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0


class ImagejRoiWriter(GatheredWriter):
    """Writes a zip for ImageJ's ROI Manager. See :class:`FolderWriter` for what happens until it is finished.

    An ROI is named ``ID-SLICE`` (slices from 1) and placed on its slice. One part without holes is a traced
    outline, anything else a composite.
    """

    def __init__(self, destination: Path, layout: LabelLayout, **options: Any) -> None:
        if max(layout.frame_size) > _LARGEST_SIDE:
            raise InvalidInputError(
                f"ImageJ ROIs hold coordinates up to {_LARGEST_SIDE}; the frames are {layout.frame_size} (y, x). "
                "Choose another format, such as ome-zarr or coco."
            )
        super().__init__(destination, layout, **options)

    def _gather(self, path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = self._comment()
            for index, labels in self._frames():
                for object_id, box in object_boxes(labels):
                    top, left = box[0].start, box[1].start
                    roi = object_roi(labels[box] == object_id, object_id, index, top, left)
                    archive.writestr(f"{roi.name}.roi", roi.tobytes())

    def _comment(self) -> bytes:
        content = {"sam2_lab": {**self.layout.as_json(), "unwritten": ranges_text(~self._written)}}
        full = {"sam2_lab": {**content["sam2_lab"], "metadata": self.metadata}}
        comment = json.dumps(full, default=str).encode()
        # a zip's comment is short; the size of the frames matters more than where they come from
        return comment if len(comment) <= _COMMENT_BYTES else json.dumps(content).encode()

    def _open_finished(self) -> LabelStack:
        return ImagejRoiLabels(self.destination)

    def _require_labels(self) -> None:
        super()._require_labels()
        with zipfile.ZipFile(self.destination) as archive:
            other = next((name for name in archive.namelist() if not name.lower().endswith(".roi")), None)
        if other is not None:
            raise InvalidInputError(
                f"{self.destination} is not replaced, since it holds {other}, which is no ROI. Choose another "
                "destination, or remove this one yourself."
            )


def object_boxes(labels: NDArray[Any]) -> list[tuple[int, tuple[slice, slice]]]:
    """Find the objects of a frame and the smallest boxes around them, by ascending id, in one pass.

    Parameters
    ----------
    labels : ndarray, (y, x), unsigned integer

    Returns
    -------
    list of (int, (slice, slice))
        Object id, and its rows and columns.
    """
    largest = int(labels.max())
    if largest <= _MOST_BOXES:
        boxes = ndimage.find_objects(labels.astype(np.int32))
        return [(number, box) for number, box in enumerate(boxes, start=1) if box is not None]
    # find_objects returns a list as long as the largest id: number the objects first
    ids, numbers = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    boxes = ndimage.find_objects(numbers[:-1].reshape(labels.shape).astype(np.int32))
    return [(int(ids[number]), box) for number, box in enumerate(boxes, start=1) if box is not None]


def object_roi(mask: NDArray[np.bool_], object_id: int, index: int, top: int, left: int) -> roifile.ImagejRoi:
    """Outline one object on one frame.

    Parameters
    ----------
    mask : ndarray, (y, x), bool
        No larger than the object.
    object_id : int
    index : int
        Frame number, from 0.
    top, left : int
        Where the mask lies in the frame.
    """
    bottom, right = top + mask.shape[0], left + mask.shape[1]
    paths = mask_outlines(mask)
    roi = roifile.ImagejRoi()
    roi.name = f"{object_id:05d}-{index + 1:05d}"
    roi.position = index + 1
    roi.top, roi.left, roi.bottom, roi.right = top, left, bottom, right
    roi.stroke_color = b"\xff" + label_colours([object_id])[0].tobytes()
    if len(paths) == 1 and max(bottom - top, right - left) <= _LARGEST_OFFSET:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = paths[0].astype(np.int32)
        roi.n_coordinates = len(paths[0])
        return roi
    roi.roitype = roifile.ROI_TYPE.RECT
    commands: list[float] = []
    for path in paths:
        for number, (x, y) in enumerate((path + np.array([left, top])).tolist()):
            commands += [_LINE if number else _MOVE, x, y]
        commands.append(_CLOSE)
    roi.multi_coordinates = np.array(commands, dtype=np.float32)
    roi.shape_roi_size = len(commands)
    return roi


class ImagejRoiLabels(LabelStack):
    """The frames of an ROI zip (or one .roi file).

    ROIs named ``ID-SLICE`` have that id; otherwise each is an object of its own, numbered in the order of the file.
    Areas are read: polygons, freehand and traced outlines, rectangles, ovals, composites. Where ROIs overlap, the later
    one lies on top.

    Parameters
    ----------
    source : Path
    length : int, optional
        Number of frames, for a zip that this project did not write: up to the last ROI by default.
    frame_size : tuple of int, optional
        (height, width), for such a zip: up to the farthest ROI by default.
    """

    def __init__(self, source: Path, *, length: int | None = None, frame_size: tuple[int, int] | None = None) -> None:
        self._source = source
        described, self._entries = _contents(source)
        self._archive = None if source.suffix.lower() == ".roi" else zipfile.ZipFile(source)
        try:
            self._index(described, length, frame_size)
        except BaseException:
            self.close()
            raise

    def _index(
        self,
        described: tuple[LabelLayout, dict[str, Any], NDArray[np.bool_]] | None,
        length: int | None,
        frame_size: tuple[int, int] | None,
    ) -> None:
        """Find out which ROI is which object on which frame."""
        source = self._source
        layout, metadata, written = described or (None, {}, None)
        places = [_NAME.fullmatch(Path(name).stem) for name in self._entries]
        is_named = bool(places) and all(places)
        ids, frames = [], []
        extent = np.ones(2, dtype=int)
        for number, (name, place) in enumerate(zip(self._entries, places, strict=True), start=1):
            if is_named and place and layout is not None:
                ids.append(int(place[1]))
                frames.append(int(place[2]) - 1)
                continue
            roi = self._roi(name)
            extent = np.maximum(extent, [roi.bottom, roi.right])
            ids.append(int(place[1]) if is_named and place else number)
            frames.append(max(roi.position, roi.z_position, roi.t_position, 1) - 1)
        if len(set(zip(ids, frames, strict=True))) < len(ids):
            raise InvalidInputError(f"{source} holds an object twice on one slice. Give the ROIs different names.")
        if ids and not 1 <= min(ids) <= max(ids) < 2**32:
            raise InvalidInputError(f"{source}: an object's id must be 1 or more; got {min(ids)}.")
        if layout is None:
            layout = LabelLayout(
                length or max(frames, default=0) + 1,
                frame_size or (int(extent[0]), int(extent[1])),
                "frame",
                np.dtype(np.uint16 if max(ids, default=0) < 65536 else np.uint32),
            )
        if frames and max(frames) >= layout.length:
            raise InvalidInputError(
                f"{source} has an ROI on slice {max(frames) + 1}, and the stack {layout.length} frames."
            )
        LabelStack.__init__(self, str(source), layout, written=written, metadata=metadata)
        self._on_frame: dict[int, list[tuple[int, str]]] = {}
        for object_id, frame, name in zip(ids, frames, self._entries, strict=True):
            self._on_frame.setdefault(frame, []).append((object_id, name))

    def _read_pixels(self, index: int) -> NDArray[Any]:
        labels = np.zeros(self.frame_size, dtype=self.dtype)
        for object_id, name in self._on_frame.get(index, []):
            _fill(labels, self._roi(name), object_id, name)
        return labels

    def close(self) -> None:
        """Close the zip."""
        if self._archive is not None:
            self._archive.close()

    def _roi(self, name: str) -> roifile.ImagejRoi:
        try:
            content = self._archive.read(name) if self._archive is not None else self._source.read_bytes()
            return roifile.ImagejRoi.frombytes(content)
        except Exception as error:  # damaged bytes fail in many ways inside roifile
            raise InvalidInputError(f"{name} in {self._source} is no readable ROI ({error}).") from error


def _contents(
    source: Path,
) -> tuple[tuple[LabelLayout, dict[str, Any], NDArray[np.bool_]] | None, list[str]]:
    """Return what our own comment says, and the names of the ROIs."""
    if source.suffix.lower() == ".roi":
        return None, [source.name]
    try:
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".roi")]
            comment = archive.comment
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {source}.") from None
    except zipfile.BadZipFile as error:
        raise InvalidInputError(f"{source} is not a zip of ROIs ({error}). It is damaged or cut short.") from error
    try:
        ours = json.loads(comment)["sam2_lab"]
        layout = LabelLayout.from_json(ours)
    except (ValueError, KeyError, TypeError):
        if not names:
            raise InvalidInputError(f"{source} holds no ROIs.") from None
        return None, names
    return (layout, ours.get("metadata") or {}, ~parsed_ranges(ours["unwritten"], layout.length)), names


def _fill(labels: NDArray[Any], roi: roifile.ImagejRoi, object_id: int, name: str) -> None:
    height, width = labels.shape
    if roi.roitype in _AREAS or (roi.roitype == roifile.ROI_TYPE.RECT and roi.composite):
        paths = [np.asarray(path, dtype=np.float64) for path in roi.coordinates(multi=True)]
    elif roi.roitype in (roifile.ROI_TYPE.RECT, roifile.ROI_TYPE.OVAL):
        paths = [np.asarray(roi.coordinates(), dtype=np.float64)]
    else:
        raise InvalidInputError(
            f"The ROI {name} is of type {roi.roitype.name.lower()}; labels are areas: polygon, freehand, traced, "
            "rectangle, oval or composite."
        )
    top, left = max(0, roi.top), max(0, roi.left)
    # outlines with fractions may reach a pixel beyond the whole-numbered box
    bottom, right = min(height, roi.bottom + 1), min(width, roi.right + 1)
    if bottom <= top or right <= left:
        return
    size = (bottom - top, right - left)
    local = [path - [left, top] for path in paths if len(path)]
    if are_rectilinear(local):
        mask = filled_outlines(local, size)
    else:
        from skimage.draw import polygon2mask

        mask = np.zeros(size, dtype=np.bool_)
        for path in local:
            # a pixel belongs to an outline that holds its centre
            mask ^= polygon2mask(size, path[:, ::-1] - 0.5)  # type: ignore[no-untyped-call]
    labels[top:bottom, left:right][mask] = object_id
