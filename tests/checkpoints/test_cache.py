"""The cache folder, what is recorded about files, and how damage is noticed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sam2_core.checkpoints import cache
from sam2_core.checkpoints.cache import (
    cache_folder,
    cached_checkpoint,
    file_sha256,
    is_offline,
    read_record,
    verify_file,
    write_record,
)
from sam2_core.checkpoints.catalogue import CATALOGUE
from sam2_core.errors import CheckpointError

TINY = CATALOGUE["sam2.1_hiera_tiny"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a cache folder of its own."""
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path))
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    path.write_bytes(b"weights")
    return path


def small_entry(path: Path):  # type: ignore[no-untyped-def]
    return replace(TINY, size_bytes=path.stat().st_size, sha256=file_sha256(path))


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAM2_LAB_CACHE", raising=False)
    assert "sam2-lab" in cache_folder().parts

    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path

    monkeypatch.setenv("SAM2_LAB_CACHE", "~/models")
    assert cache_folder() == Path.home() / "models"


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False)])
def test_offline_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("SAM2_LAB_OFFLINE", value)

    assert is_offline() is offline


def test_a_record_says_what_a_file_is(weights: Path) -> None:
    assert read_record(weights) is None

    written = write_record(weights, "https://example.org/x", file_sha256(weights))

    assert read_record(weights) == written
    verify_file(weights)
    verify_file(weights, thorough=True)


def test_an_unreadable_record_counts_as_none(weights: Path) -> None:
    weights.with_name(weights.name + ".json").write_text("{", encoding="utf-8")

    assert read_record(weights) is None


def test_a_file_of_another_length_is_refused(weights: Path) -> None:
    write_record(weights, "", file_sha256(weights))
    weights.write_bytes(b"weigh")

    with pytest.raises(CheckpointError, match=r"has 5 bytes, expected 7; delete it"):
        verify_file(weights)


def test_changed_bytes_are_noticed_by_the_time_or_by_a_thorough_check(weights: Path) -> None:
    record = write_record(weights, "", file_sha256(weights))
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(record.modified_ns, record.modified_ns))
    verify_file(weights)  # nothing to see from outside

    with pytest.raises(CheckpointError, match="sha256"):
        verify_file(weights, thorough=True)
    os.utime(weights)
    with pytest.raises(CheckpointError, match="sha256"):
        verify_file(weights)


def test_a_file_that_was_only_touched_is_still_good(weights: Path) -> None:
    write_record(weights, "https://example.org/x", file_sha256(weights))
    os.utime(weights, ns=(1, 1))

    verify_file(weights)

    record = read_record(weights)
    assert record is not None
    assert (record.modified_ns, record.url) == (1, "https://example.org/x")


def test_a_file_put_there_by_hand_has_to_be_the_official_one(weights: Path) -> None:
    small = small_entry(weights)
    assert cached_checkpoint(small) == weights
    assert read_record(weights) is not None

    with pytest.raises(CheckpointError, match=f"has 7 bytes, expected {TINY.size_bytes}"):
        cached_checkpoint(TINY)
    with pytest.raises(CheckpointError, match="sha256"):
        cached_checkpoint(replace(small, sha256="0" * 64))


def test_a_model_that_is_not_here_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "nowhere"))

    assert cached_checkpoint(TINY) is None


@pytest.fixture
def hub_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the cache of the hub's client, found under its link."""
    import huggingface_hub

    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "ours"))
    blob, link = tmp_path / "blobs" / "0123", tmp_path / "snapshots" / "found.pt"
    blob.parent.mkdir()
    link.parent.mkdir()
    blob.write_bytes(b"weights")
    try:
        link.symlink_to(blob)
    except OSError:  # Windows without the right to make links: the hub's client has plain files then
        link.write_bytes(b"weights")
    found = {("facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt"): str(link)}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *what: found.get(what))
    return link


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read through for their checksum."""
    read: list[Path] = []
    monkeypatch.setattr(cache, "file_sha256", lambda path: read.append(path) or file_sha256(path))
    return read


def test_a_file_of_the_hub_cache_is_read_through_once(hub_file: Path, read_files: list[Path], tmp_path: Path) -> None:
    entry = small_entry(hub_file)

    assert cached_checkpoint(entry) == cached_checkpoint(entry) == hub_file
    assert read_files == [hub_file.resolve()]
    # nothing of ours lies in the hub's folders
    assert {path.name for path in tmp_path.rglob("*.json")} == {"sam2.1_hiera_tiny.pt.hub.json"}
    assert [path.name for path in hub_file.parent.iterdir()] == ["found.pt"]

    os.utime(hub_file, ns=(1, 1))
    assert cached_checkpoint(entry) == cached_checkpoint(entry) == hub_file
    assert len(read_files) == 2


def test_another_file_in_the_hub_cache_is_refused_every_time(hub_file: Path) -> None:
    other = replace(small_entry(hub_file), sha256="0" * 64)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"is not the published sam2.1_hiera_tiny.pt"):
            cached_checkpoint(other)
    with pytest.raises(CheckpointError, match=f"has 7 bytes, expected {TINY.size_bytes}"):
        cached_checkpoint(TINY)


def test_the_record_of_one_file_says_nothing_about_another(
    hub_file: Path, read_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    entry = small_entry(hub_file)
    cached_checkpoint(entry)
    times = hub_file.stat().st_mtime_ns
    second = tmp_path / "second.pt"
    second.write_bytes(b"WEIGHTS")
    os.utime(second, ns=(times, times))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *what: str(second))

    with pytest.raises(CheckpointError, match="sha256"):
        cached_checkpoint(entry)


def test_what_is_written_while_a_file_is_read_is_not_trusted(hub_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = small_entry(hub_file)

    def written_meanwhile(path: Path) -> str:
        found = file_sha256(path)
        path.write_bytes(b"WEIGHTS")
        os.utime(path, ns=(1, 1))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(cache, "file_sha256", written_meanwhile)
        cached_checkpoint(entry)
    with pytest.raises(CheckpointError, match="sha256"):
        cached_checkpoint(entry)


def test_a_cache_that_cannot_be_written_still_serves(hub_file: Path, tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(b"a file where the folder would be")

    assert cached_checkpoint(small_entry(hub_file)) == hub_file


def test_a_file_that_was_exchanged_for_the_published_one_is_taken(weights: Path) -> None:
    write_record(weights, "", file_sha256(weights))
    weights.write_bytes(b"newer weights")

    assert cached_checkpoint(small_entry(weights)) == weights
    record = read_record(weights)
    assert record is not None
    assert record.sha256 == file_sha256(weights)
