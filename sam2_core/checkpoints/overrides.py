"""Overrides written as Hydra writes them, applied to a configuration without Hydra's composition.

Official code passes ``++model.x=y``; people who know Hydra also write ``model.x=y``, ``+model.x=y`` and ``~model.x``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam2_core.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


def apply_overrides(config: DictConfig, overrides: Sequence[str]) -> None:
    """Apply overrides in order, in place.

    Parameters
    ----------
    config : DictConfig
        Changed in place.
    overrides : sequence of str
        ``key=value`` changes an entry that exists, ``+key=value`` adds one that does not, ``++key=value`` does
        either, ``~key`` removes one.

    Raises
    ------
    ConfigError
        When an override cannot be read, or names an entry that does not exist (or, with ``+``, one that does).
    """
    if isinstance(overrides, str):
        raise ConfigError(f"expected a list of overrides, got one string: write [{overrides!r}]")
    for text in overrides:
        _apply(config, _parse(text))


def _parse(text: str) -> Override:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if not isinstance(text, str):
        raise ConfigError(f"an override is a string such as '++model.image_size=512', got {type(text).__name__}")
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(f"override {text!r} cannot be read; expected e.g. '++model.image_size=512'") from error
    if not override.key_or_group:
        raise ConfigError(f"override {text!r} cannot be read: it names no entry before the '='")
    if override.is_sweep_override():
        raise ConfigError(f"override {text!r} is a sweep over several values; a model takes one")
    if override.package is not None or "/" in override.key_or_group:
        raise ConfigError(f"override {text!r} chooses a Hydra config group; only values can be overridden here")
    return override


def _apply(config: DictConfig, override: Override) -> None:
    key, text = override.key_or_group, override.input_line
    try:
        exists = _exists(config, key)
        if override.is_delete():
            if not exists:
                raise ConfigError(f"override {text!r} removes {key!r}, which does not exist{_near(config, key)}")
            parent, _, name = key.rpartition(".")
            del (OmegaConf.select(config, parent) if parent else config)[name]
            return
        if override.is_add() and exists:
            raise ConfigError(f"override {text!r} adds {key!r}, which exists; write ++{key}=… to change it")
        if not (override.is_add() or override.is_force_add() or exists):
            raise ConfigError(
                f"override {text!r} changes {key!r}, which does not exist{_near(config, key)}; "
                f"write ++{key}=… to add it"
            )
        value = override.value()
        # a list takes the place of whatever was there; OmegaConf cannot merge one into a mapping
        OmegaConf.update(config, key, value, merge=not isinstance(value, list), force_add=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"override {text!r} does not apply: {error}") from error


def _exists(config: DictConfig, key: str) -> bool:
    parent_key, _, name = key.rpartition(".")
    parent = OmegaConf.select(config, parent_key) if parent_key else config
    if isinstance(parent, DictConfig):
        # a value that is missing (???) is there to be given: the keys have it, `in` does not
        return name in parent.keys()  # noqa: SIM118
    return OmegaConf.select(config, key) is not None


def _near(config: DictConfig, key: str) -> str:
    parent_key, _, name = key.rpartition(".")
    parent = OmegaConf.select(config, parent_key) if parent_key else config
    if not isinstance(parent, DictConfig):
        return ""
    near = difflib.get_close_matches(name, [str(entry) for entry in parent], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
