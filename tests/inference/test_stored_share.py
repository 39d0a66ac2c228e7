"""How much is stored is seen from few pictures, however many there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_core.inference.frame_features import FrameFeatures
from sam2_core.inference.stored_share import LOOKED_UP, READ, stored_count
from sam2_core.inference.video_frames import prepared_frames
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.embedding_store import EmbeddingStore
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames
from tests.inference.counting_frames import CountingFrames
from tests.inference.feature_scene import written
from tests.inference.video_scene import FRAME_COUNT, small_predictor, stack


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def opened(predictor: SAM2VideoPredictor, source: FrameStack, store: EmbeddingStore | None) -> FrameFeatures:
    frames = prepared_frames(source, input_size=predictor.input_size, device=predictor.device, store=store)
    return FrameFeatures(predictor, frames, store=store, ahead=0)


def test_of_a_file_it_is_exact_and_reads_nothing(
    predictor: SAM2VideoPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store = written(tmp_path / "a.tif", stack()), EmbeddingStore(tmp_path / "store")
    opened(predictor, open_frames(path), store).encode([0, 1, 5])
    first = opened(predictor, open_frames(path), store)
    for index in range(FRAME_COUNT):
        first.is_stored(index)  # now it is known what each frame holds
    features = opened(predictor, open_frames(path), store)
    monkeypatch.setattr(FrameStack, "read_raw", lambda *_: pytest.fail("a frame was read"))
    assert stored_count(FRAME_COUNT, lambda number: (features, number)) == 3
    assert stored_count(2, lambda number: (features, (0, 7)[number])) == 1
    assert stored_count(0, lambda number: (features, number)) == 0


def test_of_an_array_a_few_frames_are_read(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 16, 16)).astype(np.uint8)
    store = EmbeddingStore(tmp_path / "store")
    source = CountingFrames(pixels)
    features = opened(predictor, source, store)
    assert stored_count(40, lambda number: (features, number)) == 0
    assert source.reads == []  # nothing was ever stored: there is nothing to look for
    for stored, expected in ((range(20), 20), (range(40), 40)):
        opened(predictor, open_frames(pixels), store).encode(list(stored))
        source.reads.clear()
        assert stored_count(40, lambda number: (features, number)) == expected
        assert len(source.reads) <= READ


def test_of_very_many_few_are_looked_up(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    path, store = written(tmp_path / "a.tif", stack()), EmbeddingStore(tmp_path / "store")
    features = opened(predictor, open_frames(path), store)
    features.encode(list(range(FRAME_COUNT // 2)))
    for index in range(FRAME_COUNT):
        features.is_stored(index)
    asked: list[int] = []

    def picture(number: int) -> tuple[FrameFeatures, int]:
        asked.append(number)
        return features, number % FRAME_COUNT

    found = stored_count(10**6, picture)
    assert len(asked) <= LOOKED_UP + 1
    assert found == pytest.approx(5 * 10**5, rel=0.1)


def test_without_a_store_nothing_is_stored(predictor: SAM2VideoPredictor) -> None:
    features = opened(predictor, open_frames(stack()), None)
    assert stored_count(FRAME_COUNT, lambda number: (features, number)) == 0
