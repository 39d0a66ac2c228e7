"""Points, boxes and masks as embeddings."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.model import PromptEncoder
from tests.model.small_models import WIDTH, alive, noise


def encoder() -> PromptEncoder:
    """A prompt encoder for a rectangular input."""
    return alive(PromptEncoder(WIDTH, (4, 6), (64, 96), 16))  # type: ignore[no-any-return]


def place(module: PromptEncoder, x: float, y: float) -> Tensor:
    """Encoding of one place, half a pixel on."""
    return module.pe_layer.forward_with_coords(torch.tensor([[[x + 0.5, y + 0.5]]]), (64, 96))[0, 0]


def test_points_are_places_and_kinds() -> None:
    module = encoder()
    coords = torch.tensor([[[10.0, 20.0], [95.0, 3.0], [7.0, 7.0]]])

    sparse, dense = module((coords, torch.tensor([[1, 0, -1]])), None, None)

    expected = torch.stack(
        [
            place(module, 10, 20) + module.point_embeddings[1].weight[0],
            place(module, 95, 3) + module.point_embeddings[0].weight[0],
            module.not_a_point_embed.weight[0],
            module.not_a_point_embed.weight[0],  # without a box a padding point follows
        ]
    )
    torch.testing.assert_close(sparse[0], expected)
    torch.testing.assert_close(dense, module.no_mask_embed.weight.view(1, -1, 1, 1).expand(1, WIDTH, 4, 6))


def test_a_box_is_two_corner_points() -> None:
    module = encoder()
    boxes = torch.tensor([[5.0, 6.0, 50.0, 60.0], [0.0, 0.0, 95.0, 63.0]])

    of_boxes, _ = module(None, boxes, None)
    of_points, _ = module((boxes.view(2, 2, 2), torch.tensor([[2, 3], [2, 3]])), None, None)

    torch.testing.assert_close(of_boxes, of_points[:, :2])


def test_points_come_before_boxes_without_padding() -> None:
    module = encoder()
    points = (torch.tensor([[[1.0, 2.0]]]), torch.tensor([[1]]))
    boxes = torch.tensor([[5.0, 6.0, 50.0, 60.0]])

    sparse, _ = module(points, boxes, None)

    torch.testing.assert_close(sparse[:, :1], module(points, None, None)[0][:, :1])
    torch.testing.assert_close(sparse[:, 1:], module(None, boxes, None)[0])


def test_masks_are_dense() -> None:
    module = encoder()

    sparse, dense = module(None, None, noise(2, 1, 16, 24))

    assert module.mask_input_size == (16, 24)
    assert sparse.shape == (2, 0, WIDTH)
    assert dense.shape == (2, WIDTH, 4, 6)
    torch.testing.assert_close(dense, module.mask_downscaling(noise(2, 1, 16, 24)))


def test_no_prompt_at_all() -> None:
    sparse, dense = encoder()(None, None, None)

    assert sparse.shape == (1, 0, WIDTH)
    assert dense.shape == (1, WIDTH, 4, 6)


def test_labels_of_any_integer_type() -> None:
    module = encoder()
    coords = noise(1, 2, 2)
    expected, _ = module((coords, torch.tensor([[1, 0]])), None, None)

    for dtype in (torch.int32, torch.int8, torch.float32):
        assert torch.equal(module((coords, torch.tensor([[1, 0]], dtype=dtype)), None, None)[0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_models_place_points_exactly(dtype: torch.dtype) -> None:
    """Coordinates beyond what the dtype can tell apart still have places of their own."""
    module = alive(PromptEncoder(WIDTH, (64, 64), (1024, 1024), 16)).to(dtype)
    coords = torch.tensor([[[1001.0, 1001.0], [1001.5, 1001.0]]])

    sparse, dense = module((coords, torch.tensor([[1, 1]])), None, None)

    assert sparse.dtype == dense.dtype == module.get_dense_pe().dtype == dtype
    assert not torch.equal(sparse[0, 0], sparse[0, 1])
    exact = alive(PromptEncoder(WIDTH, (64, 64), (1024, 1024), 16))((coords, torch.tensor([[1, 1]])), None, None)[0]
    assert (sparse.float() - exact).abs().max() < 0.02


def test_dense_positions_follow_weights_and_size() -> None:
    module = encoder()
    first = module.get_dense_pe().clone()

    assert first.shape == (1, WIDTH, 4, 6)
    torch.testing.assert_close(first[0], module.pe_layer((4, 6)))
    module.load_state_dict(alive(PromptEncoder(WIDTH, (4, 6), (64, 96), 16), seed=1).state_dict())
    assert not torch.allclose(module.get_dense_pe(), first)


def test_every_embedding_gets_a_gradient() -> None:
    module = encoder()
    points = (noise(1, 5, 2), torch.tensor([[-1, 0, 1, 2, 3]]))

    (module(points, None, None)[0].sum() + module(None, None, None)[1].sum()).backward()
    module(None, None, noise(1, 1, 16, 24))[1].square().sum().backward()

    assert [name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()] == []
