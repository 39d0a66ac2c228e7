"""The trunk against the plain way to compute it: windows cut out before each attention, put back after it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.errors import ConfigError
from sam2_core.model.hiera import Hiera, MultiScaleBlock
from tests.model.small_models import alive, noise, small_hiera


def pooled(grid: Tensor) -> Tensor:
    """(B, H, W, C) to (B, H / 2, W / 2, C) by maxima."""
    return F.max_pool2d(grid.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def plain_attention(block: MultiScaleBlock, windows: Tensor) -> Tensor:
    """Attention in each of (G, h, w, C); queries are pooled where a stage begins."""
    attention = block.attn
    groups, height, width, _ = windows.shape
    query, key, value = attention.qkv(windows).chunk(3, -1)
    if block.q_stride is not None:
        query = pooled(query)
        height, width = height // 2, width // 2
    heads = [
        t.reshape(groups, -1, attention.num_heads, t.shape[-1] // attention.num_heads) for t in (query, key, value)
    ]
    out = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in heads)).transpose(1, 2)
    return attention.proj(out.reshape(groups, height, width, -1))


def plain_block(block: MultiScaleBlock, grid: Tensor) -> Tensor:
    """One block on (B, H, W, C), window by window."""
    normed = block.norm1(grid)
    shortcut = grid
    if block.dim != block.dim_out:
        shortcut = block.proj(normed)
        shortcut = pooled(shortcut) if block.q_stride is not None else shortcut
    side = block.window_size
    if side == 0:
        attended = plain_attention(block, normed)
    else:
        height, width = normed.shape[1:3]
        padded = F.pad(normed, (0, 0, 0, -width % side, 0, -height % side))
        rows = [
            torch.cat(
                [
                    plain_attention(block, padded[:, top : top + side, left : left + side])
                    for left in range(0, width, side)
                ],
                dim=2,
            )
            for top in range(0, height, side)
        ]
        attended = torch.cat(rows, dim=1)[:, : shortcut.shape[1], : shortcut.shape[2]]
    grid = shortcut + attended
    return grid + block.mlp(block.norm2(grid))


def plain_hiera(trunk: Hiera, images: Tensor) -> list[Tensor]:
    """The whole trunk without any layout."""
    grid = trunk.patch_embed(images)
    height, width = grid.shape[1:3]
    side = trunk.window_spec[0]
    background = F.interpolate(trunk.pos_embed, (height, width), mode="bicubic")
    tiles = trunk.pos_embed_window.tile(1, 1, -(-height // side), -(-width // side))[..., :height, :width]
    grid = grid + (background + tiles).permute(0, 2, 3, 1)
    outputs = []
    for index, block in enumerate(trunk.blocks):
        grid = plain_block(block, grid)
        if index in trunk.stage_ends:
            outputs.append(grid.permute(0, 3, 1, 2))
    return outputs


# Grids that windows divide and grids that they do not, square and not, down to a single window.
SIZES = [(32, 32), (64, 64), (96, 160), (224, 128), (256, 32)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window_spec": (8, 4, 14, 7), "global_att_blocks": (1, 3, 6)},
        {"window_spec": (8, 4, 16, 8), "num_heads": 2},
        {"window_spec": (7, 5, 3, 2)},
        {"global_att_blocks": (0, 1, 2, 3, 4, 5, 6)},
        {"global_att_blocks": None},
        {"q_pool": 1},
    ],
    ids=["tiny", "base", "large", "odd_windows", "all_global", "no_global", "one_pooling"],
)
def test_layout_changes_nothing(height: int, width: int, options: dict[str, object]) -> None:
    if options.get("window_spec") == (7, 5, 3, 2):
        # Odd windows cannot be pooled inside; the plain way to pool them is not defined either.
        options = options | {"q_pool": 0}
    trunk = alive(small_hiera(**options))
    images = noise(2, 3, height, width)

    with torch.inference_mode():
        found, expected = trunk(images), plain_hiera(trunk, images)

    assert len(found) == 4
    for ours, plain in zip(found, expected, strict=True):
        assert ours.shape == plain.shape
        torch.testing.assert_close(ours, plain, atol=2e-4, rtol=2e-4)


def test_strides_and_channels() -> None:
    trunk = small_hiera()

    shapes = [tuple(level.shape) for level in trunk(noise(1, 3, 64, 96))]

    assert shapes == [(1, 16, 16, 24), (1, 32, 8, 12), (1, 64, 4, 6), (1, 128, 2, 3)]
    assert trunk.channel_list == [128, 64, 32, 16]


def test_last_stage_alone() -> None:
    trunk = alive(small_hiera(return_interm_layers=False))
    reference = alive(small_hiera())
    images = noise(1, 3, 64, 64)

    (last,) = trunk(images)

    assert torch.equal(last, reference(images)[-1])
    assert trunk.channel_list == [128]


def test_images_of_a_batch_do_not_mix() -> None:
    trunk = alive(small_hiera())
    images = noise(3, 3, 96, 64)

    with torch.inference_mode():
        together, alone = trunk(images)[-1][1:2], trunk(images[1:2])[-1]

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_sizes_may_change_from_call_to_call() -> None:
    trunk = alive(small_hiera())
    first = trunk(noise(1, 3, 64, 64))[-1]
    trunk(noise(1, 3, 96, 32))

    assert torch.equal(trunk(noise(1, 3, 64, 64))[-1], first)


def test_every_weight_gets_a_gradient() -> None:
    trunk = alive(small_hiera())

    sum(level.square().mean() for level in trunk(noise(1, 3, 96, 96))).backward()

    assert [name for name, weight in trunk.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_position_tables_follow_training() -> None:
    """A cached position embedding must not outlive a change of the weights."""
    trunk = alive(small_hiera())
    images = noise(1, 3, 64, 64)
    with torch.no_grad():
        before = trunk(images)[0].clone()
        trunk.pos_embed.add_(1.0)
        after = trunk(images)[0]

    assert not torch.allclose(before, after)


def test_no_path_is_dropped_in_evaluation_and_some_are_in_training() -> None:
    trunk = alive(small_hiera(drop_path_rate=0.5))
    images = noise(2, 3, 64, 64)

    assert torch.equal(trunk(images)[-1], alive(small_hiera())(images)[-1])
    assert [block.drop_path.drop_prob for block in trunk.blocks] == pytest.approx(torch.linspace(0, 0.5, 7).tolist())
    trunk.train()
    assert not torch.equal(trunk(images)[-1], trunk(images)[-1])


def test_dropped_paths_drop_whole_images() -> None:
    """With every path of the last block dropped for an image, that block leaves the image's tokens as they are."""
    block = alive(MultiScaleBlock(16, 16, 1, drop_path=0.5, window_size=4)).train()
    from sam2_core.model.windows import from_windows, to_windows

    tokens, layout = to_windows(noise(40, 10, 10, 16), 4)
    out, out_layout = block(tokens, layout)
    difference = (from_windows(out, out_layout) - from_windows(tokens, layout)).flatten(1).abs().amax(1)

    assert 0 < (difference == 0).sum() < 40


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_stay_close(dtype: torch.dtype) -> None:
    trunk, narrow = alive(small_hiera()), alive(small_hiera()).to(dtype)
    images = noise(1, 3, 64, 64)

    with torch.inference_mode():
        for exact, rounded in zip(trunk(images), narrow(images.to(dtype)), strict=True):
            assert rounded.dtype == dtype
            assert (exact - rounded.float()).abs().mean() < 0.03 * exact.abs().mean()


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("patch_embed.proj.weight", 0),
        ("pos_embed_window", 0),
        ("blocks.0.norm1.weight", 1),
        ("image_encoder.trunk.blocks.6.mlp.layers.0.bias", 7),
        ("neck.convs.0.conv.weight", 8),
    ],
)
def test_layer_of_a_parameter(name: str, layer: int) -> None:
    trunk = small_hiera()

    assert trunk.get_num_layers() == 7
    assert trunk.get_layer_id(name) == layer


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="window_spec"):
        small_hiera(window_spec=(8, 4))
    with pytest.raises(ConfigError, match="q_pool"):
        small_hiera(q_pool=4)
    with pytest.raises(ConfigError, match="weights_path"):
        small_hiera(weights_path="weights.pt")
