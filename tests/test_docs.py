"""The documentation tells the truth: its code runs, its links lead somewhere, what is public is described."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpydoc import validate
from PIL import Image

import sam2_core
from tests.conftest import REPOSITORY

PAGES = sorted(path for path in REPOSITORY.rglob("*.md") if not {".venv", "demo"} & set(path.parts))
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

# numpydoc's codes for what a public docstring must have: a summary, every parameter under its real name and described,
# and what is returned. The rest of its codes are about layout, which ruff checks.
REQUIRED = {"GL08", "SS01", "PR01", "PR02", "PR04", "PR07", "RT01", "RT03"}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of one language on a page, in order."""
    return [
        match["code"] for match in FENCE.finditer(page.read_text(encoding="utf-8")) if match["language"] == language
    ]


def tracked_text() -> Iterator[tuple[Path, str]]:
    """Every text file that git has or would take, with its content."""
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git working tree")
    for name in listed.stdout.split("\0"):
        path = REPOSITORY / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                yield path, content.decode("utf-8")


@pytest.fixture
def folder_with_cells(tmp_path: Path) -> Path:
    """A folder with the files that the examples name: a picture and a stack, a bright round cell at (96, 80)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :192]
    frames = [
        (200 * ((x - 96 - shift) ** 2 + (y - 80) ** 2 < 20**2) + rng.normal(30, 5, x.shape)).clip(0, 255)
        for shift in range(4)
    ]
    stack = np.stack(frames).astype(np.uint8)
    Image.fromarray(stack[0]).save(tmp_path / "cells.png")
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    return tmp_path


def test_readme_python_runs(folder_with_cells: Path) -> None:
    """The README's Python, top to bottom in one process as a reader would, finds the cell it clicks on."""
    checks = [
        "assert best.shape == (160, 192), best.shape",
        "assert best[80, 96] and not best[5, 5]",
        "assert sorted(cell) == [0, 1, 2, 3], sorted(cell)",
        "assert all(mask.shape == (160, 192) for mask in cell.values())",
        "assert cell[0][80, 96] and not cell[0][5, 5]",
    ]
    script = "\n".join([*blocks(REPOSITORY / "README.md", "python"), *checks])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder_with_cells, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, f"{script}\n{done.stderr}"


def test_readme_commands_run(folder_with_cells: Path) -> None:
    """Every `sam2 …` line of the README does its work and leaves files."""
    text = "\n".join(blocks(REPOSITORY / "README.md", "sh"))
    lines = [line.partition("#")[0].strip() for line in text.splitlines() if line.startswith("sam2 ")]
    executable = Path(sys.executable).with_name("sam2")

    assert lines
    for line in lines:
        command = f'"{executable}" {line.removeprefix("sam2 ")}'
        done = subprocess.run(
            command, shell=True, cwd=folder_with_cells, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert any((folder_with_cells / "result").iterdir())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_page_is_consistent(page: Path) -> None:
    """Links between pages lead to files, and every `make` target that is named exists."""
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = "\n".join([*(match["code"] for match in FENCE.finditer(text)), *re.findall(r"`([^`\n]+)`", text)])

    assert [link for link in links if not (page.parent / link).exists()] == []
    assert set(re.findall(r"\bmake ([a-z]+)\b", code)) <= targets


def test_no_registry_and_no_machine_is_named() -> None:
    """The repository leaves it to the installer where packages come from, and knows no machine of ours."""
    # Written in two parts each, so that this file does not find itself.
    hosts = ("pypi" + ".org", "python" + "hosted.org", "download." + "pytorch.org", "registry." + "npmjs")
    options = "--(?:extra-)?index" + "-url"
    pattern = re.compile(
        "|".join([*map(re.escape, hosts), options, r"(?<![\w.~/}])/(?:work|root|home|Users|farm)/[\w.]"])
    )
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path, text in tracked_text()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []


def test_no_lock_file() -> None:
    """A lock file records the addresses that packages came from."""
    names = {path.name for path, _ in tracked_text()}

    assert not names & {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "package-lock.json", "yarn.lock"}


def public_callables() -> list[str]:
    """Dotted names of the public functions and classes, and of the classes' public methods."""
    names = []
    for name, home in sam2_core._HOMES.items():
        value = getattr(sam2_core, name)
        if not callable(value):
            continue
        names.append(f"{home}.{name}")
        if inspect.isclass(value):
            # What a class has from a base of its own room is written for the same reader.
            homes = [base for base in value.__mro__ if base.__module__.rpartition(".")[0] == home.rpartition(".")[0]]
            names += [
                f"{base.__module__}.{base.__name__}.{member}"
                for base in homes
                for member, content in vars(base).items()
                if not member.startswith("_") and (callable(content) or isinstance(content, classmethod | staticmethod))
            ]
    return names


def test_public_callables_are_documented() -> None:
    """Every public function, class and method says what it does, takes and returns."""
    problems = {
        name: found
        for name in public_callables()
        if (found := [text for code, text in validate.validate(name)["errors"] if code in REQUIRED])
    }

    assert problems == {}
