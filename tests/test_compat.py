"""Code written for the official package runs on ours: names, one program through both, and when the alias refuses."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.machinery import PathFinder
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module

from sam2_core import compat
from sam2_core.checkpoints.config import load_config
from sam2_core.errors import InvalidInputError, StateError

PROGRAM = "tests.compat.written_for_sam2"


def _official_folder() -> Path:
    # Finds it, does not import it; importlib.util.find_spec would find ours where the alias is installed.
    spec = PathFinder.find_spec("sam2")
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
    for module, names in {**compat.OFFICIAL_MODULES, **compat.TRAINING_MODULES}.items():
        for name in names:
            assert getattr(importlib.import_module(module), name) is not None


def _training_source(module: str) -> ast.Module:
    folder = PathFinder.find_spec("training")
    if folder is None or not folder.submodule_search_locations:
        pytest.skip("needs the official package as oracle; install sam2 1.1.0 (`make oracle`)")
    path = Path(folder.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text())


def test_names_for_training_are_where_the_official_package_has_them() -> None:
    for module, names in compat.TRAINING_MODULES.items():
        there: set[str] = set()
        for node in _training_source(module).body:
            if isinstance(node, ast.ImportFrom):
                there |= {name.asname or name.name for name in node.names}
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                there.add(node.name)
        assert set(names) <= there, module


@pytest.mark.usefixtures("alias")
def test_a_package_of_the_program_called_training_stays_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").touch()
    (tmp_path / "training" / "mine.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert importlib.import_module("training.mine").answer == 42
    finally:
        for name in ("training", "training.mine"):
            sys.modules.pop(name, None)


@pytest.mark.usefixtures("alias")
def test_only_the_official_names() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"sam2\.catalogue"):
        importlib.import_module("sam2.catalogue")  # a module of ours lies in the folder that sam2.__path__ names
    with pytest.raises(ImportError, match="no_such_name"):
        from sam2.build_sam import no_such_name  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"training\.utils\.distributed"):
        importlib.import_module("training.utils.distributed")


@pytest.mark.usefixtures("alias")
def test_configurations_lie_where_the_official_package_has_them() -> None:
    import sam2

    assert (Path(sam2.__path__[0]) / "configs/sam2.1/sam2.1_hiera_t.yaml").is_file()
    assert (Path(sam2.__file__).parent / "configs/sam2/sam2_hiera_l.yaml").is_file()


@pytest.mark.usefixtures("alias")
def test_hydra_finds_the_configurations_in_the_module() -> None:
    """What programs do that compose a configuration themselves: Hydra reads it as a resource of the module sam2."""
    override = "++model.image_size=512"
    with initialize_config_module("sam2", version_base="1.2"):
        composed = compose("configs/sam2.1/sam2.1_hiera_t.yaml", overrides=[override])

    assert composed == load_config("configs/sam2.1/sam2.1_hiera_t.yaml", [override])


@pytest.mark.usefixtures("alias")
def test_helpers_whose_names_begin_with_an_underscore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs import some of them; ``import *`` brings none. The others are in the program that runs through both."""
    monkeypatch.setattr("sam2_core.compat.builders.fetch_pretrained", lambda name: (None, Path("weights.pt")))
    builders = importlib.import_module("sam2.build_sam")

    assert builders._hf_download("facebook/sam2.1-hiera-tiny") == ("configs/sam2.1/sam2.1_hiera_t.yaml", "weights.pt")
    assert not any(name.startswith("_") for name in builders.__all__)


def _parameters(function: ast.FunctionDef) -> dict[str, str | None]:
    """Names of the parameters but self, in order, with the text of each default."""
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    defaults = [None] * (len(names) - len(function.args.defaults)) + [ast.unparse(d) for d in function.args.defaults]
    return {name: default for name, default in zip(names, defaults, strict=True) if name not in ("self", "cls")}


