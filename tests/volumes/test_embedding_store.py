"""What was put in comes out, whole or not at all, whoever else reads, writes, evicts or is killed meanwhile."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.embedding_store import EmbeddingStore, embeddings_folder
from sam2_core.volumes.embedding_store_key import FeatureSpace
from sam2_core.volumes.embedding_store_quota import EntryFiles
from tests.inference.video_scene import small_predictor
from tests.volumes.embedding_entries import ENTRY_BYTES, SHAPES, SPACE, holds, key, levels

REPOSITORY = Path(__file__).resolve().parents[2]


def entry_files(store: EmbeddingStore) -> list[Path]:
    return sorted(store.folder.glob("1/*/c.*"))


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store", quota_bytes=100 * ENTRY_BYTES)


def test_entries_come_back_as_they_were_also_in_another_store_object(store: EmbeddingStore) -> None:
    assert not holds(store, 0)
    for number in range(3):
        assert store.put(key(number), levels(number))
    other_space = FeatureSpace("weights", "image 64x64", "float32")
    again = EmbeddingStore(store.folder, store.quota_bytes)

    assert all(holds(again, number) and key(number) in again for number in range(3))
    assert not holds(again, 3)
    assert key(3) not in again
    assert not holds(again, 0, other_space)
    usage = again.usage()
    assert (usage.entries, usage.stored_bytes, usage.quota_bytes) == (3, 3 * ENTRY_BYTES, 100 * ENTRY_BYTES)
    assert usage.free_bytes > 0


def test_what_is_on_disk_is_an_ordinary_zarr_array(store: EmbeddingStore) -> None:
    store.put(key(5), levels(5))
    array = zarr.open_array(store.folder / "1" / SPACE.digest, mode="r")

    np.testing.assert_array_equal(array[key(5).slot], np.concatenate([level.ravel() for level in levels(5)]))
    assert array.dtype == np.float16
    assert array.chunks == (1, 1, array.shape[2])
    assert array.attrs["levels"] == [list(shape) for shape in SHAPES]
    assert (array.attrs["weights"], array.attrs["preprocessing"]) == ("weights", "frame 64x64")


def test_zeros_are_features_too(store: EmbeddingStore) -> None:
    zeros = [np.zeros(shape, np.float16) for shape in SHAPES]
    assert store.put(key(0), zeros)

    found = store.get(key(0))
    assert found is not None
    assert not any(level.any() for level in found)


def test_what_is_needed_is_what_is_used(tmp_path: Path) -> None:
    predictor: SAM2VideoPredictor = small_predictor()
    store = EmbeddingStore(tmp_path)
    shapes = [tuple(level.shape[1:]) for level in predictor.forward_image(_image(predictor)).maps]
    store.put(key(0), [np.ones((height, width, channels), np.float16) for channels, height, width in shapes])

    assert store.needed(3, predictor) == 3 * store.usage().stored_bytes


def _image(predictor: SAM2VideoPredictor) -> object:
    import torch

    return torch.zeros(1, 3, *predictor.input_size)


def test_entries_not_used_for_longest_make_room(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, quota_bytes=10 * ENTRY_BYTES)
    for number in range(10):
        store.put(key(number), levels(number))
        os.utime(store._path(key(number)), (1000 + number,) * 2)
    assert holds(store, 0)
    assert store.touch(key(1))
    store.put(key(10), levels(10))

    assert [number for number in range(11) if holds(store, number)] == [0, 1, 4, 5, 6, 7, 8, 9, 10]
    assert store.usage().stored_bytes <= 10 * ENTRY_BYTES


def test_the_quota_holds_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EmbeddingStore(tmp_path, quota_bytes=5 * ENTRY_BYTES // 2)
    most: list[int] = []
    real = EntryFiles.added

    def noting(files: EntryFiles, size: int) -> None:
        most.append(store.usage().stored_bytes)
        real(files, size)

    monkeypatch.setattr(EntryFiles, "added", noting)
    for number in range(9):
        assert store.put(key(number), levels(number))

    assert len(most) == 9
    assert max(most) == 2 * ENTRY_BYTES
    assert holds(store, 8)


def test_a_smaller_quota_holds_from_the_next_entry_on(store: EmbeddingStore) -> None:
    for number in range(20):
        store.put(key(number), levels(number))
    smaller = EmbeddingStore(store.folder, quota_bytes=5 * ENTRY_BYTES)
    smaller.put(key(20), levels(20))

    assert smaller.usage().stored_bytes <= 5 * ENTRY_BYTES
    assert holds(smaller, 20)
    assert not EmbeddingStore(store.folder, quota_bytes=ENTRY_BYTES - 1).put(key(21), levels(21))


def test_what_a_killed_process_left_behind_goes_with_time(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, quota_bytes=4 * ENTRY_BYTES)
    store.put(key(0), levels(0))
    old, young = (entry_files(store)[0].with_suffix(f".{age}.partial") for age in ("old", "young"))
    for path in (old, young):
        path.write_bytes(bytes(ENTRY_BYTES))
    os.utime(old, (1000, 1000))
    os.utime(young, (time.time() - 60,) * 2)
    for number in range(1, 5):
        store.put(key(number), levels(number))

    assert not old.exists()
    assert young.exists()
    assert holds(store, 4)


@pytest.mark.parametrize("damage", ["cut", "empty", "a bit", "longer", "no checksum"])
def test_a_damaged_entry_is_dropped_and_written_anew(
    store: EmbeddingStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(key(0), levels(0))
    store.put(key(1), levels(1))
    path = store._path(key(0))
    content = bytearray(path.read_bytes())
    content[777] ^= 4 if damage == "a bit" else 0
    end = {"cut": 1000, "empty": 0, "no checksum": -4}.get(damage)
    path.write_bytes(bytes(content[:end]) + (b"more" if damage == "longer" else b""))
    caplog.set_level(logging.WARNING)

    assert store.get(key(0)) is None
    assert "damaged" in caplog.text
    assert not path.exists()
    assert holds(store, 1)
    assert store.put(key(0), levels(0))
    assert holds(store, 0)


@pytest.mark.parametrize("content", ["", "{}", "no json", '{"zarr_format": 3, "node_type": "group"}'])
def test_damaged_metadata_are_written_anew(store: EmbeddingStore, content: str) -> None:
    store.put(key(0), levels(0))
    (store.folder / "1" / SPACE.digest / "zarr.json").write_text(content)
    again = EmbeddingStore(store.folder, store.quota_bytes)

    assert again.get(key(0)) is None
    assert again.put(key(0), levels(0))
    assert holds(again, 0)
    assert holds(EmbeddingStore(store.folder), 0)


def test_a_store_that_is_cleared_underneath_goes_on(store: EmbeddingStore) -> None:
    other = EmbeddingStore(store.folder, store.quota_bytes)
    store.put(key(0), levels(0))
    assert holds(other, 0)
    other.clear()
    assert not holds(store, 0)
    assert store.usage().entries == 0
    assert store.put(key(0), levels(0))
    assert holds(other, 0)


def test_where_nothing_can_be_written_the_user_is_told_once(
    store: EmbeddingStore, caplog: pytest.LogCaptureFixture
) -> None:
    (store.folder / "1" / SPACE.digest).write_text("a file where the array should be")
    caplog.set_level(logging.WARNING)

    assert not store.put(key(0), levels(0))
    assert not store.put(key(1), levels(1))
    assert not holds(store, 0)
    assert caplog.text.count("features cannot be kept") == 1
    assert "SAM2_LAB_EMBEDDINGS" in caplog.text


def test_a_full_disk_is_no_error_of_the_user(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(key(0), levels(0))

    def full(path: Path, *arguments: object, **options: object) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("zarr.storage._local._put", full)
    assert not store.put(key(1), levels(1))
    assert "No space left" in caplog.text
    monkeypatch.undo()
    assert holds(store, 0)
    assert not holds(store, 1)
    assert store.put(key(1), levels(1))


def test_bad_input_is_refused(tmp_path: Path, store: EmbeddingStore) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="quota_bytes"):
        EmbeddingStore(tmp_path, quota_bytes=0)
    for quota in ("1GB", 1.5):
        with pytest.raises(InvalidTypeError, match="whole number of bytes"):
            EmbeddingStore(tmp_path, quota_bytes=quota)
    with pytest.raises(InvalidInputError, match="SAM2_LAB_EMBEDDINGS"):
        EmbeddingStore(tmp_path / "file" / "store")
    with pytest.raises(InvalidInputError, match="float32"):
        store.put(key(0), [np.zeros((2, 2, 2), np.float32)])
    assert not store.put(key(0), [np.full((2, 2, 2), np.nan, np.float16)])


def test_the_folder_is_the_platforms_unless_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_LAB_EMBEDDINGS", str(tmp_path / "chosen"))
    assert EmbeddingStore().folder == tmp_path / "chosen"
    assert 0 < EmbeddingStore().quota_bytes <= 64 * 2**30
    monkeypatch.delenv("SAM2_LAB_EMBEDDINGS")
    assert embeddings_folder().name == "embeddings"
    assert "sam2-lab" in embeddings_folder().parts


def test_a_store_travels_to_another_process(store: EmbeddingStore) -> None:
    store.put(key(0), levels(0))
    copy = pickle.loads(pickle.dumps(store))

    assert (copy.folder, copy.quota_bytes) == (store.folder, store.quota_bytes)
    assert holds(copy, 0)


# -- several processes -------------------------------------------------------------------------------------------------

WORKER = """
import sys
from tests.volumes.embedding_entries import ENTRY_BYTES, EmbeddingStore, holds, key, levels
store = EmbeddingStore(sys.argv[1], quota_bytes=int(sys.argv[2]) * ENTRY_BYTES)
print("ready", flush=True)
for turn in range(int(sys.argv[4])):
    for number in range(int(sys.argv[3])):
        if not holds(store, number):
            store.put(key(number), levels(number))
