"""EmbeddingStore: image features on disk, so that no frame is encoded twice by anybody on this machine.

On disk there is one zarr array (v3) for each :class:`FeatureSpace`, with axes (slot, slot, value): a frame's levels,
finest first, each (y, x, channel), one behind the other as one chunk of float16 with a CRC32C. The slot is the digest
of the frame's pixels itself, so that nothing has to be allotted, looked up or locked: the array is as good as endless,
and only chunks that were written exist. One entry is one file, which appears whole under its name or not at all.
"""

from __future__ import annotations

import logging
import operator
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from filelock import FileLock

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.embedding_store_hints import FrameHints
from sam2_core.volumes.embedding_store_key import STORED_DTYPE, EmbeddingKey, FeatureSpace, feature_bytes
from sam2_core.volumes.embedding_store_quota import EntryFiles, default_quota

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

    from sam2_core.model.frame_segmenter import FrameSegmenter
    from sam2_core.volumes.frame_stack import FrameStack

_LOGGER = logging.getLogger(__name__)

# part of every path: a store of another layout is another store
_LAYOUT = "1"
_SLOTS = 2**48
_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class StoreUsage:
    """What a store holds.

    Attributes
    ----------
    entries : int
        Frames (or tiles) in it.
    stored_bytes, quota_bytes : int
        What they take on disk, and the most that they may.
    free_bytes : int
        What the disk has left.
    """

    entries: int
    stored_bytes: int
    quota_bytes: int
    free_bytes: int


def embeddings_folder() -> Path:
    """Where the store lies unless told otherwise.

    Returns
    -------
    Path
        ``$SAM2_LAB_EMBEDDINGS`` where set, otherwise ``embeddings`` in the platform's cache folder of this user. It may
        not exist yet.
    """
    chosen = os.environ.get("SAM2_LAB_EMBEDDINGS")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("sam2-lab", appauthor=False)) / "embeddings"


