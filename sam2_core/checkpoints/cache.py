"""Where downloaded checkpoints are kept, and what was recorded about each when it came.

Beside every file lies ``<name>.json`` with its address, size and sha256, computed while it was downloaded. A later use
compares size and modification time, and computes the checksum again only where these changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from sam2_core.errors import CheckpointError
from sam2_core.hooks import ModelEntry

_BLOCK = 4 * 1024 * 1024
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is known about a downloaded file: address, size in bytes, sha256, modification time in nanoseconds."""

    url: str
    size_bytes: int
    sha256: str
    modified_ns: int


def cache_folder() -> Path:
    """Folder of downloaded checkpoints.

    Returns
    -------
    Path
        ``$SAM2_LAB_CACHE`` where set, otherwise ``checkpoints`` in the platform's cache folder of this user. It may
        not exist yet.
    """
    chosen = os.environ.get("SAM2_LAB_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("sam2-lab", appauthor=False)) / "checkpoints"


def is_offline() -> bool:
    """Whether the user forbade network access, by ``SAM2_LAB_OFFLINE=1`` or ``HF_HUB_OFFLINE=1``."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in ("SAM2_LAB_OFFLINE", "HF_HUB_OFFLINE"))


def file_sha256(path: Path) -> str:
    """Checksum of a file.

    Parameters
    ----------
    path : Path
        An existing file; read in blocks.

    Returns
    -------
    str
        Lower-case hexadecimal sha256.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_record(path: Path, url: str, sha256: str) -> FileRecord:
    """Record what a file is, beside it.

    Parameters
    ----------
    path : Path
        The complete, verified file.
    url : str
        Where it came from.
    sha256 : str
        Its checksum.

    Returns
    -------
    FileRecord
        What was written.
    """
    status = path.stat()
    record = FileRecord(url=url, size_bytes=status.st_size, sha256=sha256, modified_ns=status.st_mtime_ns)
    temporary = _record_path(path).with_suffix(".json.tmp")
    temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    temporary.replace(_record_path(path))
    return record


def read_record(path: Path) -> FileRecord | None:
    """What was recorded about a file; None where there is no readable record."""
    try:
        return FileRecord(**json.loads(_record_path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def verify_file(path: Path, entry: ModelEntry | None = None, *, thorough: bool = False) -> None:
    """Check that a file is what it was when it was downloaded.

    Parameters
    ----------
    path : Path
        An existing file of the cache.
    entry : ModelEntry, optional
        Its model: a size or checksum given there has to hold too.
    thorough : bool
        Compute the checksum even where size and modification time are as recorded.

    Raises
    ------
    CheckpointError
        When it changed, or is not the file of that model.
    """
    status = path.stat()
    record = read_record(path)
    repair = f"delete it and download it again (sam2 download {entry.name if entry else 'MODEL'} --force)"
    for size in (entry.size_bytes if entry else None, record.size_bytes if record else None):
        if size is not None and status.st_size != size:
            raise CheckpointError(f"{path} has {status.st_size} bytes, expected {size}; {repair}")
    expected = {value for value in (entry.sha256 if entry else None, record.sha256 if record else None) if value}
    unchanged = record is not None and record.modified_ns == status.st_mtime_ns and len(expected) == 1
    if not expected or (unchanged and not thorough):
        return
    actual = file_sha256(path)
    if expected != {actual}:
        raise CheckpointError(f"{path} has sha256 {actual}, expected {' and '.join(sorted(expected))}; {repair}")
    source = record.url if record else entry.url if entry else None
    write_record(path, source or "", actual)


def cached_checkpoint(entry: ModelEntry) -> Path | None:
    """The weights of a model, where they are on this machine already. Never touches the network.

    Parameters
    ----------
    entry : ModelEntry
        A model of the catalogue.

    Returns
    -------
    Path or None
        The file shipped in the package, downloaded by this project, or downloaded by ``huggingface_hub``; None where
        there is none.

    Raises
    ------
    CheckpointError
        When the file is there but damaged.
    """
    if entry.shipped:
        return entry.shipped_path if entry.shipped_path.is_file() else None
    path = cache_folder() / entry.file_name
    if path.is_file():
        verify_file(path, entry)
        return path
    return _in_hub_cache(entry)


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _in_hub_cache(entry: ModelEntry) -> Path | None:
    if entry.hf_id is None:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(entry.hf_id, entry.file_name)
    return Path(found) if isinstance(found, str) else None