print("done", store._has_warned, flush=True)
"""


def start(folder: Path, quota: int, numbers: int, turns: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(quota), str(numbers), str(turns)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


def finished(worker: subprocess.Popen[str]) -> str:
    try:
        output, _ = worker.communicate(timeout=120)
    finally:
        worker.kill()
    assert worker.returncode == 0
    return output.splitlines()[-1]


@pytest.mark.parametrize("quota", [1000, 20], ids=["room for all", "evicting"])
def test_processes_read_write_and_evict_at_once(tmp_path: Path, quota: int) -> None:
    workers = [start(tmp_path, quota, numbers=30, turns=3) for _ in range(2)]

    assert [finished(worker) for worker in workers] == ["done False"] * 2
    store = EmbeddingStore(tmp_path, quota_bytes=quota * ENTRY_BYTES)
    found = [number for number in range(30) if holds(store, number)]
    assert found == list(range(30)) if quota == 1000 else 0 < len(found) < 30
    assert not list(tmp_path.rglob("*.partial"))


def test_kill_9_in_the_middle_leaves_whole_entries_only(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, quota_bytes=10_000 * ENTRY_BYTES)
    for _ in range(2):
        before = store.usage().entries
        worker = start(tmp_path, 10_000, numbers=100_000, turns=1)
        deadline = time.monotonic() + 100
        while store.usage().entries < before + 10 and time.monotonic() < deadline:
            time.sleep(0.002)
        worker.kill()
        worker.communicate()

    whole = [path for path in entry_files(store) if path.suffix != ".partial"]
    assert len(whole) >= 20
    assert all(path.stat().st_size == ENTRY_BYTES for path in whole)
    assert sum(holds(store, number) for number in range(len(whole))) == len(whole)
    assert store.put(key(100_000), levels(0))


def test_a_half_written_entry_is_never_used(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends between the first bytes and the last, as a power cut or kill -9 would have it."""
    script = """
import os, sys, pathlib
from tests.volumes.embedding_entries import ENTRY_BYTES, EmbeddingStore, key, levels
store = EmbeddingStore(sys.argv[1], quota_bytes=100 * ENTRY_BYTES)
store.put(key(0), levels(0))
opened = pathlib.Path.open
class Half:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *error): self.file.close()
    def write(self, view):
        self.file.write(bytes(view)[: len(bytes(view)) // 2]); self.file.flush(); os._exit(9)
def half(path, mode="r", *arguments, **options):
    file = opened(path, mode, *arguments, **options)
    return Half(file) if "w" in mode else file
pathlib.Path.open = half
store.put(key(1), levels(1))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(store.folder)], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=False
    )

    assert ended.returncode == 9
    assert list(store.folder.rglob("*.partial"))
    assert holds(store, 0)
    assert not holds(store, 1)
    assert store.put(key(1), levels(1))
    assert holds(store, 1)
