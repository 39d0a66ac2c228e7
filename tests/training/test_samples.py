"""Batches from a pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sam2_core.training.samples import PIXEL_MEAN, PIXEL_STD, draw_batch
from tests.training.micro_model import small_pool


def test_a_batch_shows_the_objects_it_names(tmp_path: Path) -> None:
    pool = small_pool(tmp_path, frames=3)
    for seed in range(6):
        random = np.random.default_rng(seed)
        batch = draw_batch(random, pool, stacks=2, objects=3, size=64, frames=2, smallest_area=20)
        assert batch.images.shape == (2, 2, 3, 64, 64)
        assert batch.labels.shape == (2, 2, 64, 64)
        assert batch.objects.shape == (2, 3)
        assert torch.isfinite(batch.images).all()
        shown = batch.images * torch.tensor(PIXEL_STD)[:, None, None] + torch.tensor(PIXEL_MEAN)[:, None, None]
        assert shown.min() >= -1e-5
        assert shown.max() <= 1 + 1e-5
        masks = batch.masks(0)
        assert masks.shape == (6, 64, 64)
        assert (masks.flatten(1).sum(dim=1) >= 20).all()
        torch.testing.assert_close(masks[4], batch.labels[0, 1] == batch.objects[1, 1])


def test_the_same_seed_gives_the_same_batch(tmp_path: Path) -> None:
    pool = small_pool(tmp_path, frames=1)
    one, other = (
        draw_batch(np.random.default_rng(2), pool, stacks=1, objects=2, size=32, smallest_area=5) for _ in range(2)
    )
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.objects, other.objects)
