"""Networks without random weights."""

from __future__ import annotations

import torch
from torch import nn

from sam2_core.checkpoints.initialisation import WithoutRandomWeights


def test_nothing_is_drawn_inside_and_everything_outside() -> None:
    state = torch.get_rng_state()
    with WithoutRandomWeights():
        layer = nn.Linear(3, 4)
        nn.init.trunc_normal_(layer.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.weight.shape == (4, 3)

    nn.Linear(3, 4)
    assert not torch.equal(torch.get_rng_state(), state)


def test_other_functions_work_as_ever() -> None:
    with WithoutRandomWeights():
        values = torch.linspace(0, 1, 5) * 2
        ones = nn.LayerNorm(3).weight

    assert values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert ones.tolist() == [1.0, 1.0, 1.0]
