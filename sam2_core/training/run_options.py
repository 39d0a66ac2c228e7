"""Options of a training run, by their official names, and what is built from them before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn

from sam2_core.checkpoints.config import instantiate_model
from sam2_core.errors import ConfigError
from sam2_core.training.label_metric import LabelMetric
from sam2_core.training.lora import add_adapters
from sam2_core.training.optimiser import GradientClipper, ScheduledOptimiser, construct_optimizer, names_matching
from sam2_core.training.sam2_train import SAM2Train
from sam2_core.training.trainer import TrainerOptions
from sam2_core.training.training_config import build


@dataclass
class CheckpointOptions:
    """When checkpoints are written, and what training starts from; official names, then ours.

    Attributes
    ----------
    save_dir
        Folder of "checkpoint.pt", which training goes on from if it is there.
    save_freq
        Keep a copy every so many epochs; 0 for none.
    save_list
        Epochs of which to keep a copy.
    model_weight_initializer
        Called with ``model`` before the first step.
    save_best_meters
        Meters, or one of their numbers, of whose best value a copy is kept.
    skip_saving_parameters
        Patterns of frozen weights to leave out.
    initialize_after_preemption
        Call the initialiser also when going on; by default if weights are left out.
    resume_from
        Checkpoint of another folder to go on from.
    weights
        Name in the catalogue, or path, of weights to start from.
    save_minutes
        A checkpoint is written at the first step after so long.
    """

    save_dir: str
    save_freq: int = 0
    save_list: list[int] = field(default_factory=list)
    model_weight_initializer: Any = None
    save_best_meters: list[str] | None = None
    skip_saving_parameters: list[str] = field(default_factory=list)
    initialize_after_preemption: bool | None = None
    resume_from: str | None = None
    weights: str | None = None
    save_minutes: float = 15.0


@dataclass
class LoggingOptions:
    """Where logs go, and how often; official names.

    Attributes
    ----------
    log_dir
    log_freq
        Steps between lines of "log.jsonl".
    tensorboard_writer
        A configuration of :func:`~sam2_core.training.tensorboard.make_tensorboard_logger`.
    log_level_primary, log_level_secondary
        Of the first process, and of the others.
    log_scalar_frequency, log_visual_frequency
        Steps between numbers, and between pictures, for TensorBoard.
    scalar_keys_to_log, log_batch_stats
        Accepted for official configurations.
    """

    log_dir: str
    log_freq: int = 10
    tensorboard_writer: Any = None
    log_level_primary: str = "INFO"
    log_level_secondary: str = "ERROR"
    log_scalar_frequency: int = 100
    log_visual_frequency: int = 100
    scalar_keys_to_log: Any = None
    log_batch_stats: bool = False


_OPTIM = ("optimizer", "options", "param_group_modifiers", "amp", "gradient_clip", "gradient_logger")
_AMP = ("enabled", "amp_dtype")
_DISTRIBUTED = ("backend", "comms_dtype", "find_unused_parameters", "strategy", "timeout_mins")
_CUDA = ("cudnn_deterministic", "cudnn_benchmark", "allow_tf32", "matmul_allow_tf32", "cudnn_allow_tf32")


def require_known_options(trainer: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    """Refuse a trainer's options that do not exist, and one without those it cannot do without.

    Parameters
    ----------
    trainer : mapping
        The ``trainer`` entry of a configuration.
    known : mapping of str to bool
        Its options, and whether each is needed.

    Raises
    ------
    ConfigError
    """
    missing = [name for name, is_needed in known.items() if is_needed and name not in trainer]
    if missing:
        raise ConfigError(f"trainer lacks {', '.join(missing)}")
    sections: dict[str, Sequence[str]] = {
        "": tuple(known),
        "checkpoint": [each.name for each in fields(CheckpointOptions)],
        "logging": [each.name for each in fields(LoggingOptions)],
        "distributed": _DISTRIBUTED,
        "cuda": _CUDA,
        "optim": _OPTIM,
        "optim.amp": _AMP,
    }
    for path, names in sections.items():
        section: Any = trainer
        for part in path.split(".") if path else ():
            section = (section or {}).get(part)
        unknown = sorted(set(section or {}) - set(names))
        if unknown:
            where = f"trainer.{path}" if path else "trainer"
            raise ConfigError(f"{where} has no option {unknown[0]!r}; it has {', '.join(names)}")


def built(node: Any, where: str) -> Any:
    """Build what is still a configuration."""
    return build(node, where) if isinstance(node, dict | list) else node


def validation_meters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Build the meters of each phase and data key; a name, or a mapping with one, is a metric that a plugin adds."""
    meters: dict[str, Any] = {}
    for phase, by_key in given.items():
        meters[phase] = {}
        for key, named in (by_key or {}).items():
            meters[phase][key] = {}
            for name, entry in (named or {}).items():
                where = f"trainer.meters.{phase}.{key}.{name}"
                is_metric = isinstance(entry, str) or (isinstance(entry, dict) and "name" in entry)
                meters[phase][key][name] = LabelMetric(entry, where) if is_metric else built(entry, where)
    return meters


