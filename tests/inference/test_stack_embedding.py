"""A stack's features are stored ahead, a stopped run goes on, and what it will take is known before."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.stack_embedding import embed_stack
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.embedding_store import EmbeddingStore
from tests.inference.counting_frames import CountingFrames
from tests.inference.feature_scene import counted_batches, written
from tests.inference.video_scene import FRAME_COUNT, small_predictor, stack


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store", quota_bytes=2**30)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return counted_batches(monkeypatch)


def test_what_is_ahead_is_known_before(predictor: SAM2VideoPredictor, store: EmbeddingStore) -> None:
    embedding = embed_stack(predictor, stack(), store)

    assert len(embedding) == FRAME_COUNT
    assert embedding.needed_bytes == store.needed(FRAME_COUNT, predictor)
    assert (embedding.usage.quota_bytes, embedding.usage.entries) == (2**30, 0)
    list(embedding)
    assert store.usage().stored_bytes == embedding.needed_bytes


@pytest.mark.parametrize("batch", [1, 3])
def test_a_stopped_run_goes_on_where_it_was(
    predictor: SAM2VideoPredictor,
    store: EmbeddingStore,
    encoded: list[int],
    batch: int,
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "a.tif", stack())
    first = list(islice(embed_stack(predictor, path, store, batch=batch), 3))
    assert [one.frame_index for one in first] == [0, 1, 2]
    assert [(one.done, one.total) for one in first] == [(1, FRAME_COUNT), (2, FRAME_COUNT), (3, FRAME_COUNT)]
    assert sum(encoded) == store.usage().entries == 3
    second = list(embed_stack(predictor, path, store, batch=batch))

    assert [one.was_stored for one in second] == [True] * 3 + [False] * 5
    assert second[-1].done == FRAME_COUNT
    assert sum(encoded) == store.usage().entries == FRAME_COUNT
    assert max(encoded) == batch


def test_the_predictor_finds_what_was_stored(
    predictor: SAM2VideoPredictor,
    store: EmbeddingStore,
    encoded: list[int],
) -> None:
    list(embed_stack(predictor, stack(), store))
    encoded.clear()
    state = predictor.init_state(stack(), embedding_store=store)
    predictor.prompt_points(state, 0, "cell", [[20.0, 30.0]], [1])
    assert len(list(predictor.propagate(state))) == FRAME_COUNT
    assert encoded == []


def test_each_frame_is_read_once(predictor: SAM2VideoPredictor, store: EmbeddingStore) -> None:
    source = CountingFrames(stack())
    list(embed_stack(predictor, source, store))
    assert sorted(source.reads) == list(range(FRAME_COUNT))

    source.reads.clear()
    some = list(embed_stack(predictor, source, store, frames=[6, 2]))
    assert [(one.frame_index, one.was_stored, one.total) for one in some] == [(6, True, 2), (2, True, 2)]
    assert sorted(set(source.reads)) == [0, 2, 6]


def test_what_has_no_room_is_refused_before_anything_is_encoded(
    predictor: SAM2VideoPredictor,
    encoded: list[int],
    tmp_path: Path,
) -> None:
    store = EmbeddingStore(tmp_path, quota_bytes=5 * EmbeddingStore(tmp_path).needed(1, predictor))
    with pytest.raises(InvalidInputError, match=r"8 frames of array take .*quota .*Choose fewer"):
        embed_stack(predictor, stack(), store)
    for bad in ({"frames": [8]}, {"frames": [-1]}, {"batch": 0}):
        with pytest.raises(InvalidInputError, match=r"no frame|batch"):
            embed_stack(predictor, stack(), store, **bad)
    assert encoded == []
    assert len(list(embed_stack(predictor, stack(), store, frames=range(5)))) == 5
    assert store.usage().entries == 5
