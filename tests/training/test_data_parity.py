"""Transforms, samplers and data sets give what the official ones give, from the same files and random numbers."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.official_data import play, write_files

OURS = {
    "utils.data_utils": "batch",
    "dataset.transforms": "transforms",
    "dataset.vos_raw_dataset": "raw_videos",
    "dataset.vos_dataset": "video_dataset",
    "dataset.vos_sampler": "frame_samplers",
    "dataset.utils": "video_dataset",
}


def test_same_as_official(tmp_path: Path, repository: Path) -> None:
    if importlib.util.find_spec("training") is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    write_files(tmp_path)
    command = [sys.executable, "-m", "tests.training.official_data", str(tmp_path), "official.pt"]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300, env=environment)
    official = torch.load(tmp_path / "official.pt")

    ours = play(lambda name: importlib.import_module(f"sam2_core.training.{OURS[name]}"), tmp_path)

    assert ours.keys() == official.keys()
    assert len(ours) > 300
    wrong = []
    for name, value in official.items():
        found = ours[name]
        if found.shape != value.shape:
            wrong.append(f"{name}: {tuple(found.shape)} for {tuple(value.shape)}")
        elif not torch.allclose(found.double(), value.double(), atol=1e-6):
            wrong.append(f"{name}: {float((found.double() != value.double()).double().mean()):.4f} differ")
    assert wrong == []
