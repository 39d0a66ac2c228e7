"""What a source is: a path, a URL or bytes, and the kind of file that its name or its first bytes announce."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sam2_core.errors import InvalidInputError, MissingDependencyError, MissingFileError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".tga", ".jp2")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".gif")
ZIP_SUFFIXES = (".zip", ".ozx")  # of a zarr store
MICROSCOPE_SUFFIXES = (".czi", ".nd2", ".lif", ".oir", ".oib", ".dv", ".sldy", ".ims", ".vsi")

# fsspec chains its file systems with "::", as in zip://image.zarr::s3://bucket/archive.zip
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[A-Za-z0-9+.-]+::")


def is_url(source: Any) -> bool:
    """Whether a source is text of the form ``scheme://…``."""
    return isinstance(source, str) and _URL.match(source) is not None


def local_path(url: str) -> Path | None:
    """Path of a ``file://`` URL; None for others."""
    if not url.casefold().startswith("file://") or "::" in url:
        return None
    return Path(url2pathname(urlsplit(url).path))


def named_suffix(source: Path | str) -> str:
    """Ending of a path's or a URL's last part, in lower case; of chained URLs the first that has one."""
    if isinstance(source, Path):
        return source.suffix.casefold()
    # "simplecache::https://…/a.tif" names its file last, "zip://a.tif::https://…/b.zip" first
    paths = (urlsplit(part).path or part for part in source.split("::"))
    return next((suffix for path in paths if (suffix := PurePosixPath(path).suffix.casefold())), "")


def open_url(url: str) -> Any:
    """Open a URL as a file that is read in pieces, as far as the server lets it.

    Raises
    ------
    MissingFileError, MissingDependencyError, InvalidInputError
        Nothing there, a package that fsspec needs for this scheme, or another failure.
    """
    import fsspec

    try:
        opened = fsspec.open(url, "rb")
        file = opened.open()
        # a zip file is closed with its file system, which nothing else holds
        file.opened_by = opened
        return file
    except FileNotFoundError as error:
        reason = error.__cause__
        is_silent = isinstance(reason, OSError) and not isinstance(reason, FileNotFoundError)
        # fsspec says the same where a server does not answer or refuses
        if is_silent or getattr(reason, "status", 404) != 404:
            raise InvalidInputError(f"{url} cannot be opened ({type(reason).__name__}: {reason}).") from error
        raise MissingFileError(f"There is no file at {url}. Check the spelling, and that it may be read.") from error
    except ImportError as error:
        raise missing_url_package(url, error) from error
    except Exception as error:  # networks and servers fail in ways of their own
        raise InvalidInputError(f"{url} cannot be opened ({type(error).__name__}: {error}).") from error


def missing_url_package(url: str, error: ImportError) -> MissingDependencyError:
    """Build the error that says which package a scheme needs."""
    return MissingDependencyError(
        f"Reading {url} needs a package that is not installed: {error}. Install it with pip (s3:// needs s3fs, gs:// "
        "gcsfs, az:// adlfs, http:// aiohttp and requests)."
    )


def kind_of(source: Any) -> str:
    """Kind of a file by its first bytes: "tiff", "picture", "video", or "" for unknown.

    Parameters
    ----------
    source : Path, bytes, or anything else
        What is neither a file nor bytes is unknown.
    """
    if isinstance(source, bytes):
        start = source[:16]
    elif isinstance(source, Path) and source.is_file():
        with source.open("rb") as file:
            start = file.read(16)
    else:
        return ""
    if start[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if start.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\x00\x00\x00\x0cjP")) or start[8:12] == b"WEBP":
        return "picture"
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") or start.startswith((b"\x1aE\xdf\xa3", b"GIF8")):
        return "video"
    if start.startswith(b"RIFF") and start[8:12] == b"AVI ":
        return "video"
    return ""


def is_file_of(source: Any, suffixes: Sequence[str], kind: str) -> int:
    """Score of a reader for files: 2 where the ending says so, or the first bytes of a file of no known ending."""
    if isinstance(source, bytes):
        return 2 if kind_of(source) == kind else 0
    if not isinstance(source, Path) or source.is_dir():
        return 0
    suffix = source.suffix.casefold()
    if suffix in suffixes:
        return 2
    known = suffix in (*PICTURE_SUFFIXES, *TIFF_SUFFIXES, *VIDEO_SUFFIXES, *MICROSCOPE_SUFFIXES)
    return 2 if not known and kind_of(source) == kind else 0
