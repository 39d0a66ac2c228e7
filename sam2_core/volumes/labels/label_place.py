"""LabelPlace: where a label image lies in an OME-Zarr store, on a disk or behind a URL."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import zarr
from fsspec.core import url_to_fs

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.destination import removed
from sam2_core.volumes.source import is_url, missing_url_package


@dataclass(frozen=True)
class LabelPlace:
    """A store and, within it, the name of a label image; no name where the store is nothing but the label image."""

    store: str
    name: str | None

    @classmethod
    def parsed(cls, address: str | os.PathLike[str]) -> LabelPlace:
        """Read ``image.zarr/labels/cells`` or ``cells.zarr``; paths and URLs.

        Raises
        ------
        InvalidInputError
            A path into a store that leads elsewhere than to ``labels/NAME``, or a name that no label image can have.
        """
        text = os.fspath(address)
        is_address = is_url(text)
        parts = text.rstrip("/").split("/") if is_address else list(Path(text).parts)
        if len(parts) > 2 and parts[-2] == "labels":
            if not _valid_name(parts[-1]):
                raise InvalidInputError(f"{text}: {parts[-1]!r} is no name for a label image.")
            store = "/".join(parts[:-2]) if is_address else str(Path(*parts[:-2]))
            return cls(store, parts[-1])
        inside = [number for number, part in enumerate(parts[:-1]) if part.lower().endswith(".zarr")]
        if inside:
            raise InvalidInputError(
                f"{text}: labels lie in a store under labels/NAME, such as "
                f"{'/'.join(parts[: inside[-1] + 1])}/labels/cells."
            )
        return cls(text if is_address else str(Path(text)), None)

    @property
    def path(self) -> str:
        """Path of the label group in the store."""
        return "" if self.name is None else f"labels/{self.name}"

    @property
    def local(self) -> Path | None:
        """The store's folder, where it is one."""
        return None if is_url(self.store) else Path(self.store)

    def lock_path(self, name: str | None) -> Path | None:
        """Where a lock file lies: beside the store, which may hold nothing but zarr's files."""
        folder = self.local
        if folder is None:
            return None
        return folder.with_name(f"{folder.name}{f'.labels-{name}' if name else ''}.lock")

    def group(self, path: str) -> zarr.Group | None:
        """Open a group of the store as it is on disk; None where there is none.

        Raises
        ------
        MissingDependencyError
            A package that fsspec needs for this URL.
        """
        if self.local is not None and not self.local.exists():
            return None
        try:
            return zarr.open_group(self.store, path=path, mode="r+", use_consolidated=False)
        except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.ContainsArrayError):
            return None
        except ImportError as error:
            raise missing_url_package(self.store, error) from error

    def is_occupied(self) -> bool:
        """Whether anything lies where the label image goes: a file, an array, a folder of other things."""
        if self.local is not None:
            folder = self.local / self.path
            return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
        files, root = url_to_fs(self.store)
        # another file system object, such as the one zarr writes through, may have changed what is there
        files.invalidate_cache()
        try:
            return bool(files.ls(f"{root}/{self.path}".rstrip("/"), detail=False))
        except FileNotFoundError:
            return False

    def remove_store(self) -> None:
        """Remove the whole store, of which the label image is all."""
        if self.local is not None:
            removed(self.local)
            return
        files, root = url_to_fs(self.store)
        files.invalidate_cache()
        files.rm(root, recursive=True)


def _valid_name(name: str) -> bool:
    return bool(re.fullmatch(r"[^/\\]+", name)) and not name.startswith((".", "__"))
