"""Weights files: every layout that is about, and every kind of file that is not one."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sam2_core.checkpoints.huggingface import to_hugging_face
from sam2_core.checkpoints.load import official_state_dict, read_checkpoint, save_checkpoint
from sam2_core.errors import CheckpointError, InvalidInputError, MissingFileError
from tests.checkpoints.conftest import MARKER


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.safetensors", "named_wrongly.bin"])
@pytest.mark.parametrize("layout", ["official", "hugging_face"])
def test_what_is_written_is_read(tmp_path: Path, few_weights: dict[str, Tensor], name: str, layout: str) -> None:
    written = save_checkpoint(tmp_path / name.replace(".bin", ".safetensors"), few_weights, layout=layout)
    path = written.rename(tmp_path / name)

    assert_same(read_checkpoint(path).state_dict, few_weights)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_the_old_format_of_torch_is_read(tmp_path: Path, few_weights: dict[str, Tensor]) -> None:
    torch.save({"model": few_weights}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)

    assert_same(read_checkpoint(tmp_path / "old.pt").state_dict, few_weights)


def test_a_hugging_face_folder_is_read(tmp_path: Path, few_weights: dict[str, Tensor]) -> None:
    save_file(to_hugging_face(few_weights), tmp_path / "model.safetensors")

    assert_same(read_checkpoint(tmp_path).state_dict, few_weights)


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in weights.items()}


WRAPPINGS = {
    "bare": lambda weights: weights,
    "ordered": OrderedDict,
    "with optimizer": lambda weights: {"optimizer": {"param_groups": [{"lr": 0.1}]}, "epoch": 3, "model": weights},
    "lightning": lambda weights: {"state_dict": prefixed(weights, "model.") | {"loss.weight": torch.ones(1)}},
    "data parallel": lambda weights: {"model_state_dict": prefixed(weights, "module.")},
    "average of timm": lambda weights: {"ema": {"module": prefixed(weights, "module."), "decay": 0.999}},
    "average of torch": lambda weights: prefixed(weights, "module.") | {"n_averaged": torch.tensor(3)},
    "compiled": lambda weights: {"model": prefixed(weights, "_orig_mod.")},
    "partly compiled": lambda weights: {
        key.replace("trunk.", "trunk._orig_mod.") if key != MARKER else key: value for key, value in weights.items()
    },
    "unusual names": lambda weights: {"anything": {"inside": weights}},
    "hugging face inside": lambda weights: {"state_dict": prefixed(to_hugging_face(weights), "model.")},
    "both": lambda weights: {"ema": {key: value + 1 for key, value in weights.items()}, "model": weights},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_inside_what_training_code_saves(
    tmp_path: Path, few_weights: dict[str, Tensor], wrapping: str
) -> None:
    torch.save(WRAPPINGS[wrapping](few_weights), tmp_path / "training.pt")

    assert_same(read_checkpoint(tmp_path / "training.pt").state_dict, few_weights)


def test_a_weight_that_is_no_tensor_is_refused(few_weights: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="weight 'extra' is a int"):
        official_state_dict({**few_weights, "extra": 3})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page, not weights"),
        (b"<html><head>", "is a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "Git LFS pointer"),
        (bytes(5000), "starts with zeros"),
        (b"GIF89a....", r"unknown format \(it starts with b'GIF89a..'\)"),
        (b"PK\x03\x04 and then nothing", "not a complete torch checkpoint"),
        (b"\x80\x02}q\x00(X\x05\x00", "damaged or incomplete|not a complete torch checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.999])
def test_a_truncated_file_is_called_that(
    tmp_path: Path, few_weights: dict[str, Tensor], suffix: str, share: float
) -> None:
    path = save_checkpoint(tmp_path / f"weights{suffix}", {**few_weights, "more": torch.zeros(20_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(CheckpointError, match="get it again"):
        read_checkpoint(path)


class RunsCode:
    """What a malicious file holds: unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path: Path, few_weights: dict[str, Tensor], zipped: bool) -> None:
    trap = tmp_path / "was run"
    torch.save({"model": few_weights, "x": RunsCode(trap)}, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)

    with pytest.raises(CheckpointError, match=r"holds more than weights.*could run code, so it is not read"):
        read_checkpoint(tmp_path / "evil.pt")

    assert not trap.exists()


def test_a_plain_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "was run"
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(RunsCode(trap)))

    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "evil.pkl")

    assert not trap.exists()


def test_other_archives_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with zipfile.ZipFile(tmp_path / "folder.zip", "w") as archive:
        archive.writestr("readme", "hello")

    for name in ("arrays.npz", "folder.zip"):
        with pytest.raises(CheckpointError, match="another kind of archive"):
            read_checkpoint(tmp_path / name)


def test_a_missing_file_or_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.pt does not exist") as caught:
        read_checkpoint(tmp_path / "nothing.pt")
    assert isinstance(caught.value, FileNotFoundError)

    with pytest.raises(MissingFileError, match=r"is a folder without a model\.safetensors"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "it is empty"),
        ([1, 2], "it is a list"),
        ({"model": {"conv1.weight": torch.ones(1)}}, r"1 entries such as conv1\.weight"),
        ({"image_encoder.patch_embed.proj.weight": torch.ones(1)}, "weights of SAM 1"),
        ({"model": {"backbone.vision_backbone.trunk.blocks.0.norm1.weight": torch.ones(1)}}, "relative of SAM 2"),
    ],
)
def test_files_without_sam_2_say_what_they_hold(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "other.pt")

    with pytest.raises(CheckpointError, match=f"holds no SAM 2 weights: .*{message}"):
        read_checkpoint(tmp_path / "other.pt")


def test_a_safetensors_file_says_which_model_it_is(tmp_path: Path, few_weights: dict[str, Tensor]) -> None:
    path = save_checkpoint(
        tmp_path / "mine.safetensors", few_weights, config="configs/sam2.1/sam2.1_hiera_t.yaml", image_size=512
    )

    metadata = read_checkpoint(path).metadata
    assert metadata["sam2_config"] == "configs/sam2.1/sam2.1_hiera_t.yaml"
    assert metadata["sam2_image_size"] == "512"


def test_weights_can_be_written_in_half_the_size(tmp_path: Path, few_weights: dict[str, Tensor]) -> None:
    weights = {**few_weights, "count": torch.tensor(3)}
    path = save_checkpoint(tmp_path / "half.safetensors", weights, dtype=torch.float16)

    read = read_checkpoint(path).state_dict
    assert read[MARKER].dtype == torch.float16
    assert read["count"].dtype == torch.int64


@pytest.mark.parametrize("options", [{"name": "weights.onnx"}, {"name": "weights.pt", "layout": "other"}])
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, few_weights: dict[str, Tensor], options: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError):
        save_checkpoint(tmp_path / options.pop("name"), few_weights, **options)  # type: ignore[arg-type]

    assert list(tmp_path.iterdir()) == []
