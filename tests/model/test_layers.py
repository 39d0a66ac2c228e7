"""MLP, channel normalisation, stochastic depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sam2_core.errors import ConfigError
from sam2_core.model.layers import GELU, MLP, DropPath, LayerNorm2d, add_onto, get_activation_fn, get_clones
from tests.model.small_models import alive, noise


def test_mlp_is_linear_layers_with_activations_between() -> None:
    mlp = MLP(5, 7, 3, 3, activation=nn.GELU, sigmoid_output=True)
    reference = nn.Sequential(mlp.layers[0], nn.GELU(), mlp.layers[1], nn.GELU(), mlp.layers[2], nn.Sigmoid())
    x = noise(4, 6, 5)

    assert torch.equal(mlp(x), reference(x))
    assert [layer.weight.shape for layer in mlp.layers] == [(7, 5), (7, 7), (3, 7)]


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_writes_over_its_input_only_where_no_gradient_is_wanted(approximate: str) -> None:
    reference, module = nn.GELU(approximate), GELU(approximate)
    free, wanted = noise(4, 6), noise(4, 6).requires_grad_()
    expected = reference(free)

    assert module(free) is free
    assert torch.equal(free, expected)
    assert torch.equal(module(wanted), expected)
    assert torch.equal(wanted, noise(4, 6))
    (found,) = torch.autograd.grad(module(wanted).sum(), wanted)
    assert torch.equal(found, torch.autograd.grad(reference(wanted).sum(), wanted)[0])


def test_adding_writes_over_the_branch_only_where_no_gradient_is_wanted() -> None:
    x, branch = noise(2, 3), noise(2, 3, seed=1)
    expected = x + branch
    trained = noise(2, 3, seed=1).requires_grad_()

    assert torch.equal(add_onto(trained, x), expected)
    assert torch.equal(trained, branch)
    assert add_onto(branch, x) is branch
    assert torch.equal(branch, expected)
    assert torch.equal(x, noise(2, 3))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_channel_norm_normalises_each_pixel(memory_format: torch.memory_format) -> None:
    norm = alive(LayerNorm2d(6))
    x = noise(2, 6, 3, 4).contiguous(memory_format=memory_format) * 3 + 1
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]

    torch.testing.assert_close(norm(x), expected)


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(0.25)
    x = torch.ones(4000, 3, 2)

    dropped = drop(x)

    per_sample = dropped.flatten(1)
    assert torch.equal(per_sample, per_sample[:, :1].expand_as(per_sample))
    assert per_sample.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_drop_path_groups_the_windows_of_a_sample() -> None:
    dropped = DropPath(0.5)(torch.ones(400 * 6, 2), 400).view(400, 12)

    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert len(dropped.unique()) == 2


def test_drop_path_does_nothing_in_evaluation() -> None:
    x = noise(3, 2)

    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0)(x) is x


def test_drop_path_may_leave_the_scale() -> None:
    assert set(DropPath(0.5, scale_by_keep=False)(torch.ones(200, 1)).unique().tolist()) == {0.0, 1.0}


def test_clones_are_independent() -> None:
    clones = get_clones(nn.Linear(2, 2), 3)

    nn.init.zeros_(clones[0].weight)

    assert clones[1].weight.abs().sum() > 0


def test_unknown_activation_is_refused() -> None:
    with pytest.raises(ConfigError, match="swish"):
        get_activation_fn("swish")
