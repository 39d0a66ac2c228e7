"""Training configurations: find, complete, override, and build what they name.

The same grammar as model configurations (:mod:`sam2_core.checkpoints.config`): OmegaConf, Hydra's overrides, targets
from a list. Official configurations are read as they are; ours may name a model configuration in place of the network::

    model_config: configs/sam2.1/sam2.1_hiera_t.yaml

and another training configuration to build on (``base: finetune_2d``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam2_core.checkpoints.config import load_config
from sam2_core.checkpoints.overrides import apply_overrides
from sam2_core.checkpoints.targets import resolve_target
from sam2_core.errors import ConfigError
from sam2_core.training.official_names import TRAINING_MODULES

FOLDER = Path(__file__).parent / "configs"
_HERE = "sam2_core.training"


_SCHEDULERS = (
    "CompositeParamScheduler",
    "ConstantParamScheduler",
    "CosineParamScheduler",
    "ExponentialParamScheduler",
    "LinearParamScheduler",
    "MultiStepParamScheduler",
    "PolynomialDecayParamScheduler",
    "StepParamScheduler",
    "StepWithFixedGammaParamScheduler",
)
_TARGETS: dict[str, str] = {
    **{
        f"{module}.{name}": home.replace(":", ".")
        for module, names in TRAINING_MODULES.items()
        for name, home in names.items()
    },
    # the official code speaks of it, and does not have it
    "training.utils.checkpoint_utils.CkptIncludeKernel": f"{_HERE}.initial_weights.CkptIncludeKernel",
    **{f"fvcore.common.param_scheduler.{name}": f"{_HERE}.schedules.{name}" for name in _SCHEDULERS},
}
_OURS = frozenset(_TARGETS.values()) | {
    f"{_HERE}.{name}"
    for name in (
        "labelled_volume.VolumeRawDataset",
        "meters.ClickIoU",
        "microscopy_transforms.Anisotropy",
        "microscopy_transforms.Blur",
        "microscopy_transforms.Elastic",
        "microscopy_transforms.Gamma",
        "microscopy_transforms.Noise",
        "microscopy_transforms.SliceDropout",
        "named_losses.NamedLosses",
        "named_videos.NamedVideos",
    )
}

_RESOLVERS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "times": lambda *values: math.prod(values),
    "divide": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "range": lambda x: list(range(x)),
    "int": int,
    "ceil_int": lambda x: math.ceil(x),
    "merge": lambda *configs: OmegaConf.merge(*configs),
}


def register_resolvers() -> None:
    """Let OmegaConf compute what official configurations ask for, where nobody has registered the same name."""
    for name, function in _RESOLVERS.items():
        if not OmegaConf.has_resolver(name):
            OmegaConf.register_new_resolver(name, function)


def training_config_names() -> tuple[str, ...]:
    """Names of the training configurations in this package, sorted."""
    return tuple(sorted(path.relative_to(FOLDER).as_posix().removesuffix(".yaml") for path in FOLDER.rglob("*.yaml")))


def find_training_config(name: str | os.PathLike[str]) -> Path:
    """The file of a training configuration.

    Parameters
    ----------
    name : str or os.PathLike
        A name of this package (``finetune_2d``), an official one (``configs/sam2.1_training/…``), or a file.

    Raises
    ------
    ConfigError
        Neither; the message lists the names.
    """
    stem = str(name).replace("\\", "/").removesuffix(".yaml").removeprefix("configs/")
    for known in training_config_names():
        if stem in (known, known.rsplit("/", 1)[-1]):
            return FOLDER / f"{known}.yaml"
    for path in (Path(name), Path(f"{name}.yaml")):
        if path.is_file():
            return path
    raise ConfigError(
        f"no training configuration named {str(name)!r} and no such file. Known: {', '.join(training_config_names())}; "
        "a path to a YAML file works too"
    )


def load_training_config(name: str | os.PathLike[str] | DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """Read a training configuration, complete its network, apply overrides.

    Parameters
    ----------
    name : str, os.PathLike or DictConfig
    overrides : sequence of str
        In Hydra's grammar, such as ``dataset.img_folder=PATH trainer.accelerator=cpu``.

    Returns
    -------
    DictConfig
        With ``trainer``; interpolations are not resolved yet.

    Raises
    ------
    ConfigError
        What :func:`~sam2_core.checkpoints.load_config` refuses, or no ``trainer``.
    """
    register_resolvers()
    config = _with_base(name)
    # the network first, so that overrides can name its options
    early = [text for text in overrides if text.lstrip("+").startswith("model_config=")]
    apply_overrides(config, early)
    if not isinstance(config.get("trainer"), DictConfig):
        raise ConfigError(f"a training configuration has a 'trainer' entry; this one has {list(config)}")
    if config.get("model_config") is not None:
        network = load_config(config.model_config).model
        network["_target_"] = f"{_HERE}.sam2_train.SAM2Train"
        config.trainer.model = OmegaConf.merge(network, config.trainer.get("model") or {})
    if "launcher" not in config:
        config.launcher = {}
    apply_overrides(config, [text for text in overrides if text not in early])
    return config


def _with_base(name: str | os.PathLike[str] | DictConfig) -> DictConfig:
    """Read a configuration, put on top of the one it builds on."""
    config = load_config(name if isinstance(name, DictConfig) else find_training_config(name))
    if config.get("base") is None:
        return config
    base = _with_base(config.pop("base"))
    _make_room(base, config)
    merged = OmegaConf.merge(base, config)
    assert isinstance(merged, DictConfig)
    return merged


def _make_room(base: DictConfig, config: DictConfig) -> None:
    """Empty what `config` has a list for where `base` has a mapping: OmegaConf cannot merge them."""
    for key in config:
        if key not in base or OmegaConf.is_interpolation(config, str(key)) or OmegaConf.is_missing(config, key):
            continue
        new, old = config[key], base._get_node(key)
        if isinstance(old, DictConfig) and isinstance(new, ListConfig):
            base[key] = None
        elif isinstance(old, DictConfig) and isinstance(new, DictConfig) and not old._is_none():
            _make_room(old, new)


def resolved(node: DictConfig | ListConfig, where: str) -> Any:
    """Return a part of a configuration as plain lists and dicts, interpolations replaced.

    Raises
    ------
    ConfigError
        A value is missing or cannot be computed.
    """
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{where} of the configuration cannot be resolved: {error}") from error


def build(node: Any, where: str) -> Any:
    """Build what a part of a configuration describes.

    Parameters
    ----------
    node : plain value, list or dict
        Every dict with ``_target_`` becomes what that is called with the rest; with ``_partial_`` a function of the
        arguments that are left.
    where : str
        Its place in the configuration, for messages.

    Raises
    ------
    ConfigError
        A target that is not on the list, or that does not take the arguments. Errors of the project's own (a folder
        that does not exist) are raised as they are.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    from sam2_core.errors import Sam2Error

    try:
        return instantiate(_translated(node, where), _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, Sam2Error):
            cause = cause.__cause__
        if isinstance(cause, Sam2Error):
            raise cause from error
        raise ConfigError(f"{where} of the configuration cannot be built: {error}") from error


def _translated(node: Any, where: str) -> Any:
    if isinstance(node, dict):
        return {
            key: training_target(value, f"{where}.{key}") if key == "_target_" else _translated(value, f"{where}.{key}")
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_translated(value, f"{where}[{index}]") for index, value in enumerate(node)]
    return node


def training_target(name: Any, where: str) -> str:
    """Our class for a ``_target_`` of a training configuration.

    Raises
    ------
    ConfigError
        It is not on the list: see :func:`sam2_core.checkpoints.allow_target`.
    """
    if name in _TARGETS:
        return _TARGETS[name]
    optimisers = "torch.optim."
    if name in _OURS or (isinstance(name, str) and name.startswith(optimisers) and name.count(".") == 2):
        return str(name)
    return resolve_target(name, where=where)
