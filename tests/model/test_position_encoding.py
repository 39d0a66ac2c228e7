"""Position encodings against their formulas in other words, and rotary tables against complex numbers."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import ConfigError
from sam2_core.model.position_encoding import (
    PositionEmbeddingRandom,
    PositionEmbeddingSine,
    get_1d_sine_pe,
    rotary_table,
    rotate,
    rotate_halves,
)
from tests.model.small_models import noise

CPU = torch.device("cpu")


def sine_of(position: float, pair: int, pairs: int) -> tuple[float, float]:
    """Sine and cosine of one position in one of `pairs` channel pairs."""
    angle = position / 10000 ** (2 * pair / (2 * pairs))
    return math.sin(angle), math.cos(angle)


def test_sine_grid_follows_the_formula() -> None:
    encoding = PositionEmbeddingSine(16).grid(5, 9, CPU, torch.float32)[0]

    for y, x in [(0, 0), (4, 8), (2, 3)]:
        for pair in range(4):
            expected_y = sine_of((y + 1) / (5 + 1e-6) * 2 * math.pi, pair, 4)
            expected_x = sine_of((x + 1) / (9 + 1e-6) * 2 * math.pi, pair, 4)
            assert encoding[2 * pair : 2 * pair + 2, y, x].tolist() == pytest.approx(expected_y, abs=1e-5)
            assert encoding[8 + 2 * pair : 10 + 2 * pair, y, x].tolist() == pytest.approx(expected_x, abs=1e-5)


def test_sine_grid_without_normalisation_counts_pixels() -> None:
    encoding = PositionEmbeddingSine(8, normalize=False).grid(3, 3, CPU, torch.float32)[0]

    assert encoding[:2, 2, 0].tolist() == pytest.approx([math.sin(3), math.cos(3)], abs=1e-6)


def test_sine_forward_repeats_the_grid_in_the_dtype_of_the_map() -> None:
    encoding = PositionEmbeddingSine(8)
    result = encoding(torch.zeros(3, 99, 4, 6, dtype=torch.bfloat16))

    assert result.shape == (3, 8, 4, 6)
    assert result.dtype == torch.bfloat16
    # Computed in float32 and cast, not computed in bfloat16.
    assert torch.equal(result[1:2], encoding.grid(4, 6, CPU, torch.float32).bfloat16())


def test_sine_points_and_boxes() -> None:
    encoding = PositionEmbeddingSine(8)
    x, y = torch.tensor([[0.25, 0.5]]), torch.tensor([[0.75, 1.0]])

    points = encoding.encode_points(x, y, torch.tensor([[1.0, 0.0]]))
    boxes = encoding.encode_boxes(x[0], y[0], torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4]))

    assert points.shape == (1, 2, 9)
    assert points[0, 0, :2].tolist() == pytest.approx(sine_of(0.75 * 2 * math.pi, 0, 2), abs=1e-6)
    assert points[0, 0, 4:6].tolist() == pytest.approx(sine_of(0.25 * 2 * math.pi, 0, 2), abs=1e-6)
    assert points[0, :, 8].tolist() == [1.0, 0.0]
    assert torch.allclose(boxes[:, :8], points[0, :, :8])
    assert torch.allclose(boxes[:, 8:], torch.tensor([[0.3, 0.1], [0.4, 0.2]]))


def test_sine_refuses_what_cannot_be() -> None:
    with pytest.raises(ConfigError):
        PositionEmbeddingSine(7)
    with pytest.raises(ConfigError):
        PositionEmbeddingSine(8, normalize=False, scale=1.0)


def test_random_features_of_a_grid_are_those_of_its_pixel_centres() -> None:
    encoding = PositionEmbeddingRandom(8)
    height, width = 3, 5
    centres = torch.tensor([[[x + 0.5, y + 0.5] for y in range(height) for x in range(width)]])

    of_points = encoding.forward_with_coords(centres, (height, width))

    assert encoding((height, width)).shape == (16, height, width)
    torch.testing.assert_close(of_points[0].T.reshape(16, height, width), encoding((height, width)))


def test_random_features_are_sines_of_projected_positions() -> None:
    encoding = PositionEmbeddingRandom(4)
    matrix = encoding.positional_encoding_gaussian_matrix.double().numpy()
    x, y = 30.0, 10.0
    angle = 2 * np.pi * (np.array([2 * x / 40 - 1, 2 * y / 20 - 1]) @ matrix)

    result = encoding.forward_with_coords(torch.tensor([[[x, y]]]), (20, 40))

    np.testing.assert_allclose(result[0, 0].numpy(), np.concatenate([np.sin(angle), np.cos(angle)]), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_random_frequencies_stay_exact_in_narrow_models(dtype: torch.dtype) -> None:
    encoding = PositionEmbeddingRandom(8)
    exact = encoding.positional_encoding_gaussian_matrix.clone()

    encoding.to(dtype)

    assert torch.equal(encoding.positional_encoding_gaussian_matrix, exact)
    assert encoding((4, 4)).dtype == torch.float32


def test_cached_tables_follow_the_weights() -> None:
    encoding = PositionEmbeddingRandom(8)
    first = encoding((4, 4)).clone()

    encoding.load_state_dict({"positional_encoding_gaussian_matrix": noise(2, 8, seed=3)})

    assert not torch.allclose(encoding((4, 4)), first)


def test_tables_made_in_inference_mode_serve_training() -> None:
    sine = PositionEmbeddingSine(8)
    with torch.inference_mode():
        sine(torch.zeros(1, 8, 4, 4))

    parameter = torch.ones(1, requires_grad=True)
    (sine(torch.zeros(1, 8, 4, 4)) * parameter).sum().backward()

    assert parameter.grad is not None


def test_caches_are_neither_copied_nor_pickled() -> None:
    sine = PositionEmbeddingSine(8)
    table = sine.grid(4, 4, CPU, torch.float32)

    for other in (copy.deepcopy(sine), pickle.loads(pickle.dumps(sine))):
        assert torch.equal(other.grid(4, 4, CPU, torch.float32), table)


def test_line_encoding_is_sines_then_cosines() -> None:
    encoding = get_1d_sine_pe(torch.tensor([0.0, 1.5]), 8)

    wavelength = [10000 ** (2 * (channel // 2) / 4) for channel in range(4)]
    assert encoding[0].tolist() == [0.0] * 4 + [1.0] * 4
    assert encoding[1].tolist() == pytest.approx(
        [math.sin(1.5 / w) for w in wavelength] + [math.cos(1.5 / w) for w in wavelength], abs=1e-6
    )


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([4, 8, 32]), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_rotation_is_multiplication_with_complex_numbers(height: int, width: int, dim: int, seed: int) -> None:
    x = noise(2, 1, height * width, dim, seed=seed)
    cosine, sine = rotary_table(dim, height, width, 10000.0, CPU)

    # Channel pairs as complex numbers: the first half of them turns with x, the second with y.
    complex_x = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    index = torch.arange(height * width)
    frequency = 10000.0 ** (-torch.arange(0, dim, 4).double()[: dim // 4] / dim)
    angle = torch.cat([torch.outer(index % width, frequency), torch.outer(index // width, frequency)], dim=-1)
    expected = torch.view_as_real(complex_x * torch.polar(torch.ones_like(angle), angle)).flatten(-2)

    torch.testing.assert_close(rotate(x, cosine, sine).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotation_of_halves_is_rotation_in_another_order(dtype: torch.dtype) -> None:
    x = noise(2, 1, 12, 8).to(dtype)
    cosine, sine = rotary_table(8, 3, 4, 10000.0, CPU)
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    found = rotate_halves(x[..., order], cosine, sine)

    assert found.dtype == dtype
    # one product more is rounded, or fused, than there
    torch.testing.assert_close(found, rotate(x, cosine, sine)[..., order])


def test_rotation_keeps_the_dtype_and_computes_in_float32() -> None:
    x = noise(1, 1, 12, 8).bfloat16()
    cosine, sine = rotary_table(8, 3, 4, 10000.0, CPU)

    turned = rotate(x, cosine, sine)

    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x.float(), cosine, sine).bfloat16())
