"""Start a training: in this process, in several on this machine, or on a SLURM cluster."""

from __future__ import annotations

import inspect
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf

from sam2_core.errors import ConfigError, MissingDependencyError
from sam2_core.hooks import TrainingEvent
from sam2_core.training.run_options import require_known_options
from sam2_core.training.training_config import load_training_config, resolved, training_target

if TYPE_CHECKING:
    from lightning_fabric import Fabric

RUN = "sam2_core.training.run.TrainingRun"


@dataclass(frozen=True)
class LaunchOptions:
    """Where a training runs, by the official names of command-line options; None leaves it to the configuration.

    Attributes
    ----------
    use_cluster
        Submit it to SLURM.
    num_gpus
        Processes on each machine; on a CPU too.
    num_nodes
    partition, account, qos
        Of SLURM.
    """

    use_cluster: bool | None = None
    num_gpus: int | None = None
    num_nodes: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None


def prepared(name: str | DictConfig, overrides: Sequence[str] = (), options: LaunchOptions | None = None) -> DictConfig:
    """Read a configuration, complete its launcher, and keep it beside the run as ``config.yaml``.

    Parameters
    ----------
    name : str or DictConfig
        See :func:`~sam2_core.training.training_config.load_training_config`.
    overrides : sequence of str
    options : LaunchOptions, optional

    Returns
    -------
    DictConfig
    """
    config = load_training_config(name, overrides)
    options = options or LaunchOptions()
    launcher = config.launcher
    if launcher.get("experiment_log_dir") is None:
        label = Path(name).stem if isinstance(name, str) else "training"
        launcher.experiment_log_dir = str(Path("sam2_logs") / label)
    for key, value in (("gpus_per_node", options.num_gpus), ("num_nodes", options.num_nodes)):
        if value is not None:
            launcher[key] = value
        elif launcher.get(key) is None:
            launcher[key] = 1
    submitit = config.get("submitit") or OmegaConf.create({})
    config.submitit = submitit
    for key in ("use_cluster", "partition", "account", "qos"):
        if getattr(options, key) is not None:
            submitit[key] = getattr(options, key)
    if config.trainer.get("_target_") is not None and training_target(config.trainer._target_, "trainer") != RUN:
        raise ConfigError(f"trainer._target_ has to be training.trainer.Trainer; got {config.trainer._target_}")
    require_known_options(resolved(config.trainer, "trainer"), _trainer_options())
    everything = resolved(config, "the whole")
    folder = Path(launcher.experiment_log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "config.yaml")
    OmegaConf.save(OmegaConf.create(everything), folder / "config_resolved.yaml")
    return config


def _trainer_options() -> dict[str, bool]:
    """Options of a training run, and whether each is needed."""
    from sam2_core.training.run import TrainingRun

    given_here = ("fabric", "listeners")
    options = {
        name: each.default is each.empty
        for name, each in inspect.signature(TrainingRun).parameters.items()
        if name not in given_here
    }
    return {**options, "_target_": False}


def train(
    config: DictConfig, listeners: Sequence[Callable[[TrainingEvent], None]] = (), *, in_a_task: bool = False
) -> str | None:
    """Train as a configuration says, on this machine.

    Parameters
    ----------
    config : DictConfig
        What :func:`prepared` returns.
    listeners : sequence of callable
        Told of every event; with several processes they have to be functions of a module.
    in_a_task : bool
        This is one of the processes already, started by SLURM or torchrun.

    Returns
    -------
    str or None
        Why it was stopped; None at its end.

    Raises
    ------
    ConfigError
        The devices that are asked for are not there, or anything else in the configuration.
    """
    section = resolved(config.trainer, "trainer")
    section.pop("_target_", None)
    launcher = resolved(config.launcher, "launcher")
    started = in_a_task or "TORCHELASTIC_RUN_ID" in os.environ
    devices, nodes = (int(launcher.get(name) or 1) for name in ("gpus_per_node", "num_nodes"))
    fabric = _fabric(section, devices, nodes, started=started)
    reason: str | None = fabric.launch(_train_here, section, list(listeners))  # type: ignore[arg-type]
    return reason


