"""The template for plugin authors, built and installed into an environment of its own, where its own tests pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

TOOLS = Path("Scripts" if os.name == "nt" else "bin")


def environment_beside(this: Path, repository: Path) -> Path:
    """A new environment that sees what is installed where the tests run, and this checkout; returns its packages."""
    venv.create(this, with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(this), "platbase": str(this)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    seen = [str(repository), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "beside.pth").write_text("\n".join(dict.fromkeys(seen)), encoding="utf-8")
    return packages


def test_it_is_built_installed_and_passes_its_tests(repository: Path, tmp_path: Path) -> None:
    source = shutil.copytree(repository / "examples" / "plugin-template", tmp_path / "template")
    packages = environment_beside(tmp_path / "environment", repository)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(packages)
    shutil.rmtree(source / "src")  # so that it is the installed one that is tested

    python = tmp_path / "environment" / TOOLS / "python"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:napari", "--rootdir", str(source), str(source / "tests")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAM2_", "PYTEST"))}
    done = subprocess.run(
        [python, "-m", "pytest", *options], cwd=source, env=clean, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout
