"""TensorBoard: numbers and pictures of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam2_core.errors import MissingDependencyError
from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD
from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.sam2_train import TrackedFrame


class TensorBoardLogger:
    """Writes events to a folder.

    Parameters
    ----------
    path : str or Path
    **options
        Of torch's ``SummaryWriter``.

    Raises
    ------
    MissingDependencyError
        TensorBoard is not installed.
    """

    def __init__(self, path: str | Path, **options: Any) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "TensorBoard is not installed: pip install 'sam2-lab[train]', or train without it "
                "(trainer.logging.tensorboard_writer=null)"
            ) from error
        self._writer = SummaryWriter(str(path), **options)

    def log(self, name: str, value: float, step: int) -> None:
        """Add a number."""
        self._writer.add_scalar(name, value, step)

    def log_dict(self, values: Mapping[str, float], step: int) -> None:
        """Add several numbers."""
        for name, value in values.items():
            self.log(name, value, step)

    def log_picture(self, name: str, picture: Tensor, step: int) -> None:
        """Add a picture (3, H, W) of values from 0 to 1."""
        self._writer.add_image(name, picture, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def make_tensorboard_logger(log_dir: str | Path, should_log: bool = True, **options: Any) -> TensorBoardLogger | None:
    """Return a logger for the first process, under its official name and arguments; None where nothing is logged."""
    return TensorBoardLogger(log_dir, **options) if should_log else None


def prediction_picture(batch: BatchedVideoDatapoint, outputs: Sequence[TrackedFrame], frames: int = 4) -> Tensor:
    """Show the first video: its frames, below them what was said (green) and what is true (red).

    Parameters
    ----------
    batch : BatchedVideoDatapoint
    outputs : sequence of TrackedFrame
    frames : int
        How many at most, from the first on.

    Returns
    -------
    Tensor (3, 2 H, n W), float32
        From 0 to 1; yellow is right.
    """
    mean, deviation = (torch.tensor(each)[:, None, None] for each in (IMAGE_MEAN, IMAGE_STD))
    columns = []
    for index in range(min(frames, len(outputs))):
        shown = (batch.img_batch[index, 0].float().cpu() * deviation + mean).clamp(0, 1)
        mine = batch.obj_to_frame_idx[index, :, 1] == 0
        truth = batch.masks[index][mine].any(dim=0).cpu()
        said = (outputs[index].output.high_res_masks[mine] > 0).any(dim=0)[0].detach().cpu()
        over = 0.5 * shown
        over[0] += 0.5 * truth
        over[1] += 0.5 * said
        columns.append(torch.cat((shown, over), dim=1))
    return torch.cat(columns, dim=2)
