"""Download one file: resumable, verified, written under its name only when it is complete.

The bytes go to ``<name>.part``; ``<name>.part.json`` remembers which version of the file they belong to (ETag or
Last-Modified), so that a later call continues where an earlier one was cut off, and starts anew when the file on the
server changed (RFC 9110, sections 13.1.5 and 14). A lock beside the file lets one process at a time write it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sam2_core.checkpoints.cache import file_sha256, is_offline, verify_file, write_record
from sam2_core.errors import DownloadError

Progress = Callable[[int, "int | None"], None]
"""Called with the number of bytes that are here and the number expected (None where the server does not say)."""

_BLOCK = 1024 * 1024
_LOCK_TIMEOUT_S = 3600.0
_FIRST_PAUSE_S = 0.25
_TRY_AGAIN_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class _Interrupted(Exception):
    """The transfer ended early for a reason that may pass."""


def download_file(
    url: str,
    destination: Path,
    *,
    sha256: str | None = None,
    size_bytes: int | None = None,
    force: bool = False,
    progress: bool | Progress = True,
    retries: int = 4,
    timeout_s: float = 30.0,
) -> Path:
    """Download a file, or continue an interrupted download of it.

    Parameters
    ----------
    url : str
        An ``http`` or ``https`` address. Proxies are taken from the environment.
    destination : Path
        Where the file goes. A verified file that is there already is kept.
    sha256, size_bytes : optional
        What the file has to be. Without them its length is checked against what the server announced, and its
        checksum recorded for later uses.
    force : bool
        Download even where the file is there.
    progress : bool or callable
        True draws a bar on standard error; a callable gets ``(bytes here, bytes expected or None)``, and may raise to
        cancel: what came so far is kept and continued next time.
    retries : int
        How often a connection that breaks is taken up again before giving up.
    timeout_s : float
        Seconds without a byte after which a connection counts as broken.

    Returns
    -------
    Path
        ``destination``, complete and verified.

    Raises
    ------
    DownloadError
        When the network is forbidden or fails, or the server sends something else.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"expected an http or https address, got {url!r}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(destination.with_name(destination.name + ".lock"), timeout=_LOCK_TIMEOUT_S):
            if destination.is_file() and not force:
                verify_file(destination)
                return destination
            if is_offline():
                raise DownloadError(
                    f"{destination.name} is not in {destination.parent}, and downloading is switched off by "
                    "SAM2_LAB_OFFLINE or HF_HUB_OFFLINE; unset it, or copy the file there"
                )
            with _reporter(progress, destination.name) as report:
                _transfer(url, destination, size_bytes, report, retries, timeout_s)
            _finish(url, destination, sha256)
            return destination
    except Timeout as error:
        raise DownloadError(f"another process has been downloading {destination} for an hour; try again") from error


def _transfer(
    url: str, destination: Path, size_bytes: int | None, report: Progress, retries: int, timeout_s: float
) -> None:
    for attempt in range(retries + 1):
        try:
            _transfer_once(url, destination, size_bytes, report, timeout_s)
            return
        except (_Interrupted, http.client.HTTPException, OSError) as error:
            if isinstance(error, DownloadError):
                raise
            if attempt == retries:
                part = _part_path(destination)
                here = part.stat().st_size if part.is_file() else 0
                raise DownloadError(
                    f"downloading {url} failed after {attempt + 1} attempts: {str(error) or type(error).__name__}. "
                    f"{here} bytes are kept; the same call continues from there"
                ) from error
            time.sleep(min(_FIRST_PAUSE_S * 2**attempt, 10.0))


