"""COCO JSON: one annotation per object and frame, run-length encoded, with the object's id as ``track_id``."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels.destination import removed, replaced
from sam2_core.volumes.labels.folder_writer import FolderWriter, read_description
from sam2_core.volumes.labels.frame_ranges import parsed_ranges, ranges_text
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.run_lengths import encoded_objects, paint

_CATEGORY = {"id": 1, "name": "object", "supercategory": ""}


class GatheredWriter(FolderWriter):
    """A writer whose part holds the frames as small TIFFs, and whose one file is made of them at the end."""

    def _frame_name(self, index: int) -> str:
        return frame_file(index)

    def _save_frame(self, path: Path, labels: NDArray[Any]) -> None:
        tifffile.imwrite(path, labels, compression="zlib")

    def _load_frame(self, path: Path) -> NDArray[Any]:
        return tifffile.imread(path)

    def _finish_part(self) -> None:
        gathered = self._part / ("gathered" + self.destination.suffix)
        self._gather(gathered)
        replaced(gathered, self.destination)
        removed(self._part)

    @abstractmethod
    def _gather(self, path: Path) -> None:
        """Make the one file of the frames."""

    def _frames(self) -> Iterator[tuple[int, NDArray[Any]]]:
        return ((index, self._read_part(index)) for index in range(len(self)))


def frame_file(index: int) -> str:
    """Name of a frame in an unfinished part."""
    return f"{index:05d}.tif"


class PartLabels(LabelStack):
    """The frames of an unfinished part of a format that is made at the end.

    Parameters
    ----------
    source : Path
        The part folder.
    """

    def __init__(self, source: Path) -> None:
        layout, metadata, _ = read_description(source)
        written = np.array([(source / frame_file(index)).exists() for index in range(layout.length)])
        super().__init__(str(source), layout, written=written, metadata=metadata)
        self._source = source

    def _read_pixels(self, index: int) -> NDArray[Any]:
        if not self._written[index]:
            return np.zeros(self.frame_size, dtype=self.dtype)
        return np.asarray(tifffile.imread(self._source / frame_file(index)))


class CocoLabelWriter(GatheredWriter):
    """Writes COCO JSON. See :class:`FolderWriter` for what happens until it is finished."""

    def _gather(self, path: Path) -> None:
        height, width = self.frame_size
        with path.open("w", encoding="utf-8", newline="\n") as file:
            info = {
                "description": "labels of sam2-lab: track_id is the object, one annotation per object and frame",
                "sam2_lab": {
                    **self.layout.as_json(),
                    "metadata": self.metadata,
                    "unwritten": ranges_text(~self._written),
                },
            }
            file.write(
                f'{{"info": {json.dumps(info, default=str)},\n"categories": [{json.dumps(_CATEGORY)}],\n"images": ['
            )
            images = (
                {"id": index + 1, "file_name": f"{index:05d}.png", "height": height, "width": width, "frame": index}
                for index in range(len(self))
            )
            _write_items(file, images)
            file.write('],\n"annotations": [')
            _write_items(file, self._annotations())
            file.write("]}\n")

    def _annotations(self) -> Iterator[dict[str, Any]]:
        number = 0
        for index, labels in self._frames():
            for object_id, encoding in encoded_objects(labels):
                number += 1
                yield {
                    "id": number,
                    "image_id": index + 1,
                    "category_id": 1,
                    "track_id": object_id,
                    "segmentation": encoding,
                    "area": int(coco_mask.area(encoding)),
                    "bbox": coco_mask.toBbox(encoding).tolist(),
                    "iscrowd": 0,
                }

    def _open_finished(self) -> LabelStack:
        return CocoLabels(self.destination)


def _write_items(file: TextIO, items: Iterator[dict[str, Any]]) -> None:
    for position, item in enumerate(items):
        file.write((",\n" if position else "\n") + json.dumps(item))


class CocoLabels(LabelStack):
    """The frames of a COCO JSON: ours, or any whose images have one size.

    An annotation's ``track_id`` is the object's id, else its ``id``. Where masks of another program overlap,
    the later annotation lies on top.

    Parameters
    ----------
    source : Path
    """

    def __init__(self, source: Path) -> None:
        content = _loaded(source)
        try:
            images = sorted(content["images"], key=lambda image: int(image.get("frame", 0)))
            sizes = {(int(image["height"]), int(image["width"])) for image in images}
            frame_of = {image["id"]: index for index, image in enumerate(images)}
            annotations: list[list[tuple[int, Any]]] = [[] for _ in images]
            seen = set()
            for annotation in content.get("annotations", []):
                object_id = int(annotation.get("track_id", annotation["id"]))
                place = (annotation["image_id"], object_id)
                if place in seen:
                    raise InvalidInputError(
                        f"{source}: object {object_id} is annotated twice on the image {annotation['image_id']}. Join "
                        "the two masks, or give them two ids."
                    )
                if not 1 <= object_id < 2**32:
                    raise InvalidInputError(f"{source}: an object's id must be 1 or more; got {object_id}.")
                seen.add(place)
                annotations[frame_of[annotation["image_id"]]].append((object_id, annotation["segmentation"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(
                f"{source} is not COCO JSON: images (id, height, width) and annotations (id, image_id, segmentation) "
                f"are needed ({type(error).__name__}: {error})."
            ) from error
        if len(sizes) != 1:
            raise InvalidInputError(
                f"{source} has images of {len(sizes)} sizes; frames of a stack have one: {sorted(sizes)[:4]}."
            )
        largest = max((object_id for _, object_id in seen), default=0)
        layout = LabelLayout(
            len(images), next(iter(sizes)), "frame", np.dtype(np.uint16 if largest < 65536 else np.uint32)
        )
        info = content.get("info")
        ours = info.get("sam2_lab") if isinstance(info, dict) else None
        written: NDArray[np.bool_] | None = None
        metadata: dict[str, Any] = {}
        if ours:
            layout, metadata = LabelLayout.from_json(ours), ours.get("metadata") or {}
            written = ~parsed_ranges(ours["unwritten"], layout.length)
        super().__init__(str(source), layout, written=written, metadata=metadata)
        self._annotations = annotations

    def _read_pixels(self, index: int) -> NDArray[Any]:
        labels = np.zeros(self.frame_size, dtype=self.dtype, order="F")
        for object_id, segmentation in self._annotations[index]:
            paint(labels, segmentation, object_id)
        return labels


def _loaded(source: Path) -> dict[str, Any]:
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {source}.") from None
    except ValueError as error:
        raise InvalidInputError(f"{source} is not JSON ({error}). It is damaged or cut short.") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{source} is not COCO JSON, which is an object with images and annotations.")
    return content
