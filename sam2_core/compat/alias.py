"""Make ``import sam2`` and ``import training`` mean this project: a finder ahead of all others on ``sys.meta_path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.resources.abc import TraversableResources
from pathlib import Path
from types import ModuleType
from typing import Any

from sam2_core.compat.names import OFFICIAL_MODULES
from sam2_core.errors import StateError
from sam2_core.training.official_names import TRAINING_MODULES

ROOT = "sam2"
TRAINING = "training"
_ALIASES = {**OFFICIAL_MODULES, **TRAINING_MODULES}
# Where `sam2.__path__` points: the folder that holds `configs/sam2.1/….yaml`, for code that opens them by path.
_CONFIG_ROOT = Path(__file__).parents[1] / "checkpoints"


class AliasModule(ModuleType):
    """An official module whose names are ours, each imported when it is first used."""

    def __getattr__(self, name: str) -> Any:
        homes = _ALIASES[self.__name__]
        if name not in homes:
            known = f"it has {', '.join(sorted(homes))}" if homes else "import one of its modules"
            raise AttributeError(
                f"module {self.__name__!r} (sam2-lab's stand-in for the official one) has no {name!r}; {known}"
            )
        module, attribute = homes[name].split(":")
        value = getattr(importlib.import_module(module), attribute)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_ALIASES[self.__name__]})


class AliasFinder(MetaPathFinder, Loader):
    """Finds the official names, and keeps anything else called ``sam2.…`` or ``training.…`` from being found elsewhere.

    A package ``training`` that is not the official one is the program's own, and is left to it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of an official module; None for modules that are not below ``sam2`` or ``training``.

        Raises
        ------
        ModuleNotFoundError
            For a module below them that this project does not stand in for.
        """
        root = fullname.partition(".")[0]
        if root not in (ROOT, TRAINING) or (root == TRAINING and _is_somebody_elses()):
            return None
        if fullname in _ALIASES:
            is_package = not _ALIASES[fullname]
            spec = ModuleSpec(fullname, self, origin=str(Path(__file__)), is_package=is_package)
            if fullname == ROOT:
                spec.submodule_search_locations = [str(_CONFIG_ROOT)]
            return spec
        known = [name for name, names in _ALIASES.items() if names and name.startswith(f"{root}.")]
        raise ModuleNotFoundError(
            f"sam2-lab stands in for the official {root} here, and has no {fullname!r}; it has {', '.join(known)}",
            name=fullname,
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the module object."""
        return AliasModule(spec.name, f"sam2-lab's stand-in for the official {spec.name}.")

    def exec_module(self, module: ModuleType) -> None:
        """Say what ``from … import *`` brings; the names themselves come when they are used."""
        module.__dict__["__all__"] = sorted(name for name in _ALIASES[module.__name__] if not name.startswith("_"))
        if module.__name__ == ROOT:
            module.__file__ = str(_CONFIG_ROOT / "__init__.py")

    def get_resource_reader(self, fullname: str) -> TraversableResources | None:
        """Hand out the configurations to ``importlib.resources``; Hydra's ``initialize_config_module("sam2")`` asks."""
        return _ConfigFiles() if fullname == ROOT else None


class _ConfigFiles(TraversableResources):
    """The files in the folder that ``sam2.__path__`` names."""

    def files(self) -> Path:
        return _CONFIG_ROOT


def _is_somebody_elses() -> bool:
    """Whether there is a package ``training`` with code that is not the official one's."""
    loaded = sys.modules.get(TRAINING)
    if isinstance(loaded, AliasModule):
        return False
    if loaded is None:
        spec = PathFinder.find_spec(TRAINING)
        if spec is None:
            return False
        found = spec.submodule_search_locations
    else:
        found = getattr(loaded, "__path__", None)
    folders = [Path(folder) for folder in found or ()]
    has_code = not folders or any(path.suffix == ".py" for folder in folders for path in folder.iterdir())
    return has_code and not any((folder / "loss_fns.py").is_file() for folder in folders)


_finder = AliasFinder()


def install() -> None:
    """Let ``import sam2``, ``import training`` and the official modules below them resolve to this project.

    Only the names in :data:`~sam2_core.compat.names.OFFICIAL_MODULES` and
    :data:`~sam2_core.training.official_names.TRAINING_MODULES` are taken over, each loaded when it is first used. A
    package ``training`` of the program itself stays. An installed official package is left alone and cannot be
    imported meanwhile. Doing it twice changes nothing.

    Raises
    ------
    StateError
        If the official package was imported already: its classes and ours would be mixed.
    """
    if is_installed():
        return
    roots = (ROOT,) if _is_somebody_elses() else (ROOT, TRAINING)
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] in roots)
    if loaded:
        origin = getattr(sys.modules[loaded[0]], "__file__", None) or "an unknown place"
        raise StateError(
            f"{loaded[0]!r} was already imported from {origin}: call sam2_core.compat.install() before anything "
            "imports it, or use the names of sam2_core"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Take the alias back, so that ``import sam2`` finds what else is there; nothing happens where it is not installed.

    Names imported meanwhile keep working.
    """
    if not is_installed():
        return
    sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if isinstance(module, AliasModule)]:
        del sys.modules[name]


def is_installed() -> bool:
    """Whether ``import sam2`` means this project."""
    return _finder in sys.meta_path
