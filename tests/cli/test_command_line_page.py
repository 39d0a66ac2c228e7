"""docs/command-line.md tells the truth: its commands run, in order, on files of the names it gives."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.cli.test_app import run
from tests.volumes.test_zarr_volume import AXES, write_ome


@pytest.fixture
def folder(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:160, :192]
    frames = [
        (200 * ((x - 96 - shift) ** 2 + (y - 80) ** 2 < 20**2) + chance.normal(30, 5, x.shape)).clip(0, 255)
        for shift in range(4)
    ]
    stack = np.stack(frames).astype(np.uint8)
    Image.fromarray(stack[0]).save("cells.png")
    tifffile.imwrite("stack.tif", stack, photometric="minisblack")
    tifffile.imwrite("nuclei.tif", (stack[0] > 130).astype(np.uint16) * 7)
    write_ome(tmp_path / "cells.zarr", "0.5", chance.integers(0, 4000, (2, 2, 8, 60, 80)).astype(np.uint16), AXES)
    page = (repository / "docs" / "command-line.md").read_text(encoding="utf-8")
    for language, name in (("csv", "clicks.csv"), ("json", "clicks.json")):
        (block,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        (tmp_path / name).write_text(block)
    return page


def test_its_commands_run(folder, capsys, untrained):
    code = "\n".join(re.findall(r"^```sh\n(.*?)^```$", folder, re.MULTILINE | re.DOTALL))
    commands = [line for line in code.splitlines() if line.startswith("sam2 ")]
    assert len(commands) > 15
    for line in commands:
        arguments = shlex.split(line)[1:]
        # an untrained model finds nothing by itself, and clicks are quicker with it
        model = [] if arguments[0] in ("checkpoint", "convert", "open") or "everything" in line else ["-c", untrained]
        status, _, err = run(capsys, *arguments, *model)
        assert status == 0, f"{line}\n{err}"


def test_every_command_is_on_the_page(folder, capsys):
    _, out, _ = run(capsys, "--help")
    names = re.findall(r"^  ([a-z]+)  ", out.partition("Commands:")[2], re.MULTILINE)
    assert {"track", "embed", "convert"} <= set(names)
    assert [name for name in names if f"sam2 {name}" not in folder] == []
