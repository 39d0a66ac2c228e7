"""From names to files: the cache first, the network only where it was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sam2_core.checkpoints import catalogue, fetch
from sam2_core.checkpoints.catalogue import CATALOGUE
from sam2_core.checkpoints.fetch import download_model, fetch_pretrained, locate_checkpoint
from sam2_core.errors import DownloadError, MissingFileError, UnknownModelError
from sam2_core.hooks import using_plugins
from tests.checkpoints.file_server import FileServer
from tests.hooks.added import plugins_adding

CONTENT = b"the weights of a model"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """The server of the tiny model, with the user's cache in a folder of the test."""
    for name in ("HF_HUB_OFFLINE", "SAM2_LAB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "cache"))
    file_server = FileServer(CONTENT)
    running = file_server.start()
    entry = replace(
        CATALOGUE["sam2.1_hiera_tiny"],
        url=file_server.url,
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    others = [one for one in CATALOGUE.values() if one.name != entry.name]
    with using_plugins(plugins_adding(entry, *others)):
        yield file_server
    running.shutdown()
    running.server_close()


def test_a_model_is_downloaded_once(server: FileServer, tmp_path: Path) -> None:
    first = download_model("sam2.1_hiera_tiny", progress=False)
    second = download_model("facebook/sam2.1-hiera-tiny", progress=False)

    assert first == second == tmp_path / "cache" / "sam2.1_hiera_tiny.pt"
    assert first.read_bytes() == CONTENT
    assert len(server.requests) == 1

    download_model("sam2.1_hiera_tiny", progress=False, force=True)
    assert len(server.requests) == 2


def test_force_replaces_a_damaged_file(server: FileServer) -> None:
    path = download_model("sam2.1_hiera_tiny", progress=False)
    path.write_bytes(b"x")

    assert download_model("sam2.1_hiera_tiny", progress=False, force=True).read_bytes() == CONTENT


def test_nothing_is_downloaded_unasked(server: FileServer) -> None:
    entry = catalogue.get_entry("sam2.1_hiera_tiny")
    with pytest.raises(MissingFileError, match=r"run 'sam2 download sam2.1_hiera_tiny' or pass download=True"):
        locate_checkpoint(entry)
    assert server.requests == []

    assert locate_checkpoint(entry, download=True, progress=False).read_bytes() == CONTENT
    assert locate_checkpoint(entry).read_bytes() == CONTENT


def test_offline_says_why(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_LAB_OFFLINE", "1")

    with pytest.raises(DownloadError, match="switched off by"):
        download_model("sam2.1_hiera_tiny", progress=False)


def test_a_shipped_model_without_its_file(tmp_path: Path) -> None:
    entry = replace(CATALOGUE["sam2.1_hiera_micro"], folder=tmp_path)
    with using_plugins(plugins_adding(entry)):
        for call in (
            lambda: download_model("sam2.1_hiera_micro", force=True),
            lambda: locate_checkpoint(entry, download=True),
            lambda: fetch_pretrained("sam2.1_hiera_micro"),
        ):
            with pytest.raises(MissingFileError, match="comes with the package"):
                call()

        (tmp_path / "sam2.1_hiera_micro.safetensors").write_bytes(CONTENT)
        assert fetch_pretrained("sam2.1_hiera_micro")[1].read_bytes() == CONTENT


def test_unknown_names() -> None:
    with pytest.raises(UnknownModelError):
        download_model("sam3_hiera_huge")
    with pytest.raises(UnknownModelError, match="the id of a repository"):
        fetch_pretrained("sam3_hiera_huge")


def test_an_official_model_in_our_cache_is_taken_without_the_hub(server: FileServer) -> None:
    path = download_model("sam2.1_hiera_tiny", progress=False)

    assert fetch_pretrained("facebook/sam2.1-hiera-tiny")[1] == path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["README.md", "model.safetensors", "sam2.pt"], "model.safetensors"),
        (["a.txt", "only.pt"], "only.pt"),
        (["only.safetensors"], "only.safetensors"),
    ],
)
def test_the_file_of_a_repository_is_chosen_where_it_is_clear(files: list[str], expected: str) -> None:
    assert fetch._choose_file("lab/model", files) == expected


@pytest.mark.parametrize("files", [[], ["README.md"], ["a.pt", "b.pt"]])
def test_otherwise_it_has_to_be_named(files: list[str]) -> None:
    with pytest.raises(DownloadError, match=r"lab/model: which weights file is meant.*file_name="):
        fetch._choose_file("lab/model", files)


