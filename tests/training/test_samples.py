"""Batches from a pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD
from sam2_core.training.pool import Pool
from sam2_core.training.samples import draw_batch
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
        shown = batch.images * torch.tensor(IMAGE_STD)[:, None, None] + torch.tensor(IMAGE_MEAN)[:, None, None]
        assert shown.min() >= -1e-5
        assert shown.max() <= 1 + 1e-5
        masks = batch.masks(batch.start)
        assert masks.shape == (6, 64, 64)
        assert (masks.flatten(1).sum(dim=1) >= 20).all()
        torch.testing.assert_close(masks[4], batch.labels[batch.start, 1] == batch.objects[1, 1])


def test_the_same_seed_gives_the_same_batch(tmp_path: Path) -> None:
    pool = small_pool(tmp_path, frames=1)
    one, other = (
        draw_batch(np.random.default_rng(2), pool, stacks=1, objects=2, size=32, smallest_area=5) for _ in range(2)
    )
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.objects, other.objects)


def test_stacks_are_prompted_on_any_frame(tmp_path: Path) -> None:
    pool = small_pool(tmp_path, frames=4)
    starts = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        batch = draw_batch(random, pool, stacks=1, objects=2, size=64, frames=4, smallest_area=20)
        starts.append(batch.start)
        assert (batch.masks(batch.start).flatten(1).sum(dim=1) >= 20).all()
    assert starts.count(0) < 12
    assert set(starts) <= {0, 1, 2, 3}
    assert len(set(starts)) > 2


def test_objects_that_end_in_the_stack_are_taken_more_often() -> None:
    """Of two objects one ends: it is taken three times as often."""
    labels = np.zeros((1, 2, 64, 64), np.uint16)
    labels[:, :, 8:28, 8:28] = 1
    labels[:, :1, 36:56, 36:56] = 2
    pool = Pool(np.zeros((1, 2, 64, 64), np.uint8), labels)
    taken = {1: 0, 2: 0}
    for seed in range(120):
        batch = draw_batch(np.random.default_rng(seed), pool, stacks=1, objects=1, size=64, frames=2, smallest_area=20)
        both = all(int((batch.labels[batch.start] == number).sum()) >= 20 for number in (1, 2))
        if both:
            taken[int(batch.objects[0, 0])] += 1
    assert taken[2] > 1.7 * taken[1] > 0


def test_small_frames_are_magnified() -> None:
    """Frames smaller than what is shown of them: a square of 16 pixels is 43 to 107 wide in 256."""
    labels = np.zeros((1, 1, 96, 96), np.uint16)
    labels[..., 40:56, 40:56] = 1
    pool = Pool(np.zeros((1, 1, 96, 96), np.uint8), labels)
    sides = []
    for seed in range(12):
        batch = draw_batch(np.random.default_rng(seed), pool, stacks=1, objects=1, size=256)
        sides.append(float(batch.masks(0).sum()) ** 0.5)
    assert max(sides) > 60
    assert max(sides) < 115


def test_what_is_seen_moves_in_three_of_five_stacks_and_labels_go_along() -> None:
    image = np.zeros((1, 6, 200, 200), np.uint8)
    labels = np.zeros(image.shape, np.uint16)
    image[:, :, 90:110, 90:110], labels[:, :, 90:110, 90:110] = 255, 1
    pool = Pool(image, labels)
    moved = 0
    for seed in range(40):
        batch = draw_batch(np.random.default_rng(seed), pool, stacks=1, objects=1, size=64, frames=6)
        places = []
        for frame in range(6):
            (mask,) = batch.masks(frame)
            if mask.any():
                places.append(torch.nonzero(mask).float().mean(0))
                shown = batch.images[frame, 0]
                inside, outside = shown[:, mask], shown[:, batch.labels[frame, 0] == 0]
                assert float((inside.mean(1) - outside.mean(1)).abs().max()) > 0.05
        moved += any(float((place - places[0]).norm()) > 0.5 for place in places)
    # 24 of 40 are expected to, where no frame's border stops them
    assert 14 <= moved <= 34


def test_what_is_seen_can_follow_a_cell_that_would_leave_it() -> None:
    labels = np.zeros((1, 8, 300, 300), np.uint16)
    for frame in range(8):
        labels[0, frame, 140:160, 20 + 34 * frame : 40 + 34 * frame] = 1
    pool = Pool(np.zeros(labels.shape, np.uint8), labels)
    throughout = 0
    for seed in range(40):
        batch = draw_batch(np.random.default_rng(seed), pool, stacks=1, objects=1, size=64, frames=8)
        throughout += all(bool(batch.masks(frame).any()) for frame in range(8))
    # it is seen at first in about half of the batches; what stays in place shows 96 of its 238 pixels at most
    assert throughout >= 4
