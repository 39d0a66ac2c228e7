"""Checkpoints from one format to another and back, and destinations that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sam2_core.checkpoints import convert_checkpoint, load_model, read_checkpoint
from sam2_core.checkpoints.load import save_checkpoint
from sam2_core.errors import DestinationExistsError, InvalidInputError, MissingFileError
from tests.cli.test_app import run

MICRO = "configs/sam2.1/sam2.1_hiera_micro.yaml"


@pytest.fixture
def mine(micro_weights: dict[str, Tensor], tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "mine.safetensors", micro_weights, config=MICRO, image_size=128)


def test_there_and_back_and_nothing_named(mine: Path, micro_weights: dict[str, Tensor], tmp_path: Path) -> None:
    folder = convert_checkpoint(mine, tmp_path / "for_transformers")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "processor_config.json",
    ]
    model = load_model(folder, device="cpu", precision="fp32")
    assert model.input_size == (128, 128)
    assert all(torch.equal(value, micro_weights[key]) for key, value in model.state_dict().items())

    back = read_checkpoint(convert_checkpoint(folder, tmp_path / "back.pt"))
    assert back.state_dict.keys() == micro_weights.keys()
    assert all(torch.equal(value, micro_weights[key]) for key, value in back.state_dict.items())


def test_somebody_elses_folder_says_its_size_in_config_json(mine: Path, tmp_path: Path) -> None:
    folder = convert_checkpoint(mine, tmp_path / "theirs", image_size=192)
    weights = read_checkpoint(folder).state_dict
    save_checkpoint(folder / "model.safetensors", weights, layout="hugging_face")  # without what ours say besides
    assert load_model(folder, device="cpu", precision="fp32").input_size == (192, 192)


def test_the_number_format_is_the_callers(mine: Path, tmp_path: Path) -> None:
    folder = convert_checkpoint(mine, tmp_path / "half", dtype="fp16")
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    assert all(value.dtype == torch.float16 for value in read_checkpoint(folder).state_dict.values())


def test_what_cannot_be_changes_nothing(mine: Path, tmp_path: Path) -> None:
    before = mine.read_bytes()
    with pytest.raises(InvalidInputError, match="are the same"):
        convert_checkpoint(mine, mine, overwrite=True)
    with pytest.raises(MissingFileError):
        convert_checkpoint(tmp_path / "none.pt", tmp_path / "other")
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="is a file, not a folder"):
        convert_checkpoint(mine, tmp_path / "a.txt")
    convert_checkpoint(mine, tmp_path / "there.pt")
    with pytest.raises(DestinationExistsError, match=r"there\.pt exists already"):
        convert_checkpoint(mine, tmp_path / "there.pt")
    convert_checkpoint(mine, tmp_path / "there.pt", overwrite=True)
    assert mine.read_bytes() == before


def test_the_command(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "checkpoint", mine, tmp_path / "folder")
    assert code == 0
    assert "folder" in out
    code, _, err = run(capsys, "checkpoint", mine, tmp_path / "folder")
    assert code == 2
    assert "--overwrite" in err
