"""Equal inputs have equal keys, and whatever changes features changes the key."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sam2_core.errors import StateError
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.embedding_store_key import (
    EmbeddingKey,
    FeatureSpace,
    encoder_digest,
    feature_bytes,
    feature_shapes,
    feature_space,
    pixels_digest,
)
from tests.inference.video_scene import INPUT_SIZE, small_predictor

PIXELS = arrays.arrays(
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5),
    elements=st.integers(0, 3),
)
WORDS = st.text(max_size=4)


@pytest.fixture(scope="module")
def original() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def predictor(original: SAM2VideoPredictor) -> SAM2VideoPredictor:
    return copy.deepcopy(original)


@given(PIXELS, PIXELS)
def test_pixels_have_one_digest_exactly_if_they_are_the_same(first: np.ndarray, second: np.ndarray) -> None:
    same = first.shape == second.shape and first.dtype == second.dtype and np.array_equal(first, second)

    assert (pixels_digest(first) == pixels_digest(second)) == same
    assert pixels_digest(np.asfortranarray(first)) == pixels_digest(first.copy())
    assert pixels_digest(np.repeat(first, 2, axis=0)[::2]) == pixels_digest(first)


@given(st.tuples(WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS), PIXELS)
def test_spaces_differ_where_any_part_does(
    first: tuple[str, str, str], second: tuple[str, str, str], pixels: np.ndarray
) -> None:
    one, other = FeatureSpace(*first), FeatureSpace(*second)

    assert (one.digest == other.digest) == (first == second)
    assert (one.key(pixels) == other.key(pixels)) == (first == second)
    assert one.key(pixels) == one.key(pixels_digest(pixels))


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_slots_come_from_the_digest_and_fit_the_array(first: int, second: int) -> None:
    space = FeatureSpace("w", "p", "d")
    one, other = (EmbeddingKey(space, f"{number:032x}") for number in (first, second))

    assert all(0 <= position < 2**48 for position in one.slot)
    assert (one.slot == other.slot) == (first >> 32 == second >> 32)


@given(
    sizes=st.tuples(*[st.sampled_from([64, 96])] * 4),
    ways=st.tuples(*[st.sampled_from(["image", "frame", "decoder"])] * 2),
    means=st.tuples(*[st.sampled_from([0.4, 0.5])] * 2),
)
@settings(max_examples=50)
def test_preprocessing_is_described_completely(
    sizes: tuple[int, ...], ways: tuple[str, str], means: tuple[float, float]
) -> None:
    one = FrameTransform(sizes[:2], ways[0], mean=(means[0], 0.5, 0.5))
    other = FrameTransform(sizes[2:], ways[1], mean=(means[1], 0.5, 0.5))

    same = (sizes[:2], ways[0], means[0]) == (sizes[2:], ways[1], means[1])
    assert (one.description == other.description) == same


def test_models_with_the_same_weights_share_a_digest(predictor: SAM2VideoPredictor) -> None:
    digest = encoder_digest(predictor)

    assert encoder_digest(predictor) == digest
    assert encoder_digest(copy.deepcopy(predictor)) == digest


@pytest.mark.parametrize("part", ["image_encoder.trunk.blocks.1.norm1.bias", "sam_mask_decoder.conv_s1.weight"])
@pytest.mark.parametrize("way", ["in place", "through data", "replaced"])
def test_a_weight_that_features_depend_on_changes_the_digest(
    predictor: SAM2VideoPredictor, part: str, way: str
) -> None:
    before = encoder_digest(predictor)
    weight = predictor.get_parameter(part)
    if way == "in place":
        with torch.no_grad():
            weight.view(-1)[0] += 1  # not the value that is compared
    elif way == "through data":
        weight.data += 1
    else:
        state = {name: tensor.clone() for name, tensor in predictor.state_dict().items()}
        state[part].view(-1)[0] += 1
        predictor.load_state_dict(state, assign=True)

    assert encoder_digest(predictor) != before


def test_weights_that_features_do_not_depend_on_change_nothing(predictor: SAM2VideoPredictor) -> None:
    before = encoder_digest(predictor)
    with torch.no_grad():
        for name, weight in predictor.named_parameters():
            if not name.startswith(("image_encoder.", "sam_mask_decoder.conv_s")):
                weight += 1

    assert encoder_digest(predictor) == before


def test_options_that_no_weight_shows_change_the_digest(predictor: SAM2VideoPredictor) -> None:
    other = copy.deepcopy(predictor)
    other.image_encoder.trunk.blocks[1].window_size = 4  # type: ignore[union-attr, index, operator]

    assert encoder_digest(other) != encoder_digest(predictor)


def test_precision_and_preprocessing_are_part_of_the_space(predictor: SAM2VideoPredictor) -> None:
    space = feature_space(predictor, "frame")
    assert space.dtype == "float32"
    assert feature_space(predictor, "image") != space
    lower = feature_space(predictor.bfloat16(), "frame")
    assert lower.dtype == "bfloat16"
    assert lower.weights != space.weights


def test_a_model_in_training_has_no_digest(predictor: SAM2VideoPredictor) -> None:
    with pytest.raises(StateError, match=r"eval\(\)"):
        encoder_digest(predictor.train())


@pytest.mark.parametrize("fine", [True, False])
def test_shapes_are_known_without_encoding(predictor: SAM2VideoPredictor, fine: bool) -> None:
    predictor.use_high_res_features_in_sam = fine
    predictor.num_feature_levels = 3 if fine else 1
    with torch.inference_mode():
        features = predictor.forward_image(torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE))

    assert feature_shapes(predictor) == tuple(tuple(level.shape[1:]) for level in features.maps)
    assert feature_bytes(predictor) == sum(2 * level.numel() for level in features.maps)
