"""Which configuration fits given weights.

The shapes of a state dict fix the size of the network (width and number of blocks per stage of the trunk), the
generation (SAM 2.1 learned an embedding for absent objects and a projection for the age of object pointers) and a few
counts. They do not fix the image size: positions are computed, not learned, so weights trained at 512 pixels look like
weights trained at 1024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from itertools import groupby

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from sam2_core.checkpoints.config import config_names, load_config, model_section
from sam2_core.checkpoints.numbered_keys import numbers_after
from sam2_core.errors import CheckpointError

_TRUNK = "image_encoder.trunk"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What both a configuration and a state dict say about a network.

    The first four decide which configuration is the right one; the others are options that can be overridden.
    """

    embed_dim: int
    stages: tuple[int, ...]
    model_width: int
    memory_width: int
    position_grid: tuple[int, int]
    window: int
    memory_frames: int
    memory_layers: int
    learns_absence: bool
    projects_pointer_age: bool

    @property
    def size(self) -> tuple[int, tuple[int, ...], int, int]:
        """What no override changes."""
        return self.embed_dim, self.stages, self.model_width, self.memory_width


# fact, the overrides that set it
_OVERRIDES = {
    "position_grid": ("model.image_encoder.trunk.window_pos_embed_bkg_spatial_size",),
    "memory_frames": ("model.num_maskmem",),
    "memory_layers": ("model.memory_attention.num_layers",),
    "learns_absence": ("model.no_obj_embed_spatial",),
    "projects_pointer_age": (
        "model.proj_tpos_enc_in_obj_ptrs",
        "model.add_tpos_enc_to_obj_ptrs",
        "model.use_signed_tpos_enc_to_obj_ptrs",
    ),
}


@dataclass(frozen=True, slots=True)
class InferredConfig:
    """A configuration that fits.

    Attributes
    ----------
    name : str
        Name of the configuration.
    overrides : tuple of str
        What to change in it; empty for weights of exactly that model.
    """

    name: str
    overrides: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The name, with the overrides where there are any."""
        return self.name if not self.overrides else f"{self.name} with {' '.join(self.overrides)}"


def weights_facts(state_dict: Mapping[str, Tensor]) -> NetworkFacts:
    """Read the facts off a state dict.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Official keys.

    Returns
    -------
    NetworkFacts
        What the shapes say.

    Raises
    ------
    CheckpointError
        When a part of the network is missing.
    """
    try:
        widths: list[int] = []
        while (norm := state_dict.get(f"{_TRUNK}.blocks.{len(widths)}.norm2.weight")) is not None:
            widths.append(norm.shape[0])
        grid = state_dict[f"{_TRUNK}.pos_embed"].shape
        return NetworkFacts(
            embed_dim=state_dict[f"{_TRUNK}.patch_embed.proj.weight"].shape[0],
            stages=tuple(len(list(blocks)) for _, blocks in groupby(widths)),
            model_width=state_dict["image_encoder.neck.convs.0.conv.weight"].shape[0],
            memory_width=state_dict["maskmem_tpos_enc"].shape[-1],
            position_grid=(grid[2], grid[3]),
            window=state_dict[f"{_TRUNK}.pos_embed_window"].shape[-1],
            memory_frames=state_dict["maskmem_tpos_enc"].shape[0],
            memory_layers=_count_layers(state_dict, "memory_attention.layers"),
            learns_absence="no_obj_embed_spatial" in state_dict,
            projects_pointer_age="obj_ptr_tpos_proj.weight" in state_dict,
        )
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"the weights are only a part of SAM 2: {error} is missing or has another shape. Weights of the image "
            "part alone (a transformers Sam2Model, an exported encoder) cannot track; take the full checkpoint"
        ) from error


def config_facts(config: DictConfig) -> NetworkFacts:
    """Read the facts off a configuration.

    Parameters
    ----------
    config : DictConfig
        What ``load_config`` returns.

    Returns
    -------
    NetworkFacts
        What its values say; the network's defaults where it is silent.
    """
    model = model_section(config)
    trunk = model.image_encoder.trunk
    grid = tuple(trunk.get("window_pos_embed_bkg_spatial_size", (14, 14)))
    learned_projection = model.get("proj_tpos_enc_in_obj_ptrs", False) and model.get("use_obj_ptrs_in_encoder", False)
    return NetworkFacts(
        embed_dim=trunk.get("embed_dim", 96),
        stages=tuple(trunk.get("stages", (2, 3, 16, 3))),
        model_width=model.image_encoder.neck.d_model,
        memory_width=OmegaConf.select(model, "memory_encoder.out_dim", default=model.image_encoder.neck.d_model),
        position_grid=(grid[0], grid[1]),
        window=next(iter(trunk.get("window_spec", (8, 4, 14, 7)))),
        memory_frames=model.get("num_maskmem", 7),
        memory_layers=model.memory_attention.num_layers,
        learns_absence=bool(model.get("no_obj_embed_spatial", False)),
        projects_pointer_age=bool(learned_projection),
    )


def infer_config(state_dict: Mapping[str, Tensor]) -> InferredConfig:
    """The configuration that fits weights.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Official keys.

    Returns
    -------
    InferredConfig
        One of this package's configurations, with overrides where an option differs.

    Raises
    ------
    CheckpointError
        When the network has a size that no configuration here has.
    """
    facts = weights_facts(state_dict)
    candidates = [(name, known) for name, known in _known_facts() if known.size == facts.size]
    candidates = [(name, known) for name, known in candidates if known.window == facts.window]
    if not candidates:
        raise CheckpointError(
            f"no configuration of this package fits: the weights have {facts.embed_dim} channels after the first "
            f"convolution, stages of {list(facts.stages)} blocks, width {facts.model_width} and memory width "
            f"{facts.memory_width}. Name the configuration they were trained with (config=…)"
        )
    name, known = min(candidates, key=lambda candidate: len(_differences(candidate[1], facts)))
    overrides = [
        f"++{key}={_as_override(getattr(facts, fact))}"
        for fact in _differences(known, facts)
        for key in _OVERRIDES[fact]
    ]
    return InferredConfig(name, tuple(overrides))


@cache
def _known_facts() -> tuple[tuple[str, NetworkFacts], ...]:
    return tuple((name, config_facts(load_config(name))) for name in config_names())


def _differences(known: NetworkFacts, facts: NetworkFacts) -> list[str]:
    names = [one.name for one in fields(NetworkFacts) if one.name in _OVERRIDES]
    return [name for name in names if getattr(known, name) != getattr(facts, name)]


def _as_override(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{','.join(str(part) for part in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _count_layers(state_dict: Mapping[str, Tensor], prefix: str) -> int:
    numbers = numbers_after(state_dict, prefix)
    if not numbers:
        raise KeyError(prefix)
    return len(numbers)
