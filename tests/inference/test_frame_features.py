"""Features are encoded once, and the same whether they come from the model, from memory or from the store."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference import video_predictor
from sam2_core.inference.compiled_parts import compile_forward
from sam2_core.inference.frame_features import FrameFeatures, frames_ahead_at_once
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.inference.video_frames import PreparedFrames, open_prepared_frames
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.model.results import ImageFeatures
from sam2_core.volumes import open_frames
from sam2_core.volumes.embedding_store import EmbeddingStore
from sam2_core.volumes.embedding_store_key import feature_bytes
from tests.inference.counting_frames import CountingFrames
from tests.inference.feature_scene import counted_batches, written
from tests.inference.video_scene import FRAME_COUNT, INPUT_SIZE, small_predictor, stack

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store", quota_bytes=2**30)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    return counted_batches(monkeypatch)


def frames(source: Any = None, store: EmbeddingStore | None = None, **options: Any) -> PreparedFrames:
    source = stack() if source is None else source
    return open_prepared_frames(source, input_size=(INPUT_SIZE, INPUT_SIZE), device=CPU, store=store, **options)


def assert_same(found: ImageFeatures, expected: ImageFeatures) -> None:
    for one, other in zip((*found.maps, *found.positions), (*expected.maps, *expected.positions), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()
        assert one.dtype == other.dtype


def test_without_a_store_features_are_the_models_own(predictor: SAM2VideoPredictor) -> None:
    images = frames()
    features = FrameFeatures(predictor, images)
    for index in (0, 1, 5):
        found = features.get(index)
        with torch.inference_mode():
            assert_same(found, predictor.forward_image(images[index][None]))
        assert features.get(index) is found


def test_with_a_store_features_are_rounded_before_their_first_use(
    predictor: SAM2VideoPredictor, store: EmbeddingStore
) -> None:
    images = frames(store=store)
    found = FrameFeatures(predictor, images, store=store).get(3)
    with torch.inference_mode():
        exact = predictor.forward_image(images[3][None])

    for level, other in zip(found.maps, exact.maps, strict=True):
        assert torch.equal(level, other.half().float())
    assert_same(ImageFeatures(exact.maps, found.positions), exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_stored_and_fresh_features_agree_in_every_bit(store: EmbeddingStore, dtype: torch.dtype) -> None:
    predictor = small_predictor().to(dtype)
    fresh = FrameFeatures(predictor, frames(store=store), store=store)
    stored = FrameFeatures(predictor, frames(store=store), store=store)
    for index in range(3):
        assert_same(stored.get(index), fresh.get(index))
    assert store.usage().entries == 3


def test_tracking_with_a_full_store_equals_tracking_with_an_empty_one(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int]
) -> None:
    results = []
    for _ in range(2):
        state = predictor.init_state(stack(), embedding_store=store)
        predictor.prompt_points(state, 2, "cell", [[20.0, 30.0]], [1])
        found = [*predictor.propagate(state, 2), *predictor.propagate(state, 2, reverse=True)]
        results.append(torch.stack([result.logits for result in found]))
        state.close()

    assert encoded == [1] * FRAME_COUNT
    assert torch.equal(results[0], results[1])


def test_a_first_click_encodes_its_frame_only(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int]
) -> None:
    source = CountingFrames(stack())
    state = predictor.init_state(source, embedding_store=store, feature_batch=4, feature_memory_bytes=2**30)
    predictor.prompt_points(state, 5, "cell", [[20.0, 30.0]], [1])

    assert encoded == [1]
    # the first one is looked at when the stack is opened
    assert source.reads == [0, 5]
    assert store.usage().entries == 1
    state.close()


@pytest.mark.parametrize("with_store", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_frames_are_encoded_ahead_in_batches_in_the_direction_of_travel(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int], reverse: bool, with_store: bool
) -> None:
    used = store if with_store else None
    source = CountingFrames(stack())
    features = FrameFeatures(predictor, frames(source, used), store=used, batch=3, memory_bytes=2**30)
    single = FrameFeatures(predictor, frames(store=used), store=used)
    order = list(range(FRAME_COUNT))[:: -1 if reverse else 1]
    found = [features.get(index) for index in order]

    assert encoded == [1, 3, 3, 1]
    assert sorted(set(source.reads)) == list(range(FRAME_COUNT))
    assert len(source.reads) <= FRAME_COUNT + 1
    for index, one in zip(order, found, strict=True):
        for level, other in zip(one.maps, single.get(index).maps, strict=True):
            torch.testing.assert_close(level, other, rtol=0, atol=2e-3 * float(other.abs().max()))
    # nothing of a batch is kept alive by its neighbours
    assert all(level.untyped_storage().nbytes() <= level.nbytes * 2 for one in found for level in one.maps)


def test_memory_holds_no_more_than_its_budget_and_positions_once(predictor: SAM2VideoPredictor) -> None:
    size = feature_bytes(predictor, itemsize=4)
    features = FrameFeatures(predictor, frames(), memory_bytes=3 * size + 5)
    found = []
    for index in range(FRAME_COUNT):
        found.append(features.get(index))
        assert features.resident_bytes <= 3 * size
    assert {id(one.positions) for one in found} == {id(found[0].positions)}
    assert features.get(FRAME_COUNT - 1) is found[-1]
    assert features.get(0) is not found[0]

    none = FrameFeatures(predictor, frames(), memory_bytes=0, batch=4)
    assert none.get(0) is none.get(0)
    assert none.resident_bytes == size
    none.close()
    assert none.resident_bytes == 0


def test_a_known_file_is_not_read_again(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int], tmp_path: Path, monkeypatch: Any
) -> None:
    path = written(tmp_path / "a.tif", stack())
    for index in range(FRAME_COUNT):
        FrameFeatures(predictor, frames(path, store), store=store).get(index)
    assert encoded == [1] * FRAME_COUNT
    images = frames(path, store)
    monkeypatch.setattr(type(images.stack), "_read_raw", None)
    features = FrameFeatures(predictor, images, store=store, ahead=2)
    for index in range(1, FRAME_COUNT):
        features.get(index)
    features.close()

    assert encoded == [1] * FRAME_COUNT


def test_content_that_changes_under_the_same_address_is_encoded_anew(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int], tmp_path: Path
) -> None:
    before = FrameFeatures(predictor, frames(written(tmp_path / "a.tif", stack()), store), store=store).get(1)
    path = written(tmp_path / "a.tif", stack(seed=1))
    os.utime(path, (time.time() - 500,) * 2)
    after = FrameFeatures(predictor, frames(path, store), store=store).get(1)
    expected = FrameFeatures(predictor, frames(stack(seed=1))).get(1)

    assert not torch.equal(after.maps[2], before.maps[2])
    assert torch.equal(after.maps[2], expected.maps[2].half().float())
    # the old content is known still, under whatever name
    FrameFeatures(predictor, frames(stack(), store), store=store).get(1)
    assert len(encoded) == 3


def test_other_weights_and_preprocessing_are_told_apart(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int]
) -> None:
    FrameFeatures(predictor, frames(store=store), store=store).get(0)
    other = small_predictor()
    with torch.no_grad():
        other.image_encoder.neck.convs[0].conv.bias += 1  # type: ignore[union-attr, operator]
    FrameFeatures(other, frames(store=store), store=store).get(0)
    transform = FrameTransform(INPUT_SIZE, "image")
    FrameFeatures(predictor, PreparedFrames(open_frames(stack()), transform, CPU, store=store), store=store).get(0)
    assert encoded == [1, 1, 1]

    FrameFeatures(predictor, frames(store=store), store=store).get(0)
    assert encoded == [1, 1, 1]
    assert store.usage().entries == 3


def test_a_damaged_or_evicted_entry_is_computed_again(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.tif", stack())
    expected = FrameFeatures(predictor, frames(path, store), store=store).get(2)
    (entry,) = store.folder.glob("1/*/c.*")
    entry.write_bytes(entry.read_bytes()[:-9])
    assert_same(FrameFeatures(predictor, frames(path, store), store=store).get(2), expected)
    store.clear()
    assert_same(FrameFeatures(predictor, frames(path, store), store=store).get(2), expected)
    assert encoded == [1, 1, 1]


def test_what_was_read_ahead_may_be_gone_by_then(
    predictor: SAM2VideoPredictor, store: EmbeddingStore, encoded: list[int], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.tif", stack())
    first = FrameFeatures(predictor, frames(path, store), store=store)
    expected = [first.get(index) for index in range(FRAME_COUNT)]
    encoded.clear()
    features = FrameFeatures(predictor, frames(path, store), store=store, ahead=3)
    for index in range(FRAME_COUNT):
        assert_same(features.get(index), expected[index])
        if index == 3:
            store.clear()
    features.close()
    assert len(encoded) <= FRAME_COUNT - 4


def test_bad_input_is_refused(predictor: SAM2VideoPredictor, store: EmbeddingStore) -> None:
    for options in ({"memory_bytes": -1}, {"batch": 0}, {"ahead": -1}):
        with pytest.raises(InvalidInputError, match="memory_bytes"):
            FrameFeatures(predictor, frames(), **options)
    with pytest.raises(IndexError, match="8 frames"):
        FrameFeatures(predictor, frames()).get(8)
    with pytest.raises(StateError, match="without an embedding store"):
        FrameFeatures(predictor, frames(), store=store).get(0)
    predictor.train()
    try:
        with pytest.raises(StateError, match="training"):
            FrameFeatures(predictor, frames(store=store), store=store)
    finally:
        predictor.eval()


def test_a_tracker_encodes_ahead_as_many_as_suit_its_device(
    predictor: SAM2VideoPredictor, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frames_ahead_at_once(predictor) == 1
    monkeypatch.setattr(video_predictor, "frames_ahead_at_once", lambda model: 3)
    for chosen, expected in ((None, [1, 3, 3, 1]), (1, [1] * FRAME_COUNT)):
        encoded.clear()
        state = predictor.init_state(stack(), feature_batch=chosen)
        predictor.prompt_points(state, 0, "cell", [[20.0, 30.0]], [1])
        assert len(list(predictor.propagate(state))) == FRAME_COUNT
        assert encoded == expected
        state.close()


def test_a_gpu_takes_several_frames_unless_the_encoder_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = torch.nn.Identity()
    gpu = cast("SAM2VideoPredictor", SimpleNamespace(device=torch.device("cuda"), image_encoder=encoder))
    assert frames_ahead_at_once(gpu) == 4
    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)  # the compiler takes half a minute to load
    compile_forward(encoder)
    assert frames_ahead_at_once(gpu) == 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_batches_change_no_mask_by_much(encoded: list[int]) -> None:
    predictor = small_predictor().to("cuda")
    found = []
    for chosen in (None, 1):
        encoded.clear()
        state = predictor.init_state(stack(), feature_batch=chosen)
        predictor.prompt_points(state, 0, "cell", [[20.0, 30.0]], [1])
        found.append(torch.stack([result.logits for result in predictor.propagate(state)]))
        assert max(encoded) == (4 if chosen is None else 1)
        state.close()
    assert ((found[0] > 0) == (found[1] > 0)).float().mean() > 0.99
