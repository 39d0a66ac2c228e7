"""Which kept sessions are offered for an image; no viewer is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("napari", reason="needs napari: uv pip install --group test")

from sam2_napari import session_folders
from sam2_napari.session_folders import forget, known_sessions, remember


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(session_folders, "sessions_folder", lambda: tmp_path)
    return tmp_path


def make(folder: Path, changed: float, **description: object) -> Path:
    folder.mkdir()
    (folder / "session.db").write_bytes(b"")
    os.utime(folder / "session.db", (changed, changed))
    remember(folder, description)
    return folder


def test_those_of_the_same_image_the_one_changed_last_first(kept: Path) -> None:
    old, new = make(kept / "old", 100, name="a"), make(kept / "new", 200, name="a")
    make(kept / "other", 300, name="b")
    (old / "session.db-wal").write_bytes(b"")
    os.utime(old / "session.db-wal", (400, 400))

    assert [(one.folder, one.changed) for one in known_sessions({"name": "a"})] == [(old, 400.0), (new, 200.0)]


def test_one_that_is_being_removed_is_not_offered(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going = make(kept / "going", 100, name="a")
    stays = make(kept / "stays", 50, name="a")
    stat = Path.stat

    def removed_meanwhile(path: Path, **options: object) -> os.stat_result:
        if path.parent == going:
            forget(going)
        return stat(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "stat", removed_meanwhile)

    assert [one.folder for one in known_sessions({"name": "a"})] == [stays]
