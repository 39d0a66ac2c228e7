"""Build models: the official functions, from a configuration, and :func:`load_model`, from the weights alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from omegaconf import DictConfig

from sam2_core.checkpoints.catalogue import find_entry, get_entry
from sam2_core.checkpoints.config import config_names, instantiate_model, load_config
from sam2_core.checkpoints.fetch import fetch_pretrained, locate_checkpoint
from sam2_core.checkpoints.infer import InferredConfig, infer_config
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.checkpoints.load import Checkpoint, read_checkpoint
from sam2_core.checkpoints.precision import resolve_device, resolve_precision
from sam2_core.errors import CheckpointError, ConfigError, InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    import os

    from sam2_core.hooks import ModelEntry
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.model.sam2_base import SAM2Base

_LOGGER = logging.getLogger(__name__)
_STRIDE = 32

POSTPROCESSING = (
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
)
"""Overrides of ``apply_postprocessing``: where a single mask is unstable, the best of several is taken."""

VIDEO_POSTPROCESSING = (
    "++model.binarize_mask_from_pts_for_mem_enc=true",
    "++model.fill_hole_area=8",
)
"""Further overrides for video: remember clicked masks as they were shown, and fill small holes."""


def build_sam2(
    config_file: str | os.PathLike[str] | DictConfig,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
    *,
    precision: str | torch.dtype = "auto",
    **kwargs: Any,
) -> SAM2Base:
    """Build a model as the official function of this name does.

    Parameters
    ----------
    config_file : str, os.PathLike or DictConfig
        Name of a configuration, path of a YAML file, or a configuration already read.
    ckpt_path : str or os.PathLike, optional
        Weights in any format :func:`read_checkpoint` reads; fresh weights when omitted.
    device : str or torch.device, optional
        The best of this machine when omitted (the official default is ``"cuda"``).
    mode : {"eval", "train"}
        Whether the model comes in evaluation mode.
    hydra_overrides_extra : sequence of str
        Overrides in Hydra's grammar. Those of ``apply_postprocessing`` come after them, and win: switch it off to set
        its options yourself. (:func:`load_model` lets the caller's win.)
    apply_postprocessing : bool
        Take the best of several masks where the single one is unstable.
    precision : {"auto", "fp32", "bf16", "fp16"} or torch.dtype
        Number format of weights and activations; ``"auto"`` is bf16 on hardware that is fast at it, else fp32, and fp32
        in mode ``"train"``, where bf16 weights would lose small steps. Programs that run through
        :mod:`sam2_core.compat` get fp32 unless they ask, as from the official function.
    **kwargs
        Ignored, as in the official function, but a warning is logged.

    Returns
    -------
    SAM2Base
        The model.

    Raises
    ------
    ConfigError, CheckpointError, MissingFileError, InvalidInputError
        When the configuration, the weights or the device cannot be used, or do not belong together.
    """
    if kwargs:
        _LOGGER.warning("No option of a model is called %s; ignored, as the official function does.", ", ".join(kwargs))
    resolved_device = resolve_device(device)
    if mode == "train" and precision == "auto":
        precision = "fp32"
    overrides = [*_listed(hydra_overrides_extra), *(POSTPROCESSING if apply_postprocessing else ())]
    return _build(
        load_config(config_file, overrides),
        read_checkpoint(ckpt_path) if ckpt_path is not None else None,
        label=_label(config_file),
        device=resolved_device,
        dtype=resolve_precision(precision, resolved_device),
        mode=mode,
    )


def build_sam2_video_predictor(
    config_file: str | os.PathLike[str] | DictConfig,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
    *,
    precision: str | torch.dtype = "auto",
    **kwargs: Any,
) -> SAM2VideoPredictor:
    """Build a video predictor as the official function of this name does.

    Parameters
    ----------
    config_file : str, os.PathLike or DictConfig
        Name of a configuration, path of a YAML file, or a configuration already read.
    ckpt_path : str or os.PathLike, optional
        Weights in any format :func:`read_checkpoint` reads; fresh weights when omitted.
    device : str or torch.device, optional
        The best of this machine when omitted (the official default is ``"cuda"``).
    mode : {"eval", "train"}
        Whether the predictor comes in evaluation mode.
    hydra_overrides_extra : sequence of str
        Overrides in Hydra's grammar. Those of ``apply_postprocessing`` come after them, and win: switch it off to set
        its options yourself. (:func:`load_model` lets the caller's win.)
    apply_postprocessing : bool
        Take the best of several masks where the single one is unstable, remember clicked masks as they were shown
        (binary), and fill holes of up to 8 pixels in low-resolution masks.
    vos_optimized : bool
        Compile the parts of the network: slow to start, faster per frame.
    precision : {"auto", "fp32", "bf16", "fp16"} or torch.dtype
        Number format of weights and activations; ``"auto"`` is bf16 on hardware that is fast at it, else fp32, and fp32
        in mode ``"train"``, where bf16 weights would lose small steps. Programs that run through
        :mod:`sam2_core.compat` get fp32 unless they ask, as from the official function.
    **kwargs
        Ignored, as in the official function, but a warning is logged.

    Returns
    -------
    SAM2VideoPredictor
        The predictor.

    Raises
    ------
    ConfigError, CheckpointError, MissingFileError, InvalidInputError
        As for :func:`build_sam2`.
    """
    # The predictor is a configuration's target, by name: this room knows no predictor.
    target = "SAM2VideoPredictorVOS" if vos_optimized else "SAM2VideoPredictor"
    overrides = [f"++model._target_=sam2.sam2_video_predictor.{target}"]
    if vos_optimized:
        overrides.append("++model.compile_image_encoder=true")
    overrides += _listed(hydra_overrides_extra)
    if apply_postprocessing:
        overrides += [*POSTPROCESSING, *VIDEO_POSTPROCESSING]
    model = build_sam2(
        config_file,
        ckpt_path,
        device,
        mode,
        hydra_overrides_extra=overrides,
        apply_postprocessing=False,
        precision=precision,
        **kwargs,
    )
    return cast("SAM2VideoPredictor", model)


def build_sam2_hf(model_id: str, **kwargs: Any) -> SAM2Base:
    """Build a model by its id, downloading its weights from the Hugging Face hub where they are not here yet.

    Parameters
    ----------
    model_id : str
        ``facebook/sam2.1-hiera-tiny`` and the like, a name of the catalogue, or any repository with SAM 2 weights.
    **kwargs
        As for :func:`build_sam2`; also ``file_name`` and ``revision`` of the repository.

    Returns
    -------
    SAM2Base
        The model.

    Raises
    ------
    UnknownModelError, DownloadError, MissingDependencyError
        When the model is unknown or cannot be downloaded.
    """
    config, path = _pretrained(model_id, kwargs)
    return build_sam2(config_file=config, ckpt_path=path, **kwargs)


def build_sam2_video_predictor_hf(model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a video predictor by its id, downloading its weights where they are not here yet.

    Parameters
    ----------
    model_id : str
        As for :func:`build_sam2_hf`.
    **kwargs
        As for :func:`build_sam2_video_predictor`; also ``file_name`` and ``revision`` of the repository.

    Returns
    -------
    SAM2VideoPredictor
        The predictor.

    Raises
    ------
    UnknownModelError, DownloadError, MissingDependencyError
        When the model is unknown or cannot be downloaded.
    """
    config, path = _pretrained(model_id, kwargs)
    return build_sam2_video_predictor(config_file=config, ckpt_path=path, **kwargs)


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    config: str | os.PathLike[str] | DictConfig | None = None,
    device: str | torch.device | None = None,
    precision: str | torch.dtype = "auto",
    image_size: int | tuple[int, int] | None = None,
    overrides: Sequence[str] = (),
    apply_postprocessing: bool = True,
    download: bool = False,
) -> SAM2Base:
    """Load a model, ready to use on this machine.

    Parameters
    ----------
    name_or_path : str or os.PathLike
        Name in the catalogue (``sam2.1_hiera_micro`` comes with the package), Hugging Face id, or a weights file:
        official, fine-tuned, or anybody's in the SAM 2 layout.
    config : str, os.PathLike or DictConfig, optional
        Its configuration; read off the weights when omitted.
    device : str or torch.device, optional
        The best of this machine when omitted.
    precision : {"auto", "fp32", "bf16", "fp16"} or torch.dtype
        Number format of weights and activations; ``"auto"`` is bf16 on hardware that is fast at it, else fp32.
    image_size : int or (int, int), optional
        Pixels of the model's input, height and width, multiples of 32. Weights do not say at which size they were
        trained: name it for those that were trained at another than 1024 (MedSAM2: 512).
    overrides : sequence of str
        Overrides of the configuration in Hydra's grammar, applied last.
    apply_postprocessing : bool
        Take the best of several masks where the single one is unstable.
    download : bool
        Allow the weights to be downloaded.

    Returns
    -------
    SAM2Base
        The model, in evaluation mode.

    Raises
    ------
    UnknownModelError
        When this is no file and no model of the catalogue.
    MissingFileError
        When the weights are not here; the message says how to get them.
    CheckpointError, ConfigError
        When the file cannot be read, or does not belong to the configuration.
    InvalidInputError
        When device, precision or image size cannot be used.

    Examples
    --------
    >>> model = load_model("sam2.1_hiera_micro")  # doctest: +SKIP
    >>> model = load_model("MedSAM2_latest.pt", image_size=512)  # doctest: +SKIP
    """
    resolved_device = resolve_device(device)
    dtype = resolve_precision(precision, resolved_device)
    path, entry = locate_weights(name_or_path, download=download)
    checkpoint = read_checkpoint(path)
    if config is None and entry is not None:
        config = entry.config
    label = "the configuration read off them" if config is None else _label(config)
    resolved = _resolved(checkpoint, config, image_size, overrides, apply_postprocessing)
    return _build(resolved, checkpoint, label=label, device=resolved_device, dtype=dtype, mode="eval")


def model_config(
    name_or_path: str | os.PathLike[str], *, image_size: int | tuple[int, int] | None = None
) -> DictConfig:
    """The configuration with which :func:`load_model` builds a model, before postprocessing.

    Parameters
    ----------
    name_or_path, image_size
        As for :func:`load_model`; the weights have to be here.

    Returns
    -------
    DictConfig
        Complete: with its weights, it is all that the model needs.
    """
    path, entry = locate_weights(name_or_path)
    config = None if entry is None else entry.config
    return _resolved(read_checkpoint(path), config, image_size, (), apply_postprocessing=False)


def locate_weights(name_or_path: str | os.PathLike[str], *, download: bool = False) -> tuple[Path, ModelEntry | None]:
    """Where a model's weights are, and its entry where it is known by name.

    Raises
    ------
    UnknownModelError, MissingFileError
        As for :func:`load_model`.
    """
    if _names_a_file(name_or_path):
        return Path(name_or_path), None
    entry = get_entry(str(name_or_path))
    return locate_checkpoint(entry, download=download), entry


def _resolved(
    checkpoint: Checkpoint,
    config: str | os.PathLike[str] | DictConfig | None,
    image_size: int | tuple[int, int] | None,
    overrides: Sequence[str],
    apply_postprocessing: bool,
) -> DictConfig:
    base = _fitting_config(checkpoint) if config is None else load_config(config)
    size_overrides = [] if image_size is None else _image_size_overrides(image_size)
    return load_config(base, [*(POSTPROCESSING if apply_postprocessing else ()), *size_overrides, *overrides])


def load_weights(model: SAM2Base, checkpoint: Checkpoint, label: str = "the model") -> None:
    """Copy weights into a model, all of them or none.

    Parameters
    ----------
    model : SAM2Base
        Changed in place.
    checkpoint : Checkpoint
        The weights.
    label : str
        What to call the model's configuration in messages.

    Raises
    ------
    CheckpointError
        When names or shapes differ; the message names the configuration that fits the weights, where there is one.
    """
    expected, given = model.state_dict(), checkpoint.state_dict
    missing = [key for key in expected if key not in given]
    unexpected = [key for key in given if key not in expected]
    shapes = [
        f"{key} is {tuple(given[key].shape)}, expected {tuple(value.shape)}"
        for key, value in expected.items()
        if key in given and given[key].shape != value.shape
    ]
    if not (missing or unexpected or shapes):
        model.load_state_dict(given)
        return
    details = "; ".join(
        f"{len(found)} {what} ({', '.join(found[:2])}{', …' if len(found) > 2 else ''})"
        for what, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if found
    )
    try:
        advice = f"The weights fit {infer_config(given)}: use that, or leave the configuration out"
    except CheckpointError as error:
        advice = str(error)
    raise CheckpointError(f"the weights in {checkpoint.path} do not fit {label}. {advice}. Weights: {details}")


def _build(
    config: DictConfig,
    checkpoint: Checkpoint | None,
    *,
    label: str,
    device: torch.device,
    dtype: torch.dtype,
    mode: str,
) -> SAM2Base:
    if mode not in ("eval", "train"):
        raise InvalidInputError(f"mode is 'eval' or 'train', got {mode!r}")
    if checkpoint is None:
        model = instantiate_model(config)
    else:
        with WithoutRandomWeights():
            model = instantiate_model(config)
        load_weights(model, checkpoint, label)
    model.to(device=device, dtype=dtype)
    model.train(mode == "train")
    return model


def _pretrained(model_id: str, options: dict[str, Any]) -> tuple[DictConfig, Path]:
    """Configuration and weights of a model by its id; takes what only the download needs out of ``options``."""
    entry, path = fetch_pretrained(
        model_id, file_name=options.pop("file_name", None), revision=options.pop("revision", None)
    )
    return load_config(entry.config) if entry is not None else _fitting_config(read_checkpoint(path)), path


def _listed(overrides: Sequence[str]) -> list[str]:
    """A list of overrides; one string would become a list of letters."""
    if isinstance(overrides, str):
        raise ConfigError(f"expected a list of overrides, got one string: write [{overrides!r}]")
    return list(overrides)


def _label(config: str | os.PathLike[str] | DictConfig) -> str:
    return "the given configuration" if isinstance(config, DictConfig) else str(config)


def _fitting_config(checkpoint: Checkpoint) -> DictConfig:
    """The configuration a checkpoint names, or else the one its weights fit."""
    named = checkpoint.metadata.get("sam2_config")
    inferred = InferredConfig(named) if named in config_names() else infer_config(checkpoint.state_dict)
    size = checkpoint.metadata.get("sam2_image_size", "")
    size_overrides = _image_size_overrides(int(size)) if size.isdigit() else []
    return load_config(inferred.name, [*inferred.overrides, *size_overrides])


def _image_size_overrides(image_size: int | tuple[int, int]) -> list[str]:
    # checked as unknown values: the size may come from somebody's settings
    given: tuple[object, ...] = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    sides = [side for side in given if isinstance(side, int) and not isinstance(side, bool)]
    if len(given) != 2 or len(sides) != 2:
        raise InvalidTypeError(f"image_size is a number of pixels or (height, width), got {image_size!r}")
    if any(side < _STRIDE or side % _STRIDE for side in sides):
        raise InvalidInputError(f"image_size must be multiples of {_STRIDE}, got {image_size}; try {_nearest(sides)}")
    height, width = sides
    attention = "model.memory_attention.layer"
    # RoPE turns by the position in this grid; the model adapts to other grids, but starts with the right one
    grid = f"[{height // 16},{width // 16}]"
    return [
        f"++model.image_size={height if height == width else f'[{height},{width}]'}",
        f"++{attention}.self_attention.feat_sizes={grid}",
        f"++{attention}.cross_attention.feat_sizes={grid}",
    ]


def _nearest(sides: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(_STRIDE, round(side / _STRIDE) * _STRIDE) for side in sides)


def _names_a_file(name_or_path: str | os.PathLike[str]) -> bool:
    """A path rather than a name: it exists, or is written like one and is no name we know."""
    if not isinstance(name_or_path, str):
        return True
    if Path(name_or_path).exists():
        return True
    looks_like_a_file = name_or_path.endswith((".pt", ".pth", ".safetensors"))
    return looks_like_a_file and find_entry(name_or_path) is None
