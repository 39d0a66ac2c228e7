"""Which format a destination or a source of labels means; the formats come from plugins, built-in ones first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.hooks import LabelFormat, Registered, get_plugins
from sam2_core.volumes.source import is_url


def label_formats() -> Mapping[str, Registered[LabelFormat]]:
    """Every format by name, in the order in which they are asked what is theirs."""
    return get_plugins().contributions(LabelFormat)


def format_named(name: str) -> Registered[LabelFormat]:
    """Return the format of that name.

    Raises
    ------
    InvalidInputError
        There is none.
    """
    formats = label_formats()
    if name not in formats:
        raise InvalidInputError(f"There is no label format {name!r}. Formats are {', '.join(formats)}.")
    return formats[name]


def claimed_by(destination: str) -> Registered[LabelFormat] | None:
    """Return the format that the name of a destination means, None if it means none."""
    plugins = get_plugins()
    for one in label_formats().values():
        if plugins.call(one, one.contribution.claims, destination):
            return one
    return None


def format_of_destination(destination: str) -> Registered[LabelFormat]:
    """Return the format that the name of a destination means.

    Raises
    ------
    InvalidInputError
        It means none.
    """
    found = claimed_by(destination)
    if found is not None:
        return found
    formats = [one.contribution for one in label_formats().values()]
    known = "; ".join(f"{one.name} ({one.destination})" for one in formats)
    raise InvalidInputError(
        f"The name {destination} does not say which format is meant. Pass format= as one of: {known}."
    )


def require_existing(source: str) -> None:
    """Refuse a source that is not there.

    Raises
    ------
    MissingFileError
        Saying so, and whether an unfinished part is.
    """
    if is_url(source) or os.path.exists(source):
        return
    unfinished = [part for part in (f"{source}.part", f"{source}.part.tif") if os.path.exists(part)]
    hint = f" {unfinished[0]} is unfinished: continue it with resume=True." if unfinished else ""
    raise MissingFileError(f"There is no file or folder {source}.{hint} Check the spelling and the current folder.")


def format_of_source(source: str) -> Registered[LabelFormat] | None:
    """Return the format of labels that exist: by what lies there where that says it, else by the name.

    None where it is no label format, but perhaps an image of some kind whose values are labels.

    Raises
    ------
    MissingFileError
        There is no such file or folder.
    """
    require_existing(source)
    formats, plugins = label_formats(), get_plugins()
    if is_url(source):
        return claimed_by(source) or format_named("ome-zarr")
    claimed = claimed_by(source)
    path = Path(source)
    if claimed is not None and (claimed.contribution.name == "ome-zarr" or not path.is_dir()):
        return claimed
    for one in formats.values():
        if plugins.call(one, one.contribution.recognises, path):
            return one
    return claimed