def training_model(given: Mapping[str, Any] | SAM2Train) -> SAM2Train:
    """Return the model, built from its configuration if it is not yet."""
    model = given if isinstance(given, nn.Module) else instantiate_model(OmegaConf.create({"model": dict(given)}))
    if not isinstance(model, SAM2Train):
        raise ConfigError(f"trainer.model has to be a SAM2Train; the configuration builds a {type(model).__name__}")
    return model


def choose_what_is_trained(model: nn.Module, freeze: Sequence[str], lora: Mapping[str, Any] | None) -> None:
    """Add adapters and freeze what is not trained, in place."""
    if lora is not None:
        options = dict(lora)
        also = options.pop("also", ())
        add_adapters(model, **options)
        named = dict(model.named_parameters())
        for name in names_matching(also, named) if also else ():
            named[name].requires_grad_(True)
    named = dict(model.named_parameters())
    for name in names_matching(freeze, named) if freeze else ():
        named[name].requires_grad_(False)


def trainer_options(
    optim: Mapping[str, Any], seed: int, averaging: float, accumulate: int, log_every: int
) -> TrainerOptions:
    """Options of the trainer that steps."""
    clipper = built(optim.get("gradient_clip"), "trainer.optim.gradient_clip") or GradientClipper(None)
    return TrainerOptions(
        clip=clipper.max_norm,
        clip_norm=clipper.norm_type,
        averaging=averaging,
        seed=seed,
        log_every=log_every,
        accumulate=accumulate,
    )


def training_optimiser(model: nn.Module, optim: Mapping[str, Any]) -> ScheduledOptimiser:
    """Return the optimiser that ``optim`` describes, for what is trained of a model."""
    if not optim.get("optimizer"):
        raise ConfigError("trainer.optim.optimizer is missing, such as {_target_: torch.optim.AdamW}")
    optimizer = build({**optim["optimizer"], "_partial_": True}, "trainer.optim.optimizer")
    options = build(dict(optim.get("options") or {}), "trainer.optim.options")
    modifiers = build(list(optim.get("param_group_modifiers") or []), "trainer.optim.param_group_modifiers")
    return construct_optimizer(model, optimizer, options, modifiers)


def gradient_dtype(name: str | None) -> torch.dtype | None:
    """Return the dtype that processes exchange gradients in; None for their own."""
    if name is None:
        return None
    kinds = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    if name not in kinds:
        raise ConfigError(f'distributed.comms_dtype is "float16" or "bfloat16"; got {name!r}')
    return kinds[name]


def scales_loss(amp: Mapping[str, Any]) -> bool:
    """Whether the loss has to be scaled lest gradients in float16, the official default, vanish."""
    return bool(amp.get("enabled")) and amp.get("amp_dtype", "float16") == "float16"


def shares_weights(distributed: Mapping[str, Any], amp: Mapping[str, Any]) -> bool:
    """Whether the options of the processes ask for sharded weights."""
    strategy = distributed.get("strategy") or "ddp"
    if strategy not in ("ddp", "fsdp"):
        raise ConfigError(f'distributed.strategy is "ddp" or "fsdp"; got {strategy!r}')
    if strategy == "fsdp" and scales_loss(amp):
        raise ConfigError(
            "distributed.strategy=fsdp does not scale losses as float16 needs it: optim.amp.amp_dtype=bfloat16"
        )
    return str(strategy) == "fsdp"


def set_cuda(options: Mapping[str, Any]) -> None:
    """Set what CUDA's libraries may do, where there is a GPU."""
    if not torch.cuda.is_available():
        return
    tf32 = bool(options.get("allow_tf32", False))
    torch.backends.cudnn.deterministic = bool(options.get("cudnn_deterministic", False))
    torch.backends.cudnn.benchmark = bool(options.get("cudnn_benchmark", True))
    matmul, cudnn = options.get("matmul_allow_tf32"), options.get("cudnn_allow_tf32")
    torch.backends.cuda.matmul.allow_tf32 = tf32 if matmul is None else bool(matmul)
    torch.backends.cudnn.allow_tf32 = tf32 if cudnn is None else bool(cudnn)
