"""The built-in label formats, which ``sam2_core.builtin.label_formats`` registers.

What reads and writes a format is imported when it is first needed: most work needs one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import LabelFormat, LabelReading, LabelWriting
from sam2_core.volumes.labels.folder_writer import DESCRIPTION_NAME
from sam2_core.volumes.labels.label_stack import ArrayLabels, LabelStack
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.source import PICTURE_SUFFIXES, is_url

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


def _write_ome_zarr(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.ome_zarr import OmeZarrLabelWriter

    return OmeZarrLabelWriter(destination, layout, at=dict(writing.at), **_given(writing))


def _read_ome_zarr(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.ome_zarr_labels import OmeZarrLabels, plain_array

    array = plain_array(source)
    if array is not None:
        _require_no_positions(reading.at, "ome-zarr")
        return ArrayLabels(array, name=source, axis=reading.axis or "frame")
    return OmeZarrLabels(source, axis=reading.axis, at=dict(reading.at))


def _write_tiff(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.tiff import TiffLabelWriter

    _require_no_positions(writing.at, "tiff")
    return TiffLabelWriter(_path(destination, "tiff"), layout, **_given(writing))


def _read_tiff(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.tiff import TiffLabels

    return TiffLabels(_path(source, "tiff"), axis=reading.axis, at=dict(reading.at))


def _write_ctc(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.ctc import CtcLabelWriter, CtcVolumeWriter
    from sam2_core.volumes.labels.ctc_volumes import CtcVolumesWriter

    rest = {axis: position for axis, position in writing.at.items() if axis != "t"}
    _require_no_positions(rest, "ctc")
    if layout.grid is not None:
        _require_no_positions(writing.at, "ctc")
        return CtcVolumesWriter(_path(destination, "ctc"), layout, **_given(writing))
    if layout.axis == "z" or "t" in writing.at:
        return CtcVolumeWriter(_path(destination, "ctc"), layout, time_point=writing.at.get("t", 0), **_given(writing))
    return CtcLabelWriter(_path(destination, "ctc"), layout, **_given(writing))


def _read_ctc(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.ctc import CtcLabels

    return CtcLabels(_path(source, "ctc"), axis=reading.axis, at=dict(reading.at))


def _write_coco(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.coco import CocoLabelWriter

    _require_no_positions(writing.at, "coco")
    return CocoLabelWriter(_path(destination, "coco"), layout, **_given(writing))


def _read_coco(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.coco import CocoLabels

    _require_no_positions(reading.at, "coco")
    path = _path(source, "coco")
    return _parts(path) or CocoLabels(path)


def _write_imagej_roi(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.imagej_roi import ImagejRoiWriter

    _require_no_positions(writing.at, "imagej-roi")
    return ImagejRoiWriter(_path(destination, "imagej-roi"), layout, **_given(writing))


def _read_imagej_roi(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.imagej_roi import ImagejRoiLabels

    _require_no_positions(reading.at, "imagej-roi")
    path = _path(source, "imagej-roi")
    return _parts(path) or ImagejRoiLabels(path, length=reading.length, frame_size=reading.frame_size)


def _write_png(destination: str, layout: LabelLayout, writing: LabelWriting) -> LabelWriter:
    from sam2_core.volumes.labels.png import PngLabelWriter

    _require_no_positions(writing.at, "png")
    return PngLabelWriter(_path(destination, "png"), layout, **_given(writing))


def _read_png(source: str, reading: LabelReading) -> LabelStack:
    from sam2_core.volumes.labels.png import PngLabels

    _require_no_positions(reading.at, "png")
    path = _path(source, "png")
    return _parts(path) or PngLabels(path)


def _parts(path: Path) -> LabelStack | None:
    """The unfinished part of a COCO file or of ROIs, if that is what a folder is."""
    if not path.is_dir() or path.suffix != ".part" or any(path.glob("*.png")):
        return None
    from sam2_core.volumes.labels.coco import PartLabels

    return PartLabels(path)


def _given(writing: LabelWriting) -> dict[str, Any]:
    return {
        "any_dtype": writing.any_dtype,
        "overwrite": writing.overwrite,
        "resume": writing.resume,
        "metadata": dict(writing.metadata),
    }


def _path(address: str, name: str) -> Path:
    """Path of labels that are files of this machine."""
    if is_url(address):
        raise InvalidInputError(
            f"Labels behind a URL are OME-Zarr; the format {name} is read and written on this machine's disks. Got "
            f"{address}. Name a path, or a URL that ends in .zarr."
        )
    return Path(address)


def _require_no_positions(positions: Mapping[str, int], name: str) -> None:
    if positions:
        raise InvalidInputError(f"The format {name} has no further axes, so at={dict(positions)} has no place in it.")


def _is_zarr_name(name: str) -> bool:
    folded = name.replace("\\", "/").rstrip("/").lower()
    return folded.endswith(".zarr") or ".zarr/" in folded


def _is_zarr_folder(path: Path) -> bool:
    return (path / "zarr.json").exists() or (path / ".zgroup").exists()


def _is_ctc_name(name: str) -> bool:
    last = Path(name).name.upper()
    return last == "TRA" or last.endswith("_RES")


def _is_ctc_folder(path: Path) -> bool:
    from sam2_core.volumes.labels.ctc import is_ctc_folder

    return path.is_dir() and is_ctc_folder(path)


def _is_png_folder(path: Path) -> bool:
    """Whether a folder is one of PNGs, of a writer's parts, or holds nothing yet; not one of other pictures."""
    if not path.is_dir():
        return False
    names = {one.name for one in path.iterdir()}
    suffixes = {Path(name).suffix.casefold() for name in names}
    has_others = bool(suffixes & {*PICTURE_SUFFIXES, *TIFF_SUFFIXES})
    return ".png" in suffixes or DESCRIPTION_NAME in names or not has_others


