"""The package as somebody installs and imports it."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import sam2_core

# Imported where they are found, done without where they are not; so no dependency.
FOUND_IF_THERE = {"cuda"}  # cuda-bindings, which comes with torch's CUDA builds and has no use beside a CPU build


@pytest.fixture(scope="module")
def pyproject(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(requirement: str) -> str:
    """The distribution's name in a requirement such as ``Foo_bar[all]>=1``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_import_loads_nothing_heavy() -> None:
    """`import sam2_core` must stay quick: none of the large libraries is loaded by it."""
    code = "import sam2_core, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"torch", "torchvision", "numpy", "scipy", "skimage", "hydra", "omegaconf", "av", "PIL", "typer"}

    assert not heavy & set(done.stdout.split())


def test_dir_and_star_import_agree_with_all() -> None:
    namespace: dict[str, Any] = {}
    exec("from sam2_core import *", namespace)

    assert set(sam2_core.__all__) <= set(dir(sam2_core))
    assert set(sam2_core.__all__) <= set(namespace)
    assert sam2_core.__all__ == sorted(sam2_core.__all__, key=lambda name: (not name.isupper(), name))
    assert set(sam2_core.__all__) - {"__version__"} == set(sam2_core._HOMES)


def test_type_checkers_see_what_users_get() -> None:
    """The imports under TYPE_CHECKING name the same modules as the lazy ones."""
    tree = ast.parse(Path(sam2_core.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert seen == sam2_core._HOMES


@pytest.mark.parametrize("name", sam2_core.__all__)
def test_public_name_loads(name: str) -> None:
    value = getattr(sam2_core, name)

    if name in sam2_core._HOMES and callable(value):
        assert value.__module__ == sam2_core._HOMES[name]


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="build_sam2"):
        _ = sam2_core.no_such_name


def test_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("sam2-lab") == sam2_core.__version__


def test_command_is_declared(pyproject: dict[str, Any]) -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="sam2")

    assert entry.value == pyproject["project"]["scripts"]["sam2"]
    assert callable(entry.load())


def test_every_import_is_a_declared_dependency(repository: Path, pyproject: dict[str, Any]) -> None:
    """What sam2_core imports, lazily or not, is named in pyproject.toml rather than there by luck."""
    project = pyproject["project"]
    declared = {normalised(text) for text in project["dependencies"]}
    declared |= {normalised(text) for texts in project["optional-dependencies"].values() for text in texts}
    providers = importlib.metadata.packages_distributions()
    undeclared = {}
    for path in sorted((repository / "sam2_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top in ("sam2_core", *FOUND_IF_THERE) or top in sys.stdlib_module_names:
                    continue
                if not {normalised(provider) for provider in providers.get(top, [top])} & declared:
                    undeclared[f"{path.relative_to(repository)}:{node.lineno}"] = top

    assert undeclared == {}


def test_constraints_pin_what_make_installs(repository: Path, pyproject: dict[str, Any]) -> None:
    """constraints.txt has one exact version for each direct dependency and tool."""
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    groups = pyproject["dependency-groups"]
    installed = [*pyproject["project"]["dependencies"]]
    installed += [text for group in groups.values() for text in group if isinstance(text, str)]

    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*(; sys_platform .*)?", pin) for pin in pins), pins
    assert pins == sorted(pins)
    assert {normalised(text) for text in installed} <= {normalised(pin) for pin in pins}


def test_wheel_has_the_packages_and_their_data(repository: Path, pyproject: dict[str, Any], tmp_path: Path) -> None:
    """The kernel source, model configurations, shipped weights and type marker travel; tests do not."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tracked = {
        path.relative_to(repository).as_posix()
        for package in pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        for path in (repository / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in names if ".dist-info/" not in name} == tracked
    assert {Path(name).suffix for name in names} >= {".cu", ".yaml", ".safetensors", ".typed", ".js", ".css"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