def _official_signatures() -> list[tuple[str, ast.FunctionDef]]:
    """Each public function, and each public method and constructor of a public class, of the official package."""
    folder = _official_folder()
    found = []
    for path in sorted(folder.rglob("*.py")):
        module = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        if module == "sam2.benchmark":
            continue  # a script: it runs when it is imported
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found.append((f"{module}:{node.name}", node))
            elif isinstance(node, ast.ClassDef):
                methods = [sub for sub in node.body if isinstance(sub, ast.FunctionDef)]
                found += [(f"{module}:{node.name}.{method.name}", method) for method in methods]
    private = re.compile(r"[:.]_(?!_init__|predict$)")
    return [(name, function) for name, function in found if not private.search(name)]


# Read otherwise, and why.
SIGNATURES_THAT_DIFFER = {
    "sam2.modeling.sam2_base:SAM2Base.forward",  # refuses every call there; encodes images here
    "sam2.modeling.memory_attention:MemoryAttentionLayer.forward",  # encodings may be None there, where none is added
    "sam2.modeling.sam.transformer:RoPEAttention.__init__",  # *args there, named here
}


@pytest.mark.usefixtures("alias")
def test_official_calls_are_accepted() -> None:
    """Parameters have the official names, order and defaults; ours may add some that need not be given."""
    problems = []
    for name, function in _official_signatures():
        if name in SIGNATURES_THAT_DIFFER:
            continue
        module, _, path = name.partition(":")
        member = attrgetter(path)(importlib.import_module(module))
        if isinstance(member, property):
            continue
        parameters = inspect.signature(member).parameters
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        ours = [key for key, parameter in parameters.items() if parameter.kind == positional and key != "self"]
        wanted = _parameters(function)
        named = {argument.arg for argument in function.args.kwonlyargs}
        if ours[: len(wanted)] != list(wanted) or not named <= parameters.keys():
            problems.append(f"{name}: expected {list(wanted)}, got {ours}")
            continue
        for key, default in wanted.items():
            given = parameters[key].default
            try:
                literal = () if default == "[]" else ast.literal_eval(str(default))  # one list for all calls there
                same = default is not None and literal == given
            except ValueError:  # nn.GELU, 512 / 1500: no literal
                same = given is not inspect.Parameter.empty
            # CUDA whether it is there or not; here the best of the machine
            if default is not None and not same and key not in ("device", "compute_device"):
                problems.append(f"{name}: {key} is {default} by default, got {given!r}")
        problems += [
            f"{name}: {key} has to be given"
            for key, parameter in parameters.items()
            if key not in (*wanted, *named, "self")
            and parameter.default is inspect.Parameter.empty
            and parameter.kind in (positional, inspect.Parameter.KEYWORD_ONLY)
        ]

    assert problems == []


@pytest.mark.usefixtures("alias", "bf16_machine")
def test_models_are_in_fp32_unless_told_otherwise() -> None:
    """The official default, also where our own names take bf16; and what comes is of the classes that have its name."""
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2, build_sam2_hf, build_sam2_video_predictor, build_sam2_video_predictor_hf
    from sam2.modeling.sam2_base import SAM2Base
    from sam2.sam2_image_predictor import SAM2ImagePredictor
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    class MyPredictor(SAM2ImagePredictor):  # type: ignore[misc]
        pass

    name, config = "sam2.1_hiera_micro", "configs/sam2.1/sam2.1_hiera_micro.yaml"
    for builder, kind in (
        (partial(build_sam2, config), SAM2Base),
        (partial(build_sam2_hf, name), SAM2Base),
        (partial(build_sam2_video_predictor, config), SAM2VideoPredictor),
        (partial(build_sam2_video_predictor_hf, name), SAM2VideoPredictor),
        (partial(SAM2VideoPredictor.from_pretrained, name), SAM2VideoPredictor),
    ):
        model = builder(device="cpu")
        assert isinstance(model, kind)
        assert model.dtype == torch.float32
        assert builder(device="cpu", precision="auto").dtype == torch.bfloat16
    predictor = MyPredictor.from_pretrained(name, device="cpu")
    assert type(predictor) is MyPredictor
    assert predictor.model.dtype == torch.float32
    assert SAM2AutomaticMaskGenerator.from_pretrained(name, device="cpu").predictor.model.dtype == torch.float32
    assert MyPredictor.from_pretrained(name, device="cpu", precision="auto").model.dtype == torch.bfloat16
    assert inspect.signature(build_sam2).parameters["precision"].default == "fp32"


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