def _transfer_once(url: str, destination: Path, size_bytes: int | None, report: Progress, timeout_s: float) -> None:
    part = _part_path(destination)
    offset, validator = _resumable(url, part)
    # identity: a compressed transfer has neither the length nor the byte ranges of the file
    headers = {"User-Agent": "sam2-lab", "Accept-Encoding": "identity"}
    if offset and validator:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            _refuse_status(error, url, part, offset)
        return
    with response:
        if offset and not _continues_at(response, offset, part):
            offset = 0
        total = _announced_length(response, offset)
        _check_announcement(response, url, total, size_bytes, destination, offset)
        _remember(url, part, response.headers)
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.truncate()
            here = offset
            report(here, total)
            while block := response.read(_BLOCK):
                if here == 0:
                    _refuse_page(block, url)
                file.write(block)
                here += len(block)
                report(here, total)
    expected = total if total is not None else size_bytes
    if expected is not None and here != expected:
        if here > expected:
            part.unlink()
        raise _Interrupted(f"{here} of {expected} bytes came")


def _refuse_status(error: urllib.error.HTTPError, url: str, part: Path, offset: int) -> None:
    """Return when the part is the whole file already; raise otherwise."""
    if error.code == 416 and offset:
        if error.headers.get("Content-Range", "").endswith(f"*/{offset}"):
            return
        _forget(part)
        raise _Interrupted("the file on the server changed")
    if error.code in _TRY_AGAIN_STATUS:
        raise _Interrupted(f"the server answered {error.code} {error.reason}")
    raise DownloadError(f"{url}: the server answered {error.code} {error.reason}; check the address and your access")


def _continues_at(response: Any, offset: int, part: Path) -> bool:
    """Whether the server sends the rest; a plain 200 is the whole file, because it changed or ranges are unknown."""
    if response.status != 206:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != offset:
        _forget(part)
        raise _Interrupted("the server sent another range than the one asked for")
    return True


def _announced_length(response: Any, offset: int) -> int | None:
    length = response.headers.get("Content-Length")
    return int(length) + offset if length is not None and length.isdigit() else None


def _check_announcement(
    response: Any, url: str, total: int | None, size_bytes: int | None, destination: Path, offset: int
) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise DownloadError(f"{url} answered with a web page instead of a file; a login or proxy page, maybe?")
    if total is None:
        return
    if size_bytes is not None and total != size_bytes:
        raise DownloadError(f"{url} announces {total} bytes, expected {size_bytes}: it is not the file we know")
    free = shutil.disk_usage(destination.parent).free
    if total - offset > free:
        raise DownloadError(
            f"{destination.name} needs {total - offset} bytes, but {destination.parent} has {free} free; "
            "make room or point SAM2_LAB_CACHE at another disk"
        )


def _refuse_page(first_block: bytes, url: str) -> None:
    if first_block.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise DownloadError(f"{url} answered with a web page instead of a file; a login or proxy page, maybe?")


def _finish(url: str, destination: Path, sha256: str | None) -> None:
    part = _part_path(destination)
    actual = file_sha256(part)
    if sha256 is not None and actual != sha256.lower():
        _forget(part)
        raise DownloadError(
            f"{url} has sha256 {actual}, expected {sha256.lower()}: damaged on the way or not the file we know. "
            "It was deleted; try again"
        )
    _replace(part, destination)
    _forget(part)
    write_record(destination, url, actual)


def _replace(source: Path, destination: Path) -> None:
    # on Windows a virus scanner may hold a fresh file open for a moment
    for _ in range(20):
        try:
            os.replace(source, destination)
            return
        except PermissionError:
            time.sleep(0.1)
    os.replace(source, destination)


def _part_path(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _resumable(url: str, part: Path) -> tuple[int, str | None]:
    """How many bytes can be kept, and the validator that says which version of the file they are."""
    try:
        state = json.loads(_state_path(part).read_text(encoding="utf-8"))
        if state["url"] == url and state["validator"]:
            return part.stat().st_size, str(state["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, None


def _remember(url: str, part: Path, headers: Any) -> None:
    etag = headers.get("ETag")
    # a weak ETag (W/"…") promises the same meaning, not the same bytes
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    _state_path(part).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _reporter(progress: bool | Progress, name: str) -> Iterator[Progress]:
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda here, total: None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda here, total: bar.update(task, completed=here, total=total)