class EmbeddingStore:
    """Image features on disk, shared by all programs and processes of one person.

    Reading and writing never fail for reasons of the store's own: an entry that is damaged or gone counts as absent
    (and is dropped), and where nothing can be written (disk full, read-only folder) a warning is logged once and
    features are encoded as if there were no store.

    Parameters
    ----------
    folder : path, optional
        Made where it does not exist. By default :func:`embeddings_folder`.
    quota_bytes : int, optional
        Upper limit of what is stored; entries not used for longest make room for new ones. By default 64 GiB, or half
        of what the disk has left.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        ``quota_bytes`` is no positive whole number, or ``folder`` is a file or cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, quota_bytes: int | None = None) -> None:
        try:
            quota = None if quota_bytes is None else operator.index(quota_bytes)
        except TypeError:
            raise InvalidTypeError(f"quota_bytes is a whole number of bytes; got {quota_bytes!r}") from None
        if quota is not None and quota < 1:
            raise InvalidInputError(f"quota_bytes is a positive number of bytes; got {quota}")
        self.folder = Path(folder) if folder is not None else embeddings_folder()
        self._entries_folder = self.folder / _LAYOUT
        try:
            self._entries_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(
                f"{self.folder} cannot be used for the embedding store ({error}); name a folder that can be written "
                "to, by folder= or the environment variable SAM2_LAB_EMBEDDINGS"
            ) from error
        self.quota_bytes = default_quota(self._entries_folder) if quota is None else quota
        self._files = EntryFiles(self._entries_folder, self.quota_bytes)
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._has_warned = False

    def __reduce__(self) -> tuple[Callable[..., EmbeddingStore], tuple[Path, int]]:
        return type(self), (self.folder, self.quota_bytes)

    def __repr__(self) -> str:
        return f"EmbeddingStore({str(self.folder)!r}, quota_bytes={self.quota_bytes})"

    def __contains__(self, key: EmbeddingKey) -> bool:
        """Whether there is an entry, without reading it."""
        return self._path(key).is_file()

    def has_space(self, space: FeatureSpace) -> bool:
        """Whether there are entries of a space, or were: a quick look, to be had before any frame is read."""
        return self._metadata_path(space).is_file()

    def touch(self, key: EmbeddingKey) -> bool:
        """Whether there is an entry, which counts as used now."""
        path = self._path(key)
        if not path.is_file():
            return False
        self._files.touched(path)
        return True

    def get(self, key: EmbeddingKey) -> tuple[NDArray[np.float16], ...] | None:
        """Read an entry.

        Parameters
        ----------
        key : EmbeddingKey

        Returns
        -------
        tuple of ndarray (y, x, channel), float16, or None
            The levels, finest first, which may be read-only; None where there is no (undamaged) entry.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            array = self._open(key.space)
            if array is None:
                return None
            values = np.asarray(array[key.slot], dtype=np.float16)
            levels = _split(values, _level_shapes(array))
        except Exception as error:  # zarr and its codecs raise many types; whatever it is, the entry cannot be had
            self._drop(path, error)
            return None
        if np.isnan(values[0]):
            return None  # evicted between the look and the reading: zarr gives the fill value
        self._files.touched(path)
        return levels

    def put(self, key: EmbeddingKey, levels: Sequence[NDArray[np.float16]]) -> bool:
        """Write an entry, once others were evicted where it would exceed the quota.

        Parameters
        ----------
        key : EmbeddingKey
        levels : sequence of ndarray (y, x, channel), float16
            Finest first.

        Returns
        -------
        bool
            Whether it was stored: not if it alone is larger than the quota, begins with NaN, or cannot be written.

        Raises
        ------
        InvalidInputError
            Levels of another dtype or number of axes.
        """
        if not levels or any(level.ndim != 3 or level.dtype != np.float16 for level in levels):
            described = [f"{level.shape} {level.dtype}" for level in levels]
            raise InvalidInputError(f"expected levels (y, x, channel) of float16, got {described}")
        values = np.concatenate([level.reshape(-1) for level in levels])
        size = values.nbytes + _CHECKSUM_BYTES
        if size > self.quota_bytes or values.size == 0 or np.isnan(values[0]):
            return False
        shapes = [level.shape for level in levels]
        path = self._path(key)
        try:
            array = self._fitting(key.space, shapes) or self._create(key.space, shapes)
            is_new = not path.is_file()
            if is_new:
                self._files.make_room(size)
            array[key.slot] = values
        except Exception as error:  # as above; features that are not stored are encoded again, no more
            self._warn(error)
            return False
        if is_new:
            self._files.added(size)
        return True

    def usage(self) -> StoreUsage:
        """Say what is stored, and how much more could be."""
        sizes = [file.size for file in self._files]
        free = shutil.disk_usage(self._entries_folder).free
        return StoreUsage(len(sizes), sum(sizes), self.quota_bytes, free)

    def needed(self, frames: int, model: FrameSegmenter) -> int:
        """Bytes that features of so many frames take here: 8.4 MB a frame at 1024 px.

        Parameters
        ----------
        frames : int
            Number of frames (or tiles).
        model : FrameSegmenter
            The model that encodes them.
        """
        return frames * (feature_bytes(model) + _CHECKSUM_BYTES)

    def hints(self, stack: FrameStack) -> FrameHints:
        """Look-up hints for the frames of a stack, see :class:`FrameHints`."""
        return FrameHints(self._entries_folder / "hints", stack)

    def clear(self) -> None:
        """Delete everything in the store."""
        self._arrays.clear()
        self._files.clear()

    def _space_folder(self, space: FeatureSpace) -> Path:
        return self._entries_folder / space.digest

    def _metadata_path(self, space: FeatureSpace) -> Path:
        return self._space_folder(space) / "zarr.json"

    def _path(self, key: EmbeddingKey) -> Path:
        first, second = key.slot
        return self._space_folder(key.space) / f"c.{first}.{second}.0"

    def _open(self, space: FeatureSpace) -> zarr.Array[Any] | None:
        """The array of a space; None where there is none."""
        import zarr

        array = self._arrays.get(space.digest)
        if array is None:
            if not self._metadata_path(space).is_file():
                return None
            array = zarr.open_array(self._space_folder(space), mode="r+", config=_array_config())
            self._arrays[space.digest] = array
        return array

    def _fitting(self, space: FeatureSpace, shapes: Sequence[tuple[int, ...]]) -> zarr.Array[Any] | None:
        """The array of a space, if it is there, undamaged, and for levels of these shapes."""
        if not self._metadata_path(space).is_file():
            return None
        try:
            array = self._open(space)
            return array if array is not None and _level_shapes(array) == list(shapes) else None
        except Exception as error:  # zarr raises many types for metadata that are none
            _LOGGER.warning("embedding store: the array %s is damaged and made anew (%s)", space.digest, error)
            return None

    def _create(self, space: FeatureSpace, shapes: Sequence[tuple[int, ...]]) -> zarr.Array[Any]:
        """Make the array of a space anew: there is none, or one that does not fit (and can only be damaged)."""
        import zarr
        from zarr.codecs import Crc32cCodec

        size = sum(int(np.prod(shape)) for shape in shapes)
        with FileLock(self._entries_folder / f"{space.digest}.lock"):
            self._arrays.pop(space.digest, None)
            found = self._fitting(space, shapes)
            if found is not None:
                return found  # another process made it meanwhile
            self._arrays[space.digest] = zarr.create_array(
                str(self._space_folder(space)),
                shape=(_SLOTS, _SLOTS, size),
                chunks=(1, 1, size),
                dtype=STORED_DTYPE,
                # read where no chunk is, so that absence shows
                fill_value=float("nan"),
                filters=None,
                # features are noise to a compressor: 5 % smaller at ten times the time
                compressors=[Crc32cCodec()],
                chunk_key_encoding={"name": "default", "separator": "."},
                attributes={
                    "sam2_lab_embeddings": _LAYOUT,
                    "weights": space.weights,
                    "preprocessing": space.preprocessing,
                    "dtype": space.dtype,
                    "levels": [list(shape) for shape in shapes],
                },
                overwrite=True,
                config=_array_config(),
            )
        return self._arrays[space.digest]

    def _drop(self, path: Path, error: Exception) -> None:
        """Let go of what cannot be read: the entry, or the array's metadata, which the next entry makes anew."""
        _LOGGER.warning(
            "embedding store: dropped %s, which is damaged (%s: %s)", path.name, type(error).__name__, error
        )
        self._arrays.clear()
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            _LOGGER.warning(
                "embedding store: features cannot be kept in %s (%s: %s); they are encoded again when needed. Free "
                "some space, or choose another folder (SAM2_LAB_EMBEDDINGS) or a smaller quota.",
                self.folder,
                type(error).__name__,
                error,
            )


def _array_config() -> Any:
    # zarr leaves out chunks that are all fill value, and looks at every value to find out
    return {"write_empty_chunks": True}


def _level_shapes(array: zarr.Array[Any]) -> list[tuple[int, ...]]:
    levels: Any = array.attrs["levels"]
    return [tuple(int(side) for side in shape) for shape in levels]


def _split(values: NDArray[np.float16], shapes: Sequence[tuple[int, ...]]) -> tuple[NDArray[np.float16], ...]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    if values.shape != (ends[-1],):
        raise ValueError(f"{values.shape} values for levels of shapes {list(shapes)}")
    parts = np.split(values, ends[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
