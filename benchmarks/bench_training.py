"""Training steps on a clip: the official SAM2Train beside ours, time and peak memory.

Both start from the same weights and see the same clip, points and corrections. Loss and gradient are compared first:
nothing is timed if the fp32 sides disagree. Ours steps with its trainer. The official trainer needs CUDA, also where it
is told to use a CPU, so its side takes the steps of its loop: forward, loss, backward, clipping, AdamW. Dropout is off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import two_sides

#: Points on the first frame, all corrections on two frames: the most work that the fine-tuning configuration can draw.
PROMPTS = {
    "prob_to_use_pt_input_for_train": 1.0,
    "prob_to_use_box_input_for_train": 0.0,
    "prob_to_sample_from_gt_for_train": 0.0,
    "num_frames_to_correct_for_train": 2,
    "rand_frames_to_correct_for_train": False,
    "add_all_frames_to_correct_as_cond": True,
    "num_init_cond_frames_for_train": 1,
    "rand_init_cond_frames_for_train": False,
    "num_correction_pt_per_frame": 7,
    "use_act_ckpt_iterative_pt_sampling": False,
}
#: The loss, rate and clipping of the official fine-tuning configuration.
LOSS: dict[str, Any] = {
    "weight_dict": {"loss_mask": 20, "loss_dice": 1, "loss_iou": 1, "loss_class": 1},
    "supervise_all_iou": True,
    "iou_use_l1_loss": True,
    "pred_obj_scores": True,
    "focal_gamma_obj_score": 0.0,
    "focal_alpha_obj_score": -1.0,
}
RATE, DECAY, CLIP = 5e-6, 0.1, 0.1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", default="configs/sam2.1/sam2.1_hiera_t.yaml", help="model configuration")
    parser.add_argument("--image-size", type=int, default=512, help="model input in pixels")
    parser.add_argument("--frames", type=int, default=4, help="frames of the clip")
    parser.add_argument("--objects", type=int, default=2, help="objects in it")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps")
    parser.add_argument("--warm-up", type=int, default=1, help="steps before that")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side; 0: torch's choice")
    parser.add_argument("--all-sides", action="store_true", help="bf16 also where it is slow")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """The model of both sides, with official names."""
    import importlib.util

    from omegaconf import OmegaConf

    # the official file, whose targets lead to our classes in our process
    package = importlib.util.find_spec("sam2")
    if package is None or package.origin is None:
        raise SystemExit("needs the official package; install it with `make oracle`")
    network = OmegaConf.load(Path(package.origin).parent / options.config).model
    grid = options.image_size // 16
    layer = network.memory_attention.layer
    layer.dropout = 0.0
    for attention in (layer.self_attention, layer.cross_attention):
        attention.dropout = 0.0
        attention.feat_sizes = [grid, grid]
    network.image_size = options.image_size
    plain: dict[str, Any] = OmegaConf.to_container(network)  # type: ignore[assignment]
    return {**plain, **PROMPTS, "_target_": "training.model.sam2.SAM2Train"}


def side(options: argparse.Namespace) -> None:
    """Be one side."""
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    from tests.training.small_training import moving_discs

    clip = moving_discs(options.frames, 1, options.objects, options.image_size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    build = official if options.side.startswith("official") else ours
    with tempfile.TemporaryDirectory() as folder:
        model, loss_of, step = build(options, {name: value.to(device) for name, value in clip.items()}, Path(folder))

        def check() -> dict[str, Any]:
            torch.manual_seed(0)
            loss = loss_of()
            loss.backward()
            gradients = [p.grad.float() for p in model.parameters() if p.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack([each.norm() for each in gradients]))
            model.zero_grad(set_to_none=True)
            return {"loss": float(loss.detach()), "norm": float(norm)}

        two_sides.serve({"check": check, "step": step})


def official(options: argparse.Namespace, clip: dict[str, Any], folder: Path) -> tuple[Any, Any, Any]:
    """The official model, its loss on the clip, and a step of its training loop."""
    import torch
    from hydra.utils import instantiate

    from tests.training.official_step import Batch, MultiStepMultiMasksAndIous

    model = two_sides._alive(instantiate(configuration(options))).train().to(clip["masks"].device)
    batch, losses = Batch(clip), MultiStepMultiMasksAndIous(**LOSS)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def loss_of() -> Any:
        with two_sides.official_context(options.side):
            return losses(model(batch), batch.masks)["core_loss"]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()

    return model, loss_of, step


def ours(options: argparse.Namespace, clip: dict[str, Any], folder: Path) -> tuple[Any, Any, Any]:
    """Our model, its loss on the clip, and a step of our trainer."""
    import torch
    from omegaconf import OmegaConf

    from sam2_core.checkpoints.config import instantiate_model
    from sam2_core.training.batch import BatchedVideoDatapoint, BatchedVideoMetaData
    from sam2_core.training.losses import MultiStepMultiMasksAndIous
    from sam2_core.training.optimiser import ScheduledOptimiser
    from sam2_core.training.trainer import StepRandom, Trainer, TrainerOptions

    device, (frames, objects) = clip["masks"].device, clip["masks"].shape[:2]
    model = instantiate_model(OmegaConf.create({"model": configuration(options)}))
    model = two_sides._alive(model).train().to(device)
    metadata = BatchedVideoMetaData(torch.zeros(frames, objects, 3), torch.zeros(frames, objects, 2))
    batch = BatchedVideoDatapoint(**clip, metadata=metadata, dict_key="all").to(device)
    losses = MultiStepMultiMasksAndIous(**LOSS)
    trainer = Trainer(
        torch.nn.ModuleDict({"model": model}),
        TrainerOptions(clip=CLIP, averaging=0.0),
        folder,
        ScheduledOptimiser(torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY), [{}]),
    )

    def loss_of() -> Any:
        with two_sides.official_context(options.side):
            return losses(model(batch), batch.masks)["core_loss"]

    def task(random: StepRandom) -> tuple[Any, dict[str, float]]:
        return loss_of(), {}

    def step() -> None:
        last = trainer.step + 1
        trainer.run(task, lambda number: 0.0, lambda number: number >= last)

    return model, loss_of, step


def compare(sides: dict[str, two_sides.Side]) -> dict[str, str]:
    """Loss and length of the gradient of each side; ends the run if ours in fp32 differ from the official ones."""
    found = {name: one("check") for name, one in sides.items()}
    expected = found[two_sides.OFFICIAL]
    notes = {}
    for name, answer in found.items():
        notes[name] = f"loss {answer['loss']:.6f}, gradient {answer['norm']:.5f} before the first step"
        # rounding switches a rectifier here and there, which a gradient shows more than its loss
        apart = {each: abs(answer[each] / expected[each] - 1) for each in ("loss", "norm")}
        if name == "ours fp32" and (apart["loss"] > 1e-5 or apart["norm"] > 1e-2):
            raise SystemExit(f"a step of ours in fp32 is not the official one: {found}")
    return notes


def main() -> None:
    options = arguments()
    if options.side:
        side(options)
        return
    names = [name for name in two_sides.side_names(options.all_sides) if "compiled" not in name]
    notes: dict[str, Any] = {
        "model": options.config,
        "clip": f"{options.frames} frames of {options.image_size} px, {options.objects} objects",
        "prompts": "a point, 7 corrections on each of 2 frames",
        "threads": options.threads,
    }
    with two_sides.started(names, __file__, sys.argv[1:]) as sides:
        notes |= compare(sides)
        results = two_sides.rounds(sides, "step", options.rounds, options.warm_up)
    two_sides.report("Training", {"one step": results}, notes, "training")


if __name__ == "__main__":
    main()
