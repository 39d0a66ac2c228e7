"""A training that takes seconds: a small network, a drawn stack, every part of a configuration.

    python -m tests.training.training_scene FOLDER PROCESSES [override ...] [--kill-at STEP | --stop-at STEP]

trains in processes of its own, and ends itself with SIGKILL, or stops after SIGTERM, when a step is done.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from omegaconf import DictConfig, OmegaConf

from sam2_core.hooks import TrainingEvent
from sam2_core.training import launch
from tests.training.small_training import small_config

SIZE = 64
FRAMES = 6


def write_stack(folder: Path) -> None:
    """Bright discs on noise, which move; two objects, one of which is gone in the last frame."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((FRAMES, SIZE, SIZE), np.uint16)
    for t in range(FRAMES):
        labels[t][(y - 20) ** 2 + (x - 18 - 2 * t) ** 2 < 90] = 1
        if t < FRAMES - 1:
            labels[t][(y - 44) ** 2 + (x - 40 + t) ** 2 < 60] = 2
    images = (60 + 120 * (labels > 0) + chance.normal(0, 10, labels.shape)).clip(0, 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "images.tif", images, photometric="minisblack")
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack")


def small_run(folder: Path, *overrides: str, base: str = "finetune_3d") -> DictConfig:
    """A prepared configuration that trains on the stack in a folder.

    Parameters
    ----------
    folder : Path
        With the stack; the run's files go there too.
    *overrides : str
    base : str
        The configuration that is made small.
    """
    config = OmegaConf.create({"base": base, "model_config": None, "trainer": {"model": None}})
    given = [
        f"data.images={folder / 'images.tif'}",
        f"data.labels={folder / 'labels.tif'}",
        "data.train_frames=[0,5]",
        "data.val_frames=[3,6]",
        "data.num_frames=2",
        "data.crop=null",
        "data.repeats=1",
        "data.max_num_objects=2",
        f"scratch.resolution={SIZE}",
        "scratch.lr=1e-3",
        "scratch.num_epochs=2",
        "trainer.accelerator=cpu",
        "trainer.logging.log_freq=1",
        "trainer.logging.tensorboard_writer=null",
        "trainer.checkpoint.weights=null",
        f"launcher.experiment_log_dir={folder / 'run'}",
        *overrides,
    ]
    config.trainer.model = OmegaConf.create(small_config(image_size=SIZE))
    return launch.prepared(config, given)


class Signaller:
    """Sends its process a signal when a step is done."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.step, self.number = step, number

    def __call__(self, event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == self.step:
            os.kill(os.getpid(), self.number)


def train_in_two_processes(folder: Path, *arguments: str) -> None:
    """Run this module in two processes on a folder with a stack, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in "01":
        environment = os.environ | {
            "TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": rank, "LOCAL_RANK": rank,
            "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.training.training_scene", str(folder), "2", *arguments]
        running.append(subprocess.Popen(command, env=environment))
    try:
        codes = [process.wait(timeout=900) for process in running]
    finally:
        for process in running:
            process.kill()
    if any(codes):
        raise RuntimeError(f"the processes ended with {codes}; their messages are above")


def main() -> None:
    folder, processes, *rest = sys.argv[1:]
    listeners: list[Any] = []
    for option, number in (("--kill-at", signal.SIGKILL), ("--stop-at", signal.SIGTERM)):
        if option in rest:
            place = rest.index(option)
            listeners = [Signaller(int(rest[place + 1]), number)]
            del rest[place : place + 2]
    launch.train(small_run(Path(folder), *rest, f"launcher.gpus_per_node={processes}"), listeners)


if __name__ == "__main__":
    main()
