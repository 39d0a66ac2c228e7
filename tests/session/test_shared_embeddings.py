"""Sessions and the embedding store that all programs of a person share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_core.inference.stack_embedding import embed_stack
from sam2_core.volumes.embedding_store import EmbeddingStore, embeddings_folder
from sam2_core.volumes.frames import open_frames
from tests.session.job_scene import Gate, frames, new_session, predictor


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingStore:
    monkeypatch.setenv("SAM2_LAB_EMBEDDINGS", str(tmp_path / "embeddings"))
    return EmbeddingStore()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate(predictor())
    yield gate
    gate.remove()


def click(*, shares: bool, folder: Path | None = None) -> int:
    """Click on a frame of a new session; how many pixels were found."""
    with new_session() as session:
        session.worker_options = {"encodes_ahead": False, "measures": False}
        if shares:
            session.share_embeddings(folder)
        one = session.add_object()
        session.add_points(one.id, 2, [[45, 30]])
        session.segment(one.id, 2)
        return int(session.mask(one.id, 2).sum())


def test_what_the_command_line_encoded_is_not_encoded_again(gate: Gate, store: EmbeddingStore) -> None:
    for _ in embed_stack(predictor(), open_frames(frames()), store):
        pass
    encoded = gate.encoded
    assert store.usage().entries == len(frames())
    assert click(shares=True) > 0
    assert gate.encoded == encoded
    assert click(shares=False) > 0
    assert gate.encoded == encoded + 1


def test_what_a_session_encoded_is_kept(gate: Gate, store: EmbeddingStore) -> None:
    first = click(shares=True)
    assert store.usage().entries == 1
    assert click(shares=True) == first
    assert gate.encoded == 1


def test_without_a_store_it_works_all_the_same(gate: Gate, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert click(shares=True, folder=tmp_path / "file") > 0
    assert "Without an embedding store" in caplog.text


def test_the_front_ends_share_it(tmp_path: Path) -> None:
    annotation = pytest.importorskip("sam2_jupyter.annotation", reason="needs anywidget; install the extra jupyter")
    widget = annotation.annotate(open_frames(frames()), model=None)
    assert widget.session.worker_options["embeddings"] == str(embeddings_folder())
    widget.close()
