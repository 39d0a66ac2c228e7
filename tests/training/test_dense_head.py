"""The auxiliary head."""

from __future__ import annotations

import torch

from sam2_core.model import ImageFeatures
from sam2_core.training.dense_head import DenseHead, dense_loss, dense_targets


def test_targets_of_one_cell() -> None:
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[1, 16:48, 16:48] = 5
    targets = dense_targets(labels)
    assert targets.shape == (2, 5, 16, 16)
    assert not targets[0].any()
    inside = targets[1, 0] > 0
    assert int(inside.sum()) == 64
    assert targets[1, 1].sum() > 0
    assert targets[1, 1][6:10, 6:10].sum() == 0
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    torch.testing.assert_close((y + 8 * targets[1, 2])[inside], torch.full((64,), 7.5))
    torch.testing.assert_close((x + 8 * targets[1, 3])[inside], torch.full((64,), 7.5))


def test_the_head_learns_them() -> None:
    torch.manual_seed(0)
    labels = torch.zeros(1, 64, 64, dtype=torch.int64)
    labels[0, 16:48, 8:40] = 1
    maps = tuple(torch.randn(1, c, s, s) for c, s in ((4, 16), (8, 8), (16, 4)))
    features = ImageFeatures(maps, maps)
    head = DenseHead((4, 8, 16), width=16)
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = dense_loss(head(features), dense_targets(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]
