"""Model configurations: find one by name, apply overrides, build the model it describes.

Uses OmegaConf and Hydra's override grammar and ``instantiate``; Hydra's global state is neither read nor written, so
all of this works inside somebody's own Hydra application, from any working directory, any number of times.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sam2_core.checkpoints.overrides import apply_overrides
from sam2_core.checkpoints.targets import resolve_target
from sam2_core.errors import ConfigError

if TYPE_CHECKING:
    import os

    from sam2_core.model.sam2_base import SAM2Base

_PACKAGE_FOLDER = Path(__file__).parent

# Resolvers that only compute with values of the configuration. Others may read the environment or, registered by an
# application (`eval` is a common one), run code: not for a file that came from a download.
_HARMLESS_RESOLVERS = frozenset(
    {"oc.select", "add", "subtract", "times", "divide", "pow", "range", "int", "ceil_int", "merge"}
)
_INTERPOLATION_NAME = re.compile(r"\$\{\s*([^{}:$]*)(\$\{|[:}])")


@cache
def config_names() -> tuple[str, ...]:
    """Names of the configurations in this package, such as ``configs/sam2.1/sam2.1_hiera_t.yaml``, sorted."""
    folder = _PACKAGE_FOLDER / "configs"
    return tuple(sorted(path.relative_to(_PACKAGE_FOLDER).as_posix() for path in folder.rglob("*.yaml")))


def find_config(name: str | os.PathLike[str]) -> Path:
    """The file of a configuration.

    Parameters
    ----------
    name : str or os.PathLike
        An official name (``configs/sam2.1/sam2.1_hiera_t.yaml``, with or without ``configs/`` and ``.yaml``), an old
        top-level name (``sam2_hiera_l.yaml``), or the path of a file. A name of this package wins over a file of the
        same relative path in the working directory, so that a name means the same from everywhere; write ``./…`` to
        mean the file.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    ConfigError
        When there is neither such a name nor such a file; the message lists what is near.
    """
    text = str(name).replace("\\", "/")
    stem = text.removesuffix(".yaml").removesuffix(".yml")
    for known in config_names():
        bare = known.removesuffix(".yaml")
        if stem in (bare, bare.removeprefix("configs/"), bare.rsplit("/", 1)[-1]):
            return _PACKAGE_FOLDER / known
    for path in (Path(name), Path(f"{name}.yaml")):
        if path.is_file():
            return path
    near = difflib.get_close_matches(text, config_names(), n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(
        f"no configuration named {text!r} and no such file.{hint} Known: {', '.join(config_names())}; "
        "a path to a YAML file works too"
    )


def load_config(name: str | os.PathLike[str] | DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """Read a configuration and apply overrides.

    Parameters
    ----------
    name : str, os.PathLike or DictConfig
        What :func:`find_config` takes, or a configuration already read (which is copied, never changed).
    overrides : sequence of str
        In Hydra's grammar: ``model.x=1`` changes, ``+model.x=1`` adds, ``++model.x=1`` does either, ``~model.x``
        removes.

    Returns
    -------
    DictConfig
        The configuration; interpolations are not resolved yet.

    Raises
    ------
    ConfigError
        When the file is no YAML mapping, asks for Hydra's composition, or an override does not apply.
    """
    if isinstance(name, DictConfig):
        config, label = name.copy(), "the given configuration"
        OmegaConf.set_readonly(config, False)
        OmegaConf.set_struct(config, False)
    else:
        path = find_config(name)
        label = str(name)
        try:
            loaded = OmegaConf.load(path)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{path} is not a readable YAML file: {error}") from error
        if not isinstance(loaded, DictConfig) or not loaded:
            raise ConfigError(f"{path} does not hold a YAML mapping with a 'model' entry")
        config = loaded
    defaults = config.pop("defaults", None) if "defaults" in config else None
    if defaults and [entry for entry in defaults if entry != "_self_"]:
        raise ConfigError(
            f"{label} asks Hydra to compose it from other files ({OmegaConf.to_container(defaults)}); "
            "compose it in your application and pass the result, or write it out with --cfg job --resolve"
        )
    apply_overrides(config, overrides)
    return config


def model_section(config: DictConfig) -> DictConfig:
    """The part of a configuration that describes the model.

    Parameters
    ----------
    config : DictConfig
        A model configuration (``model``), a training configuration (``trainer.model``), or the model itself.

    Returns
    -------
    DictConfig
        The node with the model's ``_target_``; still attached to ``config``, so that interpolations resolve.

    Raises
    ------
    ConfigError
        When there is none.
    """
    for candidate in (config.get("model"), OmegaConf.select(config, "trainer.model"), config):
        if isinstance(candidate, DictConfig) and "_target_" in candidate:
            return candidate
    raise ConfigError(f"the configuration has no 'model' entry with a _target_; its entries are {list(config)}")


def configured_size(config: DictConfig) -> tuple[int, int] | None:
    """(height, width) of the input that a model is configured for; None where it leaves that to the network."""
    size = model_section(config).get("image_size")
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def instantiate_model(config: DictConfig) -> SAM2Base:
    """Build the model a configuration describes, with fresh weights, in fp32 on the CPU.

    Parameters
    ----------
    config : DictConfig
        What :func:`load_config` returns. Official and own ``_target_`` names are followed, any other is refused.

    Returns
    -------
    SAM2Base
        The model, in training mode as torch modules are when new.

    Raises
    ------
    ConfigError
        When a target is not allowed, a value cannot be resolved, or a class refuses its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from sam2_core.model.sam2_base import SAM2Base

    section = model_section(config)
    # the whole tree, not only the section: a value of the model may refer to any other entry
    root = config._get_root()
    _check_interpolations(OmegaConf.to_container(root, resolve=False), "config")
    try:
        resolved = OmegaConf.to_container(section, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the configuration cannot be resolved: {error}") from error
    try:
        # plain lists and dicts, not OmegaConf's: they pickle, compile and compare like any other value
        model = instantiate(_translate(resolved, "model"), _convert_="all")
    except InstantiationException as error:
        raise ConfigError(f"the configuration does not build a model: {error}") from error
    if not isinstance(model, SAM2Base):
        raise ConfigError(f"the configuration builds a {type(model).__name__}, expected a SAM2Base")
    return model


def _translate(node: Any, where: str) -> Any:
    """Copy a plain configuration with every ``_target_`` replaced by the class it may name."""
    if isinstance(node, dict):
        return {
            key: resolve_target(value, where=where) if key == "_target_" else _translate(value, f"{where}.{key}")
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_translate(value, f"{where}[{index}]") for index, value in enumerate(node)]
    return node


def _check_interpolations(node: Any, where: str) -> None:
    """Refuse resolvers that do more than compute with the configuration's own values."""
    if isinstance(node, dict):
        for key, value in node.items():
            _check_interpolations(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_interpolations(value, f"{where}[{index}]")
    elif isinstance(node, str):
        for name, terminator in _INTERPOLATION_NAME.findall(node):
            if terminator == "${" or (terminator == ":" and name.strip() not in _HARMLESS_RESOLVERS):
                raise ConfigError(
                    f"{where}: {node!r} calls a resolver that is not allowed in a model configuration; "
                    f"allowed are {', '.join(sorted(_HARMLESS_RESOLVERS))}. Resolve it yourself and pass the values"
                )
