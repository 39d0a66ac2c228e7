"""Which classes a configuration may name, and where they live here.

A configuration can come from a download, and a ``_target_`` in it is a call: so only names on this list are followed,
and a name of the official package leads to our class of the same meaning. Names are data here and are imported only
when a configuration asks for them, so this table may point at rooms above this one (a predictor, a training model)
without this room depending on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sam2_core.errors import ConfigError

_MODEL = "sam2_core.model"
_TRAINING = "sam2_core.training"
_PREDICTOR = "sam2_core.inference.video_predictor"

_allowed: dict[str, str] = {
    "sam2.modeling.sam2_base.SAM2Base": f"{_MODEL}.sam2_base.SAM2Base",
    "sam2.modeling.backbones.hieradet.Hiera": f"{_MODEL}.hiera.Hiera",
    "sam2.modeling.backbones.image_encoder.ImageEncoder": f"{_MODEL}.image_encoder.ImageEncoder",
    "sam2.modeling.backbones.image_encoder.FpnNeck": f"{_MODEL}.image_encoder.FpnNeck",
    "sam2.modeling.position_encoding.PositionEmbeddingSine": f"{_MODEL}.position_encoding.PositionEmbeddingSine",
    "sam2.modeling.memory_attention.MemoryAttention": f"{_MODEL}.memory_attention.MemoryAttention",
    "sam2.modeling.memory_attention.MemoryAttentionLayer": f"{_MODEL}.memory_attention.MemoryAttentionLayer",
    "sam2.modeling.sam.transformer.Attention": f"{_MODEL}.attention.Attention",
    "sam2.modeling.sam.transformer.RoPEAttention": f"{_MODEL}.attention.RoPEAttention",
    "sam2.modeling.memory_encoder.MemoryEncoder": f"{_MODEL}.memory_encoder.MemoryEncoder",
    "sam2.modeling.memory_encoder.MaskDownSampler": f"{_MODEL}.memory_encoder.MaskDownSampler",
    "sam2.modeling.memory_encoder.Fuser": f"{_MODEL}.memory_encoder.Fuser",
    "sam2.modeling.memory_encoder.CXBlock": f"{_MODEL}.memory_encoder.CXBlock",
    "training.model.sam2.SAM2Train": f"{_TRAINING}.sam2_train.SAM2Train",
    "sam2.sam2_video_predictor.SAM2VideoPredictor": f"{_PREDICTOR}.SAM2VideoPredictor",
    "sam2.sam2_video_predictor.SAM2VideoPredictorVOS": f"{_PREDICTOR}.SAM2VideoPredictorVOS",
    "sam2.sam2_video_predictor_legacy.SAM2VideoPredictor": f"{_PREDICTOR}.SAM2VideoPredictorLegacy",
}


def allowed_targets() -> Mapping[str, str]:
    """Every name a configuration may use, with the class it leads to.

    Returns
    -------
    Mapping[str, str]
        Read-only view: dotted name in a configuration to dotted name of the class. The classes' own names are
        allowed too and are not repeated as keys.
    """
    return MappingProxyType(_allowed)


def allow_target(name: str, class_name: str | None = None) -> None:
    """Let configurations name one more class.

    Parameters
    ----------
    name : str
        Dotted name as a configuration writes it.
    class_name : str, optional
        Dotted name of the class it leads to; the same name when omitted.

    Raises
    ------
    ConfigError
        When ``name`` already leads to another class, or is not a dotted name.
    """
    destination = class_name or name
    for dotted in (name, destination):
        if "." not in dotted or not all(part.isidentifier() for part in dotted.split(".")):
            raise ConfigError(f"expected a dotted name such as 'package.module.Class', got {dotted!r}")
    if _allowed.get(name, destination) != destination:
        raise ConfigError(f"target {name!r} already leads to {_allowed[name]!r}; it cannot lead to {destination!r} too")
    _allowed[name] = destination


def resolve_target(name: object, *, where: str) -> str:
    """Our class for a ``_target_``, or an error when the name is not allowed.

    Parameters
    ----------
    name : object
        The value of ``_target_``.
    where : str
        Path of the node inside the configuration, for the message.

    Returns
    -------
    str
        Dotted name of the class to call.

    Raises
    ------
    ConfigError
        When the name is not a string or not on the list.
    """
    if not isinstance(name, str):
        raise ConfigError(f"{where}: _target_ must be the dotted name of a class, got {type(name).__name__}")
    if name in _allowed:
        return _allowed[name]
    if name in _allowed.values():
        return name
    raise ConfigError(
        f"{where}: target {name!r} is not allowed, because a configuration may only build SAM 2 modules "
        "(sam2.modeling.… or sam2_core.model.…). If you trust this class, call "
        "sam2_core.checkpoints.allow_target with its name first"
    )
