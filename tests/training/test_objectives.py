"""Training steps on the network that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sam2_core.model import FrameOutput
from sam2_core.training import objectives
from sam2_core.training.dense_head import DenseHead
from sam2_core.training.losses import PromptStep
from sam2_core.training.objectives import LossWeights, covered, image_loss, mask_step_loss, stack_loss
from sam2_core.training.samples import Batch, draw_batch
from sam2_core.training.trainer import StepRandom, Trainer, TrainerOptions
from tests.training.micro_model import small_model, small_pool


def test_a_perfect_step_costs_little_and_an_absent_object_only_its_score() -> None:
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, 16:40, 16:40] = True
    truth = covered(masks)
    assert truth.shape == (2, 1, 16, 16)
    logits = (40 * truth - 20).expand(-1, 3, -1, -1).contiguous()
    scores = torch.tensor([[9.0], [-9.0]])
    ious = torch.tensor([[1.0, 1, 1], [0.3, 0.3, 0.3]])
    loss, actual = mask_step_loss(PromptStep(logits, ious, scores), truth, LossWeights())
    assert float(loss) < 0.01
    assert actual[0].tolist() == [1.0, 1.0, 1.0]
    assert actual[1].isnan().all()
    wrong, _ = mask_step_loss(PromptStep(logits, ious, -scores), truth, LossWeights(score=1.0))
    assert float(wrong) > 5


def test_the_loss_of_images_falls(tmp_path: Path) -> None:
    model = small_model(64)
    modules = nn.ModuleDict({"model": model, "dense": DenseHead((16, 32, 128))})
    pool = small_pool(tmp_path / "pool", frames=1, stacks=1)
    batch = draw_batch(np.random.default_rng(1), pool, stacks=1, objects=3, size=64, smallest_area=30)
    losses: list[float] = []

    def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        # Always the same prompts: the network is to learn three masks by heart.
        loss, measures = image_loss(model, modules["dense"], batch, np.random.default_rng(6), LossWeights())  # type: ignore[arg-type]
        losses.append(float(loss.detach()))
        return loss, measures

    trainer = Trainer(modules, TrainerOptions(learning_rate=1e-3, warm_up=3), tmp_path / "run")
    trainer.run(task, lambda step: 0.0, lambda step: step >= 25)
    assert min(losses[-5:]) < 0.75 * losses[0]


def test_the_single_mask_is_trained_beside_the_candidates(tmp_path: Path) -> None:
    model = small_model(64)
    model.train()
    pool = small_pool(tmp_path, frames=1)
    batch = draw_batch(np.random.default_rng(3), pool, stacks=1, objects=2, size=64, smallest_area=30)
    single_mask = model.sam_mask_decoder.output_hypernetworks_mlps[0]

    def gradient(weight: float) -> float:
        model.zero_grad()
        # This seed draws one click, no correction: candidates are asked for.
        loss, _ = image_loss(model, None, batch, np.random.default_rng(2), LossWeights(single=weight))
        loss.backward()
        return sum(float(p.grad.abs().sum()) for p in single_mask.parameters() if p.grad is not None)

    assert gradient(0.0) == 0
    assert gradient(0.5) > 0


def test_stacks_train_the_memory(tmp_path: Path) -> None:
    model = small_model(64)
    model.train()
    pool = small_pool(tmp_path, frames=3)
    batch = draw_batch(np.random.default_rng(3), pool, stacks=1, objects=2, size=64, frames=3, smallest_area=30)
    loss, measures = stack_loss(model, None, batch, np.random.default_rng(0), LossWeights())
    loss.backward()
    assert torch.isfinite(loss)
    assert 0 <= measures["there"] <= 1
    for module in (model.memory_attention, model.memory_encoder, model.obj_ptr_proj):
        assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())


def test_tracking_goes_to_the_end_and_then_back_to_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(64)
    pool = small_pool(tmp_path, frames=4)
    drawn = draw_batch(np.random.default_rng(3), pool, stacks=1, objects=2, size=64, frames=4, smallest_area=30)
    # The object of the second is absent everywhere but on the prompted frame.
    labels = torch.zeros_like(drawn.labels)
    labels[:, :, 10:30, 10:30] = 1
    labels[2, :, 40:56, 40:56] = 2
    batch = Batch(drawn.images, labels, torch.tensor([[1, 2]]), start=2)
    track, asked = model.track_step, []

    def recorded(frame: int, first: bool, *arguments: Any, **options: Any) -> FrameOutput:
        asked.append((frame, first, options["track_in_reverse"]))
        # As sure that all are there, everywhere.
        return replace(track(frame, first, *arguments, **options), object_score_logits=torch.ones(2, 1))

    monkeypatch.setattr(model, "track_step", recorded)
    monkeypatch.setattr(objectives, "_CORRECTED_STACKS", 0.0)
    _, measures = stack_loss(model, None, batch, np.random.default_rng(0), LossWeights())

    assert asked == [(2, True, False), (3, False, False), (1, False, True), (0, False, True)]
    assert (measures["there"], measures["gone"]) == (1.0, 0.0)


def test_tracked_frames_are_corrected_and_remembered_as_prompted_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(64)
    pool = small_pool(tmp_path, frames=4)
    batch = draw_batch(np.random.default_rng(3), pool, stacks=1, objects=2, size=64, frames=4, smallest_area=30)
    track, asked = model.track_step, []

    def recorded(*arguments: Any, **options: Any) -> FrameOutput:
        frame, first, _, points, _, memory, _ = arguments
        given = options.get("prev_sam_mask_logits")
        clicks = 0 if points is None else points.labels.shape[1]
        asked.append((frame, first, clicks, given is not None, options["run_mem_encoder"], sorted(memory.conditioning)))
        return track(*arguments, **options)

    monkeypatch.setattr(model, "track_step", recorded)
    monkeypatch.setattr(objectives, "_CORRECTED_STACKS", 1.0)
    monkeypatch.setattr(objectives, "_CORRECTED_FRAMES", 1)
    loss, measures = stack_loss(model, None, batch, np.random.default_rng(0), LossWeights())
    loss.backward()

    assert 0 <= measures["mended"] <= 1
    order = list(dict.fromkeys(frame for frame, *_ in asked))
    (corrected,) = {frame for frame, *_ in asked if sum(one[0] == frame for one in asked) > 1}
    before, *clicked = [one for one in asked if one[0] == corrected]
    assert before[1:5] == (False, 0, False, False)
    assert [one[1:4] for one in clicked] == [(False, count, True) for count in range(1, len(clicked) + 1)]
    for one in asked:
        known = [order[0], corrected] if order.index(one[0]) > order.index(corrected) else [order[0]]
        assert one[5] == ([] if one[0] == order[0] else sorted(known))
