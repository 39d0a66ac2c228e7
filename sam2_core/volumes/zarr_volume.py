"""zarr arrays and OME-Zarr images as volumes: local folders, zip files, and whatever fsspec has an address for."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.array_volume import ArrayVolume
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.ome_zarr import OmeImage, axis_letter
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.source import ZIP_SUFFIXES, is_url, missing_url_package, named_suffix
from sam2_core.volumes.volume import Volume

if TYPE_CHECKING:
    import zarr

_METADATA_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_LISTED = 12
_NEEDS_RANGES = " Shards are read in parts: a web server has to answer range requests, which not every one does."


class ZarrVolume(ArrayVolume):
    """A zarr array (format 2 or 3, sharded or not).

    A chunk that is not there holds the array's fill value, as the format has it: nobody has written to it. After
    :meth:`refuse_missing` it is an error. A chunk that is there and cannot be decoded always is.

    Parameters
    ----------
    array : zarr.Array
    axes : str, optional
        Letters in the array's order; by default its dimension names, or a guess as for any array.
    closes : object, optional
        What is closed with the volume, such as a zip file.
    **described
        As for :class:`ArrayVolume`.
    """

    def __init__(
        self, array: zarr.Array[Any], *, axes: str | Sequence[str] | None = None, closes: Any = None, **described: Any
    ) -> None:
        self._zarr = array
        self._closes = closes
        self._refuses_missing = False
        self._stamp = _stamp(array)
        super().__init__(
            array, axes=axes or _dimension_names(array), chunks=tuple(int(size) for size in array.chunks), **described
        )

    def close(self) -> None:
        """Close the store, if it was opened here."""
        if self._closes is not None:
            self._closes.close()

    def refuse_missing(self) -> None:
        """From now on a chunk (or shard) that is not in the store is an error, not its fill value."""
        self._refuses_missing = True

    def source_files(self) -> tuple[Path, ...]:
        """Name the array's own metadata, or the zip file; see :meth:`Volume.source_files`.

        Those of the groups it lies in are rewritten when labels come into the same store.
        """
        return (self._stamp.path,) if self._stamp is not None else super().source_files()

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        if self._stamp is not None:
            self._stamp.check()
        if self._refuses_missing:
            missing = next((key for key, _ in self._stored_pieces(region) if not self._is_there(key)), None)
            if missing is not None:
                raise MissingFileError(
                    f"Chunk {missing} of the zarr array {self._zarr.store_path} is missing. It was never written, or "
                    "has been lost; without strict=True it is read as the fill value."
                )
        try:
            return super()._read_region(region)
        except Exception as error:
            raise self._explained(region, error) from error

    def _explained(self, region: tuple[slice, ...], error: Exception) -> InvalidInputError:
        """Find the chunk that cannot be read, since zarr's own errors do not name it."""
        broken = ""
        for key, piece in self._stored_pieces(region):
            try:
                super()._read_region(piece)
            except Exception as found:  # codecs fail in ways of their own
                broken, error = f"chunk {key} of ", found
                break
        return InvalidInputError(
            f"{broken or 'A chunk of '}the zarr array {self._zarr.store_path} cannot be read "
            f"({type(error).__name__}: {error}). It is damaged, cut short, or cannot be reached; copy it again."
            + (_NEEDS_RANGES if self._zarr.shards and "HTTP" in str(self._zarr.store) else "")
        )

    def _stored_pieces(self, region: tuple[slice, ...]) -> list[tuple[str, tuple[slice, ...]]]:
        """Keys of the stored objects a region lies in, and the part of the region in each."""
        stored: list[slice] = [slice(0, 1)] * len(region)
        for part, place in zip(region, self._order, strict=True):
            stored[place] = part
        grid = self._zarr.shards or self._zarr.chunks
        ranges = [range(part.start // size, -(-part.stop // size)) for part, size in zip(stored, grid, strict=True)]
        pieces = []
        for cell in itertools.product(*ranges):
            inside = [
                slice(max(part.start, place * size), min(part.stop, (place + 1) * size))
                for part, place, size in zip(stored, cell, grid, strict=True)
            ]
            pieces.append((self._zarr.metadata.encode_chunk_key(cell), tuple(inside[place] for place in self._order)))
        return pieces

    def _is_there(self, key: str) -> bool:
        from zarr.core.sync import sync

        return bool(sync((self._zarr.store_path / key).exists()))


class ZarrReader:
    """Reads zarr arrays and OME-Zarr images: open ones, folders, zip files and URLs."""

    name = "zarr"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        if type(source).__module__.split(".")[0] == "zarr":
            return 2
        if is_url(source):
            return 1
        if not isinstance(source, Path):
            return 0
        if source.is_dir():
            is_zarr = any((source / name).exists() for name in _METADATA_FILES)
            return 2 if is_zarr or source.suffix.casefold() == ".zarr" else 0
        return 2 if source.suffix.casefold() in ZIP_SUFFIXES else 0

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open an array, or one resolution level of an image."""
        import zarr

        closes = None
        if isinstance(source, zarr.Array | zarr.Group):
            node, address = source, _address(source)
        else:
            address = str(source)
            node, closes = _opened(source)
        name = address.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
        try:
            return _volume(node, name, address, options, closes)
        except BaseException:
            if closes is not None:
                closes.close()
            raise


def _volume(node: Any, name: str, address: str, options: OpenOptions, closes: Any) -> Volume:
    import zarr

    if isinstance(node, zarr.Array):
        options.require_single(name)
        return ZarrVolume(node, axes=options.axes, name=name, address=address, closes=closes)
    image = OmeImage.from_attributes(dict(node.attrs), name)
    if image is None:
        child = _child(node, name, options.series)
        return _volume(child, name, address, replace(options, series=None), closes)
    if options.series is not None:
        raise InvalidInputError(f"{name} is one image; got series={options.series!r}.")
    number = 0 if options.level is None else options.level
    if not 0 <= number < len(image.paths):
        raise InvalidInputError(
            f"{name} has resolution levels 0 to {len(image.paths) - 1}; got level={options.level!r}."
        )
    array = node.get(image.paths[number])
    if not isinstance(array, zarr.Array):
        raise MissingFileError(
            f"{name} names an array {image.paths[number]!r} for level {number}, which is not there. The copy is "
            "incomplete."
        )
    if image.foreign_axes and options.axes is None:
        raise InvalidInputError(
            f"{name} has an axis {image.foreign_axes[0]!r}, which is none of t, c, z, y, x. Say what its {array.ndim} "
            f'dimensions {tuple(array.shape)} are, such as axes="{"tczyx"[-array.ndim :]}".'
        )
    letters = options.axes or image.axes or ("tczyx" if array.ndim == 5 else None)
    scale = {}
    if letters is not None and len(image.scales[number]) == len(letters):
        scale = dict(zip("".join(letters).casefold(), image.scales[number], strict=True))
    return ZarrVolume(
        array,
        axes=letters,
        name=name,
        address=address,
        closes=closes,
        scale=scale,
        units=image.units,
        channel_names=image.channel_names,
        levels=len(image.paths),
        level=number,
    )


def _child(group: Any, name: str, series: int | str | None) -> Any:
    """One array or image in a group that is no image itself."""
    children = dict(itertools.islice(group.members(max_depth=0), 1000))
    # what bioformats2raw writes beside its images
    images = {child: node for child, node in children.items() if child != "OME"}
    if not images:
        raise InvalidInputError(f"{name} is a zarr group that holds nothing. Expected an array or an OME-Zarr image.")
    if series is not None:
        child = group.get(str(series))
        if child is not None:
            return child
    elif len(images) == 1:
        return next(iter(images.values()))
    listed = ", ".join(sorted(images)[:_LISTED]) + (", …" if len(images) > _LISTED else "")
    problem = f"no item {series!r}" if series is not None else f"{len(images)} items and is not one image"
    raise InvalidInputError(
        f"{name} is a zarr group with {problem}. It holds {listed}: choose one with series=, such as "
        f'series="{min(images)}", or add it to the address.'
    )


def _opened(source: Path | str) -> tuple[Any, Any]:
    import zarr
    from fsspec.core import url_to_fs
    from zarr.errors import BaseZarrError

    closes = None
    store: Any
    try:
        if isinstance(source, Path) and source.is_file():
            with zipfile.ZipFile(source) as archive:  # zarr's store cannot be closed again where this fails
                inside = _folder_in(archive.namelist())
            closes = store = zarr.storage.ZipStore(source, mode="r")
            return zarr.open(store, mode="r", path=inside), closes
        elif isinstance(source, Path):
            store = zarr.storage.LocalStore(source, read_only=True)
        elif named_suffix(source) in ZIP_SUFFIXES and "::" not in source:
            chained = f"zip://::{source}"
            inside = _folder_in(url_to_fs(chained)[0].find(""))
            return zarr.open(_chained_store(chained), mode="r", path=inside), closes
        elif "::" in source:
            store = _chained_store(source)
        else:
            store = zarr.storage.FsspecStore.from_url(source, read_only=True)
        return zarr.open(store, mode="r"), closes
    except ImportError as error:
        raise missing_url_package(str(source), error) from error
    except (FileNotFoundError, BaseZarrError) as error:
        if isinstance(source, Path):
            raise InvalidInputError(
                f"{source!s} is not a zarr array or group ({error}). Its metadata (zarr.json, .zarray) are missing: "
                "the copy is incomplete, or it is another kind of folder under this name."
            ) from error
        raise MissingFileError(
            f"There is no zarr array or OME-Zarr image at {source!s}. Check the spelling, and that it may be read."
        ) from error
    except Exception as error:  # networks, zip files and metadata fail in ways of their own
        if closes is not None:
            closes.close()
        raise InvalidInputError(f"{source!s} cannot be opened ({type(error).__name__}: {error}).") from error


def _chained_store(url: str) -> zarr.storage.FsspecStore:
    """Store behind a chain of file systems, such as ``simplecache::https://…``.

    Chains work synchronously, in threads: few of fsspec's wrapping file systems can be told to be asynchronous.
    """
    import zarr
    from fsspec.core import url_to_fs
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    files, path = url_to_fs(url)
    return zarr.storage.FsspecStore(AsyncFileSystemWrapper(files, asynchronous=True), read_only=True, path=path)


def _folder_in(names: Sequence[str]) -> str:
    """Folder that a zip file holds alone, where somebody packed the folder and not what is in it."""
    folders = {name.split("/", 1)[0] for name in names if "/" in name}
    is_packed = len(folders) == 1 and not any(name in _METADATA_FILES for name in names)
    return folders.pop() if is_packed else ""


def _address(node: zarr.Array[Any] | zarr.Group) -> str:
    """Path or URL of something that is open already."""
    import zarr

    if isinstance(node.store, zarr.storage.LocalStore):
        return str(Path(node.store.root) / node.path)
    return str(node.store_path)


def _stamp(array: zarr.Array[Any]) -> FileStamp | None:
    """Stamp of a local array's metadata: written anew where somebody replaces the array."""
    import zarr

    if not isinstance(array.store, zarr.storage.LocalStore):
        return None
    folder = Path(array.store.root) / array.path
    file = next((folder / name for name in ("zarr.json", ".zarray") if (folder / name).exists()), None)
    return FileStamp.of(file) if file is not None else None


def _dimension_names(array: zarr.Array[Any]) -> str | None:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, Sequence) or len(names) != array.ndim:
        return None
    letters = [axis_letter(name) for name in names]
    known = set(letters) <= set("tczyx") and len(set(letters)) == len(letters) and {"y", "x"} <= set(letters)
    return "".join(letters) if known else None
