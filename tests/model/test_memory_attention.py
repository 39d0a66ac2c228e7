"""Memory attention: grids of any shape, objects by themselves, memories that matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.model import Attention, MemoryAttention, MemoryAttentionLayer
from tests.model.small_models import MEMORY_WIDTH, WIDTH, alive, noise, small_memory_attention

GRID = (4, 6)
COUNT = 24


def inputs(batch: int = 2, grids: int = 2, pointers: int = 4) -> dict[str, Tensor]:
    """A frame, remembered grids and pointers."""
    length = grids * COUNT + pointers
    return {
        "curr": noise(batch, COUNT, WIDTH),
        "memory": noise(batch, length, MEMORY_WIDTH, seed=1),
        "curr_pos": noise(batch, COUNT, WIDTH, seed=2),
        "memory_pos": noise(batch, length, MEMORY_WIDTH, seed=3),
    }


def test_layers_step_by_step() -> None:
    module = alive(small_memory_attention())
    given = inputs()

    found = module(**given, num_obj_ptr_tokens=4, grid=GRID)

    x = given["curr"] + 0.1 * given["curr_pos"]
    for layer in module.layers:
        y = layer.norm1(x)
        x = x + layer.self_attn(y, y, y, grid=GRID)
        key = given["memory"] + given["memory_pos"]
        x = x + layer.cross_attn_image(layer.norm2(x), key, given["memory"], num_k_exclude_rope=4, grid=GRID)
        x = x + layer.linear2(layer.linear1(layer.norm3(x)).relu())
    torch.testing.assert_close(found, module.norm(x))


def test_one_opening_serves_all_objects_of_a_frame() -> None:
    """Objects that share a frame: what comes before memory is computed once, and nothing changes."""
    module = alive(small_memory_attention())
    given = inputs()
    frame = {name: given[name][:1] for name in ("curr", "curr_pos")}
    shared = given | {name: values.expand(2, -1, -1) for name, values in frame.items()}

    opening = module.opening(**frame, grid=GRID)
    found = module(**shared, num_obj_ptr_tokens=4, grid=GRID, opening=opening.expand(2, -1, -1))

    torch.testing.assert_close(found, module(**shared, num_obj_ptr_tokens=4, grid=GRID), atol=1e-5, rtol=1e-5)
    alone = {name: values[1:] for name, values in shared.items()}
    given_opening = module(**alone, num_obj_ptr_tokens=4, grid=GRID, opening=opening)
    assert torch.equal(given_opening, module(**alone, num_obj_ptr_tokens=4, grid=GRID))


def test_objects_do_not_mix() -> None:
    module = alive(small_memory_attention())
    given = inputs(batch=3)

    together = module(**given, num_obj_ptr_tokens=4, grid=GRID)
    alone = module(**{name: values[1:2] for name, values in given.items()}, num_obj_ptr_tokens=4, grid=GRID)

    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("part", [slice(0, 1), slice(COUNT, COUNT + 1), slice(-1, None)])
def test_every_memory_and_pointer_matters(part: slice) -> None:
    module = alive(small_memory_attention())
    given = inputs()
    changed = given | {"memory": given["memory"].clone()}
    changed["memory"][:, part] += 3.0

    before, after = (module(**g, num_obj_ptr_tokens=4, grid=GRID) for g in (given, changed))

    assert (before - after).abs().max() > 0.01


def test_remembered_frames_may_come_in_any_order() -> None:
    """Time is in the encodings alone: the order of whole grids means nothing."""
    module = alive(small_memory_attention())
    given = inputs()
    swapped = [*range(COUNT, 2 * COUNT), *range(COUNT), *range(2 * COUNT, 2 * COUNT + 4)]
    other = given | {name: given[name][:, swapped] for name in ("memory", "memory_pos")}

    first, second = (module(**g, num_obj_ptr_tokens=4, grid=GRID) for g in (given, other))

    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_plain_attention_and_encodings_everywhere() -> None:
    layer = MemoryAttentionLayer(
        "gelu", Attention(WIDTH, 2, kv_in_dim=MEMORY_WIDTH), WIDTH, 96, 0.0, True, True, True, Attention(WIDTH, 2)
    )
    module = alive(MemoryAttention(WIDTH, False, layer, 1))
    given = inputs()

    found = module(**given, num_obj_ptr_tokens=4)

    (only,) = module.layers
    x, placed = given["curr"], given["curr_pos"]
    y = only.norm1(x) + placed
    x = x + only.self_attn(y, y, only.norm1(x))
    key = given["memory"] + given["memory_pos"]
    x = x + only.cross_attn_image(only.norm2(x) + placed, key, given["memory"])
    x = x + only.linear2(torch.nn.functional.gelu(only.linear1(only.norm3(x))))
    torch.testing.assert_close(found, module.norm(x))


def test_dropout_acts_in_training_only() -> None:
    module = alive(small_memory_attention(dropout=0.5))
    given = inputs()

    assert torch.equal(
        module(**given, num_obj_ptr_tokens=4, grid=GRID), module(**given, num_obj_ptr_tokens=4, grid=GRID)
    )
    module.train()
    assert not torch.equal(
        module(**given, num_obj_ptr_tokens=4, grid=GRID), module(**given, num_obj_ptr_tokens=4, grid=GRID)
    )


def test_batches_of_different_size_are_refused() -> None:
    given = inputs()

    with pytest.raises(InvalidInputError, match="2 and 1"):
        alive(small_memory_attention())(**(given | {"memory": given["memory"][:1]}))


def test_every_weight_gets_a_gradient() -> None:
    module = alive(small_memory_attention())

    module(**inputs(), num_obj_ptr_tokens=4, grid=GRID).square().mean(0)[:, ::3].sum().backward()

    dead = [name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []
