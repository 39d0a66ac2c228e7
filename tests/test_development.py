"""What developers run: the hooks before a commit, the change notes, and the check of the CUDA kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def hooks(repository: Path) -> dict[str, dict[str, Any]]:
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [one["repo"] for one in config["repos"]] == ["local"], "nothing is downloaded before a commit"
    return {hook["id"]: hook for one in config["repos"] for hook in one["hooks"]}


def test_hooks_run_what_make_lint_runs(repository: Path, hooks: dict[str, dict[str, Any]]) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    linted = {line.split("/")[1].split()[0] for line in recipe[1].splitlines()}
    hooked = {hook["entry"].split("/")[-1].split()[0] for hook in hooks.values()}

    assert linted == {"ruff", "mypy", "lint-imports"}
    assert linted | {"towncrier"} == hooked
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("sam2_core/model/hiera.py", {"mypy", "import-linter"}),
        ("sam2_napari/review_panel.py", {"mypy", "import-linter"}),
        ("pyproject.toml", {"import-linter"}),
        ("changes/2.feature.2.md", {"towncrier"}),
        ("README.md", set()),
    ],
)
def test_hooks_look_at_the_files_they_are_for(hooks: dict[str, dict[str, Any]], path: str, wanted: set[str]) -> None:
    assert {name for name, hook in hooks.items() if "files" in hook and re.search(hook["files"], path)} == wanted


def test_each_change_note_is_of_a_kind_that_towncrier_knows(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = {one["directory"] for one in settings["type"]}
    notes = [
        path for path in (repository / settings["directory"]).iterdir() if path.name not in {"README.md", ".gitignore"}
    ]

    assert notes
    for note in notes:
        # +name.kind.md, or issue.kind.number.md
        assert re.fullmatch(rf"(\+[\w-]+|\d+)\.({'|'.join(kinds)})(\.\d+)?\.md", note.name), note.name
        assert note.read_text(encoding="utf-8").strip(), f"{note.name} says nothing"
    assert settings["start_string"] in (repository / settings["filename"]).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
def test_without_the_sanitizer_or_a_gpu_it_says_what_is_missing(repository: Path, tmp_path: Path) -> None:
    def run(*folders: Path) -> subprocess.CompletedProcess[str]:
        search = os.pathsep.join(map(str, folders))
        return subprocess.run(
            [shutil.which("sh") or "sh", "scripts/sanitize-kernels.sh", sys.executable],
            cwd=repository,
            env={**os.environ, "PATH": search, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run(tmp_path)
    assert done.returncode == 2
    assert "compute-sanitizer is not on PATH" in done.stderr
    fake = tmp_path / "compute-sanitizer"
    fake.write_text("#!/bin/sh\necho ran\n", encoding="utf-8")
    fake.chmod(0o755)
    done = run(tmp_path)
    assert done.returncode == 2
    assert "finds a CUDA GPU" in done.stderr
    assert "ran" not in done.stdout
