"""Downloads from a server on this machine: whole, cut off, continued, damaged, refused."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_core.checkpoints import download as download_module
from sam2_core.checkpoints.cache import read_record
from sam2_core.checkpoints.download import download_file
from sam2_core.errors import CheckpointError, DownloadError
from tests.checkpoints.file_server import FileServer

CONTENT = random.Random(0).randbytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("SAM2_LAB_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download_module, "_FIRST_PAUSE_S", 0.0)
    file_server = FileServer(CONTENT)
    running = file_server.start()
    yield file_server
    running.shutdown()
    running.server_close()


def fetch(server: FileServer, folder: Path, **options: object) -> Path:
    return download_file(server.url, folder / "weights.pt", **{"progress": False, **options})  # type: ignore[arg-type]


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"weights.pt", "weights.pt.json", "weights.pt.lock"}


def test_a_file_arrives_whole_and_is_recorded(server: FileServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path / "new" / "folder", sha256=SHA256, size_bytes=len(CONTENT))

    record = read_record(path)
    assert path.read_bytes() == CONTENT
    assert record is not None
    assert (record.url, record.size_bytes, record.sha256) == (server.url, len(CONTENT), SHA256)
    assert leftovers(path.parent) == set()


def test_a_file_that_is_here_is_not_downloaded_again_unless_forced(server: FileServer, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    fetch(server, tmp_path)

    assert len(server.requests) == 1
    server.content = CONTENT[::-1]
    assert fetch(server, tmp_path, force=True).read_bytes() == CONTENT[::-1]


def test_progress_is_told_in_bytes(server: FileServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []

    fetch(server, tmp_path, progress=lambda here, total: told.append((here, total)))

    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [here for here, _ in told] == sorted(here for here, _ in told)


def test_a_bar_is_drawn_on_standard_error(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(server, tmp_path, progress=True)

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "weights.pt" in printed.err


def test_a_cut_connection_is_taken_up_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [300_000, 100_000]

    path = fetch(server, tmp_path, sha256=SHA256)

    assert path.read_bytes() == CONTENT
    ranges = [request.get("Range") for request in server.requests]
    assert ranges == [None, "bytes=300000-", "bytes=400000-"]
    assert all(request.get("If-Range") for request in server.requests[1:])


def test_a_later_call_continues_where_an_earlier_one_gave_up(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [250_000]
    with pytest.raises(DownloadError, match=r"250000 bytes are kept; the same call continues"):
        fetch(server, tmp_path, retries=0)
    assert not (tmp_path / "weights.pt").exists()

    fetch(server, tmp_path, sha256=SHA256)

    assert server.requests[-1]["Range"] == "bytes=250000-"
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
    assert leftovers(tmp_path) == set()


def test_cancelling_from_the_progress_call_keeps_what_came(server: FileServer, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(here: int, total: int | None) -> None:
        if here:
            raise Cancelled

    server.content = CONTENT * 3
    with pytest.raises(Cancelled):
        fetch(server, tmp_path, progress=cancel)
    assert (tmp_path / "weights.pt.part").stat().st_size > 0

    assert fetch(server, tmp_path).read_bytes() == CONTENT * 3
    assert server.requests[-1]["Range"] is not None


def test_a_file_that_changed_on_the_server_starts_anew(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [250_000]
    with pytest.raises(DownloadError):
        fetch(server, tmp_path, retries=0)
    server.content = CONTENT[::-1]

    assert fetch(server, tmp_path).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("lacks", ["ranges", "etag", "announce_length"])
def test_servers_with_less_to_offer(server: FileServer, tmp_path: Path, lacks: str) -> None:
    setattr(server, lacks, False)
    if lacks != "announce_length":
        server.cut_after = [250_000]

    assert fetch(server, tmp_path, sha256=SHA256, size_bytes=len(CONTENT)).read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_already_is_accepted(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [250_000]
    with pytest.raises(DownloadError):
        fetch(server, tmp_path, retries=0)
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)

    assert fetch(server, tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"has sha256 {SHA256}, expected 0000"):
        fetch(server, tmp_path, sha256="0" * 64)

    assert not (tmp_path / "weights.pt").exists()
    assert leftovers(tmp_path) == set()


def test_an_unexpected_size_is_refused_before_the_transfer(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"announces 700000 bytes, expected 5"):
        fetch(server, tmp_path, size_bytes=5)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_not_taken_for_a_file(server: FileServer, tmp_path: Path, content_type: str) -> None:
    server.content, server.content_type = b"\n<!DOCTYPE html><html>please log in</html>", content_type

    with pytest.raises(DownloadError, match="web page"):
        fetch(server, tmp_path)

    assert not (tmp_path / "weights.pt").exists()


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_final(server: FileServer, tmp_path: Path, status: int) -> None:
    server.status = [status] * 9

    with pytest.raises(DownloadError, match=f"answered {status}"):
        fetch(server, tmp_path)

    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.status = [503, 429, 500]

    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_server_that_is_not_there(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="failed after 2 attempts"):
        download_file("http://127.0.0.1:9/weights.pt", tmp_path / "weights.pt", progress=False, retries=1)


@pytest.mark.parametrize("variable", ["SAM2_LAB_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_forbids_the_network_and_says_so(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")

    with pytest.raises(DownloadError, match="switched off"):
        fetch(server, tmp_path)

    assert server.requests == []


def test_offline_a_file_that_is_here_is_used(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(server, tmp_path)
    monkeypatch.setenv("SAM2_LAB_OFFLINE", "1")

    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_only_web_addresses(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="http or https"):
        download_file("file:///etc/hostname", tmp_path / "x")


def test_two_downloads_at_once_are_one_transfer(server: FileServer, tmp_path: Path) -> None:
    started = threading.Event()
    server.while_sending = lambda start: started.set()
    threads = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
        started.wait(5)
    for thread in threads:
        thread.join(20)

    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_damaged_file_in_the_cache_is_noticed(server: FileServer, tmp_path: Path) -> None:
    path = fetch(server, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"x")

    with pytest.raises(CheckpointError, match="sha256"):
        fetch(server, tmp_path)
