"""``sam2 train``: train or fine-tune a model as a configuration says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from sam2_core.cli.console import messages, output
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import TrainingEvent

if TYPE_CHECKING:
    from omegaconf import DictConfig


def tell(event: TrainingEvent) -> None:
    """Print how far a training is; a function of the module, so that it can go to other processes."""
    # the log tells of the rest
    if event.kind == "step" and event.measures:
        of = "" if event.total_steps is None else f" of {event.total_steps}"
        left = "" if event.eta_seconds is None else f", {event.eta_seconds / 60:.0f} min left"
        shown = "  ".join(f"{name.split('/')[-1]} {value:.4g}" for name, value in event.measures.items())
        messages.print(f"{event.kind} {event.step}{of}{left}  {shown}", markup=False)


def train(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Values in place of the configuration's: dataset.img_folder=PATH …")
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config-name", "--config", "-c", help="A name (see --list) or a YAML file.")
    ] = None,
    num_gpus: Annotated[int | None, typer.Option(help="GPUs, or processes on a CPU, of each machine.")] = None,
    num_nodes: Annotated[int | None, typer.Option(help="Machines.")] = None,
    use_cluster: Annotated[int | None, typer.Option(min=0, max=1, help="1 submits the training to SLURM.")] = None,
    partition: Annotated[str | None, typer.Option(help="SLURM partition.")] = None,
    account: Annotated[str | None, typer.Option(help="SLURM account.")] = None,
    qos: Annotated[str | None, typer.Option(help="SLURM quality of service.")] = None,
    list_configs: Annotated[bool, typer.Option("--list", help="List the configurations that are ready.")] = False,
    print_config: Annotated[bool, typer.Option("--cfg", help="Show the configuration, and do not train.")] = False,
) -> None:
    """Train or fine-tune a model.

    Stopped by Ctrl-C, a kill or a power cut, it goes on from its last checkpoint when the same command is given again.

    Example: sam2 train --config-name finetune_2d data.images=stack.zarr data.labels=labels.tif
    """
    from omegaconf import OmegaConf

    from sam2_core.training import launch
    from sam2_core.training.recipe import is_recipe, read_recipe_config
    from sam2_core.training.training_config import load_training_config, training_config_names

    if list_configs:
        for name in training_config_names():
            output.print(name, markup=False)
        return
    if config is None:
        raise InvalidInputError(f"Name a configuration with --config-name: {', '.join(training_config_names())}")
    given = overrides or []
    recipe = read_recipe_config(config, given)
    if is_recipe(recipe):
        _follow(recipe, print_config)
        return
    if print_config:
        output.print(OmegaConf.to_yaml(load_training_config(config, given)), markup=False)
        return
    options = launch.LaunchOptions(
        None if use_cluster is None else bool(use_cluster), num_gpus, num_nodes, partition, account, qos
    )
    prepared = launch.prepared(config, given, options)
    folder = prepared.launcher.experiment_log_dir
    if prepared.submitit.get("use_cluster"):
        output.print(f"Submitted as job {launch.submit(prepared).job_id}; logs are in {folder}", markup=False)
        return

    logging.basicConfig(level=logging.INFO)
    reason = launch.train(prepared, [tell])
    if reason is not None:
        messages.print(f"Stopped ({reason}). The same command goes on where this one ended.", markup=False)
        raise typer.Exit(130)
    output.print(f"Trained; checkpoints and logs are in {folder}", markup=False)


def _follow(config: DictConfig, print_config: bool) -> None:
    """Draw data, train on them and write the weights."""
    from omegaconf import OmegaConf

    from sam2_core.training import micro
    from sam2_core.training.recipe import recipe_of

    if print_config:
        output.print(OmegaConf.to_yaml(config), markup=False)
        return
    recipe = recipe_of(config)
    logging.basicConfig(level=logging.INFO)
    try:
        micro.follow(recipe)
    except KeyboardInterrupt:
        messages.print("Stopped. The same command goes on from the last checkpoint.", markup=False)
        raise typer.Exit(130) from None
    done = "the weights are " + str(recipe.target) if "export" in recipe.steps else ", ".join(recipe.steps) + " done"
    output.print(f"{done[0].upper()}{done[1:]}; logs and checkpoints are in {recipe.folder}", markup=False)
