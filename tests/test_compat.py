"""Code written for the official package runs on ours: names, one program through both, and when the alias refuses."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sam2_core import compat
from sam2_core.errors import InvalidInputError, StateError

PROGRAM = "tests.compat.written_for_sam2"


def _official_folder() -> Path:
    spec = importlib.util.find_spec("sam2")  # finds it, does not import it
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the official package as oracle; install sam2 1.1.0 (`make oracle`)")
    return Path(spec.submodule_search_locations[0])


def _defined_names(path: Path) -> set[str]:
    """Public functions, classes and constants that a module defines itself."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


@pytest.fixture
def alias() -> Iterator[None]:
    compat.install()
    yield
    compat.uninstall()


def test_every_public_official_name_resolves() -> None:
    folder = _official_folder()
    wanted = {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): _defined_names(path)
        for path in sorted(folder.rglob("*.py"))
    }
    wanted["sam2.benchmark"] = set()  # a script, whose names are its variables
    compat.install()
    try:
        for module, names in wanted.items():
            imported = importlib.import_module(module)
            missing = [name for name in names if not hasattr(imported, name)]
            assert not missing, f"{module} lacks {missing}"
            assert names <= set(dir(imported))
    finally:
        compat.uninstall()
    assert set(compat.OFFICIAL_MODULES) == set(wanted)


@pytest.mark.usefixtures("alias")
def test_what_official_modules_import_from_each_other_is_there_too() -> None:
    folder = _official_folder()
    missing = [
        f"{module}.{name.name}"
        for path in sorted(folder.rglob("*.py"))
        if path.name not in ("__init__.py", "benchmark.py")
        for module in [".".join(path.relative_to(folder.parent).with_suffix("").parts)]
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sam2.")
        for name in node.names
        if not hasattr(importlib.import_module(module), name.name)
    ]

    assert missing == []


@pytest.mark.usefixtures("alias")
def test_every_name_of_the_table_exists() -> None:
    for module, names in compat.OFFICIAL_MODULES.items():
        for name in names:
            assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.usefixtures("alias")
def test_only_the_official_names() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"sam2\.catalogue"):
        importlib.import_module("sam2.catalogue")  # a module of ours lies in the folder that sam2.__path__ names
    with pytest.raises(ImportError, match="no_such_name"):
        from sam2.build_sam import no_such_name  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("training.trainer")


@pytest.mark.usefixtures("alias")
def test_configurations_lie_where_the_official_package_has_them() -> None:
    import sam2

    assert (Path(sam2.__path__[0]) / "configs/sam2.1/sam2.1_hiera_t.yaml").is_file()
    assert (Path(sam2.__file__).parent / "configs/sam2/sam2_hiera_l.yaml").is_file()


def test_installing_is_idempotent_and_can_be_undone() -> None:
    before = list(sys.meta_path)
    compat.install()
    compat.install()
    assert len(sys.meta_path) == len(before) + 1
    assert compat.is_installed()
    importlib.import_module("sam2.utils")
    compat.uninstall()
    compat.uninstall()
    assert sys.meta_path == before
    assert not compat.is_installed()
    assert not [name for name in sys.modules if name == "sam2" or name.startswith("sam2.")]


def test_refuses_when_the_official_package_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = type(sys)("sam2.build_sam")
    stand_in.__file__ = "/somewhere/sam2/build_sam.py"
    monkeypatch.setitem(sys.modules, "sam2.build_sam", stand_in)
    with pytest.raises(StateError, match="/somewhere/sam2"):
        compat.install()
    assert not compat.is_installed()


def test_installing_does_not_import_torch(repository: Path) -> None:
    program = (
        "import sys; from sam2_core import compat; compat.install(); import sam2.modeling.sam; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=repository, capture_output=True, text=True)
    assert "sam2.modeling.sam" in done.stdout.split()
    assert "torch" not in done.stdout.split()


def test_one_program_through_both(tmp_path: Path, repository: Path) -> None:
    _official_folder()
    commands = {"official": ["-m", PROGRAM], "ours": ["-m", "sam2_core.compat", "-m", PROGRAM]}
    running = [
        subprocess.Popen([sys.executable, "-W", "ignore", *command, tmp_path / f"{name}.npz"], cwd=repository)
        for name, command in commands.items()
    ]
    assert [process.wait(timeout=800) for process in running] == [0, 0]
    official, ours = (dict(np.load(tmp_path / f"{name}.npz")) for name in commands)
    assert official.keys() == ours.keys()
    for name, expected in official.items():
        actual = ours[name]
        assert actual.shape == expected.shape, name
        # the official predictor keeps memories in bf16, ours in the model's dtype
        if name == "tracked":
            assert ((actual > 0) == (expected > 0)).mean() > 0.98
        elif name == "memory by hand":
            assert np.abs(actual - expected).max() <= 2**-7 * np.abs(expected).max()
        elif expected.dtype.kind == "f":
            assert np.abs(actual - expected).max() <= 2e-3 * max(1.0, np.abs(expected).max()), name
        else:
            assert np.array_equal(actual, expected), name


def test_benchmark_counts_the_runs_after_warming_up() -> None:
    from sam2_core.compat.benchmark import measure_video
    from tests.inference.video_scene import small_predictor, stack

    speed = measure_video(small_predictor(), stack(3), point=(35, 30), warm_up=1, runs=3)
    assert (speed.frames, speed.runs) == (3, 2)
    assert speed.fps > 0
    assert speed.warm_up_fps > 0
    with pytest.raises(InvalidInputError, match="more than warm_up"):
        measure_video(small_predictor(), stack(3), warm_up=3, runs=3)
