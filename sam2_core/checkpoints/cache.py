"""Where downloaded checkpoints are kept, and what was recorded about each when it came.

Beside every file lies ``<name>.json`` with its address, size and sha256, computed while it was downloaded. A later use
compares size and modification time, and computes the checksum again only where these changed. A file in the cache of
``huggingface_hub`` has its record here, as ``<name>.hub.json``: that folder is not ours to write to.
"""

from __future__ import annotations

import contextlib
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
    """What is known about a downloaded file: source, size in bytes, sha256, modification time in nanoseconds.

    The source is the address it came from; of a file in the cache of ``huggingface_hub``, its path there.
    """

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
    _save(record, _record_path(path))
    return record


def read_record(path: Path, *, at: Path | None = None) -> FileRecord | None:
    """What was recorded about a file, beside it or ``at`` another place; None where there is no readable record."""
    try:
        return FileRecord(**json.loads((at or _record_path(path)).read_text(encoding="utf-8")))
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
    repair = f"delete it and download it again (sam2 download {entry.name if entry else 'MODEL'} --force)"
    record = read_record(path)
    source = record.url if record else (entry and entry.url) or ""
    _verify(path, record, _record_path(path), source, entry, repair, thorough=thorough)


def verify_hub_file(path: Path, entry: ModelEntry) -> None:
    """Check that a file in the cache of ``huggingface_hub`` is the published one of a model.

    It is read through once; afterwards size and modification time are compared with what was recorded then.

    Parameters
    ----------
    path : Path
        The file, or the link to it that the cache has.
    entry : ModelEntry
        Its model.

    Raises
    ------
    CheckpointError
        When it is another file.
    """
    path = path.resolve()
    at = cache_folder() / f"{entry.file_name}.hub.json"
    record = read_record(path, at=at)
    if record is not None and record.url != str(path):
        record = None  # of another file: another revision, or another cache
    repair = f"delete it to have it downloaded again: it is not the published {entry.file_name}"
    _verify(path, record, at, str(path), entry, repair)


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
    own = own_checkpoint(entry)
    if own is not None or entry.shipped:
        return own
    found = find_in_hub_cache(entry)
    if found is not None:
        verify_hub_file(found, entry)
    return found


def own_checkpoint(entry: ModelEntry) -> Path | None:
    """The weights of a model where a package ships them or this project downloaded them, checked; None where not.

    Raises
    ------
    CheckpointError
        When the file is there but damaged.
    """
    if entry.shipped:
        return entry.shipped_path if entry.shipped_path.is_file() else None
    path = cache_folder() / entry.file_name
    if not path.is_file():
        return None
    verify_file(path, entry)
    return path


def find_in_hub_cache(entry: ModelEntry) -> Path | None:
    """The weights of a model where ``huggingface_hub`` keeps them, unchecked; None where there are none."""
    if entry.hf_id is None:
        return None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(entry.hf_id, entry.file_name)
    return Path(found) if isinstance(found, str) else None


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _verify(
    path: Path,
    record: FileRecord | None,
    at: Path,
    source: str,
    entry: ModelEntry | None,
    repair: str,
    *,
    thorough: bool = False,
) -> None:
    """Compare a file with its record and its model; read it through only where that is needed, and record it then."""
    status = path.stat()
    # what the list of models says goes before what was recorded of a file that may since have been exchanged
    size = (entry and entry.size_bytes) or (record and record.size_bytes)
    if size and status.st_size != size:
        raise CheckpointError(f"{path} has {status.st_size} bytes, expected {size}; {repair}")
    expected = ((entry and entry.sha256) or (record and record.sha256) or "").lower()
    unchanged = record is not None and record.sha256 == expected and record.modified_ns == status.st_mtime_ns
    if not expected or (unchanged and not thorough):
        return
    actual = file_sha256(path)
    if expected != actual:
        raise CheckpointError(f"{path} has sha256 {actual}, expected {expected}; {repair}")
    # the times from before it was read: what is written to it meanwhile has not been checked. A folder that cannot be
    # written, as one that an administrator filled, keeps no record, and the next use reads the file again.
    with contextlib.suppress(OSError):
        _save(FileRecord(source, status.st_size, actual, status.st_mtime_ns), at)


def _save(record: FileRecord, at: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own for every process: several may record the same file at once
    temporary = at.with_name(f"{at.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
    temporary.replace(at)