#: In the order in which they are asked; a folder that none of them knows, without other pictures, is one of PNGs.
FORMATS: Final[Mapping[str, LabelFormat]] = {
    one.name: one
    for one in (
        LabelFormat(
            "ome-zarr",
            "OME-Zarr: large stacks, napari, anything lazy",
            destination="NAME.zarr or IMAGE.zarr/labels/NAME",
            file_name="labels.zarr",
            open_writer=_write_ome_zarr,
            open_labels=_read_ome_zarr,
            claims=_is_zarr_name,
            recognises=_is_zarr_folder,
            has_time_and_depth=True,
        ),
        LabelFormat(
            "tiff",
            "TIFF: ImageJ, QuPath, Cellpose, StarDist",
            destination="NAME.tif",
            file_name="labels.tif",
            open_writer=_write_tiff,
            open_labels=_read_tiff,
            claims=lambda name: name.lower().endswith(TIFF_SUFFIXES),
            has_time_and_depth=True,
        ),
        LabelFormat(
            "coco",
            "COCO JSON: training and evaluation of detectors",
            destination="NAME.json",
            file_name="labels.json",
            open_writer=_write_coco,
            open_labels=_read_coco,
            dtype="uint32",
            claims=lambda name: name.lower().endswith(".json"),
        ),
        LabelFormat(
            "imagej-roi",
            "ImageJ ROIs: the ROI Manager",
            destination="NAME.zip",
            file_name="labels.zip",
            open_writer=_write_imagej_roi,
            open_labels=_read_imagej_roi,
            dtype="uint32",
            claims=lambda name: name.lower().endswith(".zip"),
            recognises=lambda path: path.suffix.lower() == ".roi",
        ),
        LabelFormat(
            "ctc",
            "Cell Tracking Challenge folders",
            destination="a folder such as 01_RES",
            file_name="01_RES",
            open_writer=_write_ctc,
            open_labels=_read_ctc,
            dtypes=("uint16",),
            claims=_is_ctc_name,
            recognises=_is_ctc_folder,
            has_time_and_depth=True,
        ),
        LabelFormat(
            "png",
            "a folder of PNGs: DAVIS and other video tools",
            destination="a folder",
            file_name="labels",
            open_writer=_write_png,
            open_labels=_read_png,
            dtype="uint8",
            dtypes=("uint8", "uint16"),
            recognises=_is_png_folder,
        ),
    )
}
