"""The formats labels are kept in, and which of them a destination or a source means."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sam2_core.errors import InvalidInputError, MissingFileError

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")


@dataclass(frozen=True)
class LabelFormat:
    """One format.

    Parameters
    ----------
    name : str
        What it is asked for by.
    destination : str
        What a destination looks like, for messages.
    dtype : str
        Written unless another is asked for.
    dtypes : tuple of str
        All that it can hold.
    claims : callable
        Whether a destination of this name means this format.
    """

    name: str
    destination: str
    dtype: str
    dtypes: tuple[str, ...]
    claims: Callable[[str], bool]


def _is_zarr(name: str) -> bool:
    folded = name.replace("\\", "/").rstrip("/").lower()
    return folded.endswith(".zarr") or ".zarr/" in folded


def _is_ctc(name: str) -> bool:
    last = Path(name).name.upper()
    return last == "TRA" or last.endswith("_RES")


FORMATS: Mapping[str, LabelFormat] = {
    one.name: one
    for one in (
        LabelFormat(
            "ome-zarr", "NAME.zarr or IMAGE.zarr/labels/NAME", "uint16", ("uint8", "uint16", "uint32"), _is_zarr
        ),
        LabelFormat(
            "tiff",
            "NAME.tif",
            "uint16",
            ("uint8", "uint16", "uint32"),
            lambda name: name.lower().endswith(TIFF_SUFFIXES),
        ),
        LabelFormat(
            "coco", "NAME.json", "uint32", ("uint8", "uint16", "uint32"), lambda name: name.lower().endswith(".json")
        ),
        LabelFormat(
            "imagej-roi",
            "NAME.zip",
            "uint32",
            ("uint8", "uint16", "uint32"),
            lambda name: name.lower().endswith(".zip"),
        ),
        LabelFormat("ctc", "a folder such as 01_RES", "uint16", ("uint16",), _is_ctc),
        LabelFormat("png", "a folder", "uint8", ("uint8", "uint16"), lambda name: False),
    )
}


def format_named(name: str) -> LabelFormat:
    """Return the format of that name.

    Raises
    ------
    InvalidInputError
        There is none.
    """
    if name not in FORMATS:
        raise InvalidInputError(f"There is no label format {name!r}. Formats are {', '.join(FORMATS)}.")
    return FORMATS[name]


def format_of_destination(destination: str) -> LabelFormat:
    """Return the format that the name of a destination means.

    Raises
    ------
    InvalidInputError
        It means none.
    """
    for one in FORMATS.values():
        if one.claims(destination):
            return one
    known = "; ".join(f"{one.name} ({one.destination})" for one in FORMATS.values())
    raise InvalidInputError(
        f"The name {destination} does not say which format is meant. Pass format= as one of: {known}."
    )


def format_of_source(source: str) -> LabelFormat:
    """Return the format of labels that exist: by their name, folders by what lies in them.

    Raises
    ------
    MissingFileError
        There is no such file or folder.
    InvalidInputError
        Nothing in it is known.
    """
    from sam2_core.volumes.labels.ctc import is_ctc_folder

    path = Path(source)
    if _is_zarr(source) or "://" in source:
        return FORMATS["ome-zarr"]
    if not path.exists():
        unfinished = [part for part in (f"{source}.part", f"{source}.part.tif") if os.path.exists(part)]
        hint = f" {unfinished[0]} is unfinished: continue it with resume=True." if unfinished else ""
        raise MissingFileError(f"There is no file or folder {source}.{hint} Check the spelling and the current folder.")
    if path.is_dir():
        if (path / "zarr.json").exists() or (path / ".zgroup").exists():
            return FORMATS["ome-zarr"]
        if is_ctc_folder(path):
            return FORMATS["ctc"]
        return FORMATS["png"]
    if path.suffix.lower() == ".roi":
        return FORMATS["imagej-roi"]
    return format_of_destination(source)