class _Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as its client asks for."""

    protocol_version = "HTTP/1.1"
    files = {  # noqa: RUF012 - as constant as a test's table is
        "facebook/sam2.1-hiera-tiny": {"sam2.1_hiera_tiny.pt": b"official", "model.safetensors": b"other layout"},
        "lab/medical": {"first.pt": b"first", "second.pt": b"second"},
        "lab/single": {"README.md": b"hello", "fine_tuned.pt": b"fine-tuned"},
    }
    commit = "0123456789abcdef0123456789abcdef01234567"

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0].strip("/")
        if path.startswith("api/models/"):
            repository = "/".join(path.split("/")[2:4])
            listed = self.files.get(repository)
            siblings = [{"rfilename": name} for name in listed or ()]
            entries = [
                {"type": "file", "path": name, "size": len(body), "oid": "0"} for name, body in (listed or {}).items()
            ]
            answer: Any = entries if "/tree/" in path else {"id": repository, "sha": self.commit, "siblings": siblings}
            self._answer(200 if listed else 404, json.dumps(answer).encode(), "application/json")
            return
        repository, _, rest = path.partition("/resolve/")
        body = self.files.get(repository, {}).get(rest.split("/", 1)[-1])
        self._answer(404 if body is None else 200, body or b"", "application/octet-stream")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound" if b"{" in body or b"[" in body else "EntryNotFound")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def test_models_come_from_the_hub_and_stay_in_its_cache(tmp_path: Path, repository: Path) -> None:
    """The real client of the hub against a server on this machine; then the same without a server."""
    hub = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    environment = {
        **{name: value for name, value in os.environ.items() if "OFFLINE" not in name and "proxy" not in name.lower()},
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "SAM2_LAB_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(repository),
    }
    program = str(Path(__file__).with_name("hub_client.py"))

    def ask(*calls: dict[str, str], **more: str) -> Any:
        done = subprocess.run(
            [sys.executable, program, json.dumps(calls)],
            capture_output=True,
            text=True,
            env=environment | more,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    what_is_there = {"expect": hashlib.sha256(b"official").hexdigest()}
    another_file = {"expect": hashlib.sha256(b"another").hexdigest()}
    tiny = {"model_id": "facebook/sam2.1-hiera-tiny"}
    refused, still_refused = ask(another_file, tiny, tiny, HF_HOME=str(tmp_path / "another"))
    refused_offline = ask(another_file, tiny, HF_HOME=str(tmp_path / "another"), SAM2_LAB_OFFLINE="1")
    answers = ask(
        what_is_there,
        {"model_id": "facebook/sam2.1-hiera-tiny"},
        {"model_id": "sam2.1_hiera_tiny"},
        {"model_id": "facebook/sam2.1-hiera-tiny", "file_name": "model.safetensors"},
        {"model_id": "lab/single"},
        {"model_id": "lab/medical", "file_name": "second.pt"},
        {"model_id": "lab/medical"},
        {"model_id": "lab/medical", "file_name": "third.pt"},
    )
    (kept,) = (tmp_path / "hub").rglob("sam2.1_hiera_tiny.pt")
    kept.resolve().write_bytes(b"0fficial")
    mended = ask(what_is_there, {"model_id": "sam2.1_hiera_tiny"})
    kept.resolve().write_bytes(b"0fficial")
    kept.unlink()
    mended += ask(what_is_there, {"model_id": "sam2.1_hiera_tiny"})
    hub.shutdown()
    hub.server_close()
    offline = ask(
        what_is_there, {"model_id": "sam2.1_hiera_tiny"}, {"model_id": "sam2_hiera_tiny"}, SAM2_LAB_OFFLINE="1"
    )

    assert mended == [["sam2.1_hiera_tiny", "sam2.1_hiera_tiny.pt", "official"]] * 2
    for kind, message in (refused, still_refused, *refused_offline):
        assert kind == "CheckpointError"
        assert "is not the published sam2.1_hiera_tiny.pt" in message
    assert answers[:5] == [
        ["sam2.1_hiera_tiny", "sam2.1_hiera_tiny.pt", "official"],
        ["sam2.1_hiera_tiny", "sam2.1_hiera_tiny.pt", "official"],
        ["sam2.1_hiera_tiny", "model.safetensors", "other layout"],
        [None, "fine_tuned.pt", "fine-tuned"],
        [None, "second.pt", "second"],
    ]
    assert answers[5][0] == answers[6][0] == "DownloadError"
    assert "first.pt, second.pt" in answers[5][1]
    assert "third.pt" in answers[6][1]
    assert offline[0] == ["sam2.1_hiera_tiny", "sam2.1_hiera_tiny.pt", "official"]
    assert offline[1][0] == "DownloadError"
    assert "switched off" in offline[1][1]
