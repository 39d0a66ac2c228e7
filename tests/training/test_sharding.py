"""Weights that two gloo processes share: what each holds, and that a step is that of one process."""

from __future__ import annotations

import copy
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from sam2_core.checkpoints.config import instantiate_model
from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.lora import add_adapters
from sam2_core.training.losses import MultiStepMultiMasksAndIous
from sam2_core.training.sharding import clip_gradients, gathered, joined, joined_parts, own_part, shard, shared_out_like
from tests.training.small_training import LOSS, small_config
from tests.training.test_sam2_train import make_batch


def gradients(model: nn.Module, batch: BatchedVideoDatapoint) -> None:
    torch.manual_seed(0)
    MultiStepMultiMasksAndIous(**LOSS)(model(batch), batch.masks)["core_loss"].backward()


def network(adapters: bool) -> nn.Module:
    torch.manual_seed(1)
    model = instantiate_model(OmegaConf.create({"model": small_config(prob_to_use_pt_input_for_train=0.0)})).train()
    if adapters:
        add_adapters(model, rank=2)
    return model


def in_one_of_two(rank: int, port: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        found = [shares(network(adapters)) for adapters in (False, True)]
    finally:
        dist.destroy_process_group()
    torch.save(found, Path(folder) / f"{rank}.pt")


def shares(model: nn.Module) -> dict[str, object]:
    """What one process finds."""
    whole = copy.deepcopy(model)
    names = shard(model)
    sharded = {name: p for name, p in model.named_parameters() if isinstance(p, DTensor)}
    held = sum(own_part(p).numel() for p in sharded.values())
    alike = all(torch.equal(joined(p), dict(whole.named_parameters())[name]) for name, p in sharded.items())
    for name, p in sharded.items():
        part = own_part(shared_out_like(dict(whole.named_parameters())[name].detach(), p))
        alike &= torch.equal(part, own_part(p)) and torch.equal(joined_parts(part, p), joined(p))
    batch = make_batch(2)
    gradients(whole, batch)
    gradients(model, batch)
    expected = [p for p in whole.parameters() if p.requires_grad]
    trained = [p for p in model.parameters() if p.requires_grad]
    apart = max(
        float((joined(mine.grad) - theirs.grad).abs().max() / (theirs.grad.abs().max() + 1e-6))
        for mine, theirs in zip(trained, expected, strict=True)
        if mine.grad is not None and theirs.grad is not None
    )
    norms = [clip_gradients(each, None, kind) for kind in (2.0, float("inf")) for each in (trained, expected)]
    clip_gradients(trained, 0.1, 2.0)
    with torch.no_grad(), gathered(model):
        # as many videos in one process as in the other: not needed here
        for _ in range(1 + dist.get_rank()):
            model(batch)
    return {
        "names": names,
        "share": held / sum(p.numel() for p in sharded.values()),
        "sharded": sum(p.numel() for p in sharded.values()) / sum(p.numel() for p in model.parameters()),
        "alike": alike,
        "apart": apart,
        "norms": norms,
        "clipped": clip_gradients(trained, None, 2.0),
        "again": all(isinstance(p, DTensor) for name, p in model.named_parameters() if name in sharded),
        "keys": list(model.state_dict()) == list(whole.state_dict()),
    }


def test_two_processes_hold_half_each_and_have_the_gradients_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(in_one_of_two, (port, str(tmp_path)), nprocs=2)
    for found in [each for rank in range(2) for each in torch.load(tmp_path / f"{rank}.pt", weights_only=True)]:
        assert 0.4 < found["share"] < 0.6
        assert found["sharded"] > 0.5
        assert "memory_attention" in found["names"]
        assert "image_encoder.trunk.blocks.0" in found["names"]
        assert "sam_mask_decoder.transformer" in found["names"]
        for each in ("alike", "again", "keys"):
            assert found[each], each
        assert found["apart"] < 1e-3
        norm, expected, largest, expected_largest = found["norms"]
        assert norm == pytest.approx(expected, rel=1e-4)
        assert largest == pytest.approx(expected_largest, rel=1e-4)
        assert expected > 0.15
        assert found["clipped"] == pytest.approx(0.1, rel=1e-3)


def test_one_process_clips_as_torch_does() -> None:
    def parameters() -> list[nn.Parameter]:
        made = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(1))]
        for number, each in enumerate(made[:2]):
            each.grad = torch.arange(float(each.numel())).view_as(each) - number
        return made

    mine, theirs = parameters(), parameters()
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.7)
    assert clip_gradients(mine, 0.7, 2.0) == float(expected)
    for one, other in zip(mine[:2], theirs[:2], strict=True):
        assert isinstance(one.grad, Tensor)
        assert isinstance(other.grad, Tensor)
        assert torch.equal(one.grad, other.grad)