def _fabric(section: Mapping[str, Any], devices: int, nodes: int, *, started: bool) -> Fabric:
    """Devices, processes and precision of a run."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise MissingDependencyError(
            "Training needs lightning-fabric: install it with pip install 'sam2-lab[train]'"
        ) from error
    accelerator = str(section.get("accelerator") or "auto")
    if accelerator == "auto" and devices * nodes > 1 and not torch.cuda.is_available():
        accelerator = "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ConfigError("trainer.accelerator=cuda, and there is no CUDA GPU here. Use trainer.accelerator=cpu")
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise ConfigError(
            f"{devices} GPUs are asked for, and {torch.cuda.device_count()} are here: --num-gpus "
            f"{torch.cuda.device_count()}, or launcher.gpus_per_node"
        )
    distributed = section.get("distributed") or {}
    strategy: Any = "auto"
    if devices * nodes > 1:
        backend = distributed.get("backend")
        strategy = DDPStrategy(
            process_group_backend="gloo" if accelerator == "cpu" else backend,
            timeout=timedelta(minutes=float(distributed.get("timeout_mins") or 30)),
            # processes of one machine are started here; those of several are, by SLURM or torchrun
            start_method="popen" if started or nodes > 1 else "spawn",
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(
        accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy, precision=_precision(section)
    )


def _precision(section: Mapping[str, Any]) -> Any:
    amp = (section.get("optim") or {}).get("amp") or {}
    if not amp.get("enabled"):
        return "32-true"
    kinds = {"bfloat16": "bf16-mixed", "float16": "16-mixed"}
    name = amp.get("amp_dtype", "float16")
    if name not in kinds:
        raise ConfigError(f'optim.amp.amp_dtype is "bfloat16" or "float16"; got {name!r}')
    return kinds[name]


def _train_here(
    fabric: Fabric, section: dict[str, Any], listeners: list[Callable[[TrainingEvent], None]]
) -> str | None:
    """Train in one of the processes."""
    from sam2_core.training.run import TrainingRun

    if fabric.world_size > 1 and fabric.device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // fabric.world_size))
    return TrainingRun(**section, fabric=fabric, listeners=listeners if fabric.is_global_zero else ()).run()


class ClusterJob:
    """What a SLURM task runs; submitted again by submitit when its time is up or it is preempted.

    Parameters
    ----------
    config : DictConfig
        What :func:`prepared` returns.
    """

    def __init__(self, config: DictConfig) -> None:
        self.config = OmegaConf.to_container(config, resolve=True)

    def __call__(self) -> str | None:
        """Train; each task is one process."""
        return train(DictConfig(self.config), in_a_task=True)

    def checkpoint(self, *arguments: Any, **options: Any) -> Any:
        """Return what is submitted in place of this job: the same again, which goes on from its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(ClusterJob(DictConfig(self.config)))


def submit(config: DictConfig, cluster: str | None = None) -> Any:
    """Hand a training to SLURM.

    Parameters
    ----------
    config : DictConfig
        What :func:`prepared` returns; its ``submitit`` entry has the official names: ``partition``, ``account``,
        ``qos``, ``timeout_hour``, ``name``, ``cpus_per_task``, ``mem_gb`` or ``mem``, ``constraints``, ``comment``,
        ``exclude_nodes``, ``include_nodes``, ``srun_args.cpu_bind``.
    cluster : str, optional
        "local" or "debug" run the job on this machine, for trying it out.

    Returns
    -------
    submitit.Job

    Raises
    ------
    MissingDependencyError
        submitit is not installed.
    ConfigError
        Fewer nodes are included than are needed.
    """
    try:
        import submitit
    except ImportError as error:
        raise MissingDependencyError(
            "Training on SLURM needs submitit: install it with pip install 'sam2-lab[train]'"
        ) from error
    options = resolved(config.submitit, "submitit")
    launcher = resolved(config.launcher, "launcher")
    executor = submitit.AutoExecutor(folder=Path(launcher["experiment_log_dir"]) / "submitit_logs", cluster=cluster)
    executor.update_parameters(**slurm_parameters(options, launcher))
    low, high = options.get("port_range") or (10000, 65000)
    config.launcher.main_port = random.randint(int(low), int(high))
    return executor.submit(ClusterJob(config))


def slurm_parameters(options: Mapping[str, Any], launcher: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the ``submitit`` and ``launcher`` entries to submitit's parameters."""
    nodes, gpus = int(launcher["num_nodes"]), int(launcher["gpus_per_node"])
    included = list(options.get("include_nodes") or [])
    if included and len(included) < nodes:
        raise ConfigError(f"submitit.include_nodes names {len(included)} nodes, and {nodes} are needed")
    additional = {
        "exclude": ",".join(options.get("exclude_nodes") or []),
        "nodelist": ",".join(included),
        "account": options.get("account"),
        "qos": options.get("qos"),
    }
    parameters = {
        "timeout_min": int(60 * float(options.get("timeout_hour") or 24)),
        "name": options.get("name") or Path(launcher["experiment_log_dir"]).name,
        "gpus_per_node": gpus,
        "tasks_per_node": gpus,
        "nodes": nodes,
        "cpus_per_task": options.get("cpus_per_task"),
        "mem_gb": options.get("mem_gb"),
        "slurm_partition": options.get("partition"),
        "slurm_mem": None if options.get("mem_gb") is not None else options.get("mem"),
        "slurm_constraint": options.get("constraints"),
        "slurm_comment": options.get("comment"),
        "slurm_additional_parameters": {name: value for name, value in additional.items() if value},
    }
    bind = (options.get("srun_args") or {}).get("cpu_bind")
    if bind is not None:
        parameters["slurm_srun_args"] = ["--cpu-bind", bind]
    return {name: value for name, value in parameters.items() if value not in (None, {})}
