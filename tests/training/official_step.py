"""One training step of the official SAM2Train. A program of its own: python -m tests.training.official_step IN OUT."""

from __future__ import annotations

import sys
import types
from typing import Any

import torch

# Official modules that need packages which one step does not.
_trainer = types.ModuleType("training.trainer")
_trainer.CORE_LOSS_KEY = "core_loss"  # type: ignore[attr-defined]
sys.modules["training.trainer"] = _trainer
_data = types.ModuleType("training.utils.data_utils")
_data.BatchedVideoDatapoint = object  # type: ignore[attr-defined]
sys.modules["training.utils.data_utils"] = _data

from hydra.utils import instantiate  # noqa: E402
from training.loss_fns import MultiStepMultiMasksAndIous  # type: ignore[import-not-found]  # noqa: E402

from tests.parity.alive_weights import alive_state_dict  # noqa: E402


class Batch:
    """What the official step reads of a batch."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.masks = given["masks"]
        self.num_frames = len(self.masks)
        frame, video = given["obj_to_frame_idx"].unbind(dim=-1)
        self.flat_obj_to_img_idx = (video * self.num_frames + frame).long()
        self.flat_img_batch = given["img_batch"].transpose(0, 1).flatten(0, 1)


def main() -> None:
    cases = torch.load(sys.argv[1])
    results = []
    for case in cases:
        model = instantiate(case["config"])
        model.load_state_dict(alive_state_dict(model.state_dict()))
        model.train(case["training"])
        loss = MultiStepMultiMasksAndIous(**case["loss"])
        torch.manual_seed(case["seed"])
        batch = Batch(case["batch"])
        outputs = model(batch)
        losses = loss(outputs, batch.masks)
        losses["core_loss"].backward()
        results.append(
            {
                "losses": {name: torch.as_tensor(value).detach() for name, value in losses.items()},
                "gradients": {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
                "rounds": [len(frame["multistep_pred_ious"]) for frame in outputs],
                "points": [
                    None if frame["multistep_point_inputs"][-1] is None else frame["multistep_point_inputs"][-1]
                    for frame in outputs
                ],
                "masks": [frame["multistep_pred_multimasks_high_res"][-1].detach() for frame in outputs],
            }
        )
    torch.save(results, sys.argv[2])


if __name__ == "__main__":
    main()
