"""What the official package makes of its own configurations. A program of its own, never imported by a test.

Prints, as JSON, per configuration: the resolved values and the shapes of the state dict.
"""

from __future__ import annotations

import json
import sys

import torch
from hydra import compose
from omegaconf import OmegaConf
from torch import nn


def main(names: list[str]) -> None:
    # Shapes only: drawing the weights of the large model takes longer than everything else.
    for name in ("trunc_normal_", "kaiming_uniform_", "xavier_uniform_", "normal_", "uniform_"):
        setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
    torch.set_num_threads(1)
    from sam2.build_sam import build_sam2

    answer = {}
    for name in names:
        config = compose(config_name=name)
        model = build_sam2(name, device="cpu", apply_postprocessing=False)
        answer[name] = {
            "values": OmegaConf.to_container(config, resolve=True),
            "shapes": {key: list(value.shape) for key, value in model.state_dict().items()},
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
