"""Somebody's own Hydra application that builds models. A program of its own, run by a test."""

from __future__ import annotations

import hydra
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sam2_core.checkpoints import build_sam2
from sam2_core.checkpoints.initialisation import WithoutRandomWeights


@hydra.main(version_base=None, config_path=None)
def main(config: DictConfig) -> None:
    before = id(GlobalHydra.instance().hydra)
    # one of them twice, one by its old name, one with values of the application's own configuration
    with WithoutRandomWeights():
        first = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", hydra_overrides_extra=list(config.extra))
        second = build_sam2("sam2_hiera_t.yaml", device="cpu")
        third = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    assert id(GlobalHydra.instance().hydra) == before
    assert HydraConfig.get().job.name == "hydra_application"
    print(first.image_size, len(first.state_dict()), len(second.state_dict()), third.image_size)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
