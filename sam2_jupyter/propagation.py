"""The ways of propagating, of looking at frames and of finding everything that the view offers, with their options."""

from __future__ import annotations

from typing import Annotated, Any

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.hooks import Propagator, get_plugins
from sam2_core.inference.preset_names import PRESET_WORDS, PRESETS
from sam2_core.session.worker.volume_carrying import CarryingOptions
from sam2_jupyter.option_fields import fields_of
from sam2_jupyter.protocol import Payload


def presets() -> list[Payload]:
    """List the ways to look at frames."""
    return [{"name": name, **PRESET_WORDS[name]._asdict()} for name in PRESETS]


def propagators() -> list[Payload]:
    """List the propagators with their options, the one that goes both ways first."""
    found = [one.contribution for one in get_plugins().contributions(Propagator).values()]
    return [
        {"name": one.name, "summary": one.summary, "options": fields_of(one.propagate)}
        for one in sorted(found, key=lambda one: one.name != "both")
    ]


def carrying_fields() -> list[dict[str, Any]]:
    """Describe the options of carrying volumes from one time to others."""
    return fields_of(CarryingOptions)


def everything_fields(model: Any) -> list[dict[str, Any]]:
    """Describe the options of finding everything on a frame; thresholds begin with those that suit the model."""
    suits = everything_thresholds(model)
    return [{**field, "default": suits.get(field["name"], field["default"])} for field in fields_of(_everything)]


def _everything(
    *,
    points_per_side: Annotated[int, {"min": 1, "max": 128}] = 32,
    pred_iou_thresh: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.8,
    stability_score_thresh: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.95,
    min_mask_region_area: Annotated[int, {"min": 0}] = 0,
) -> None:
    """Name those options of :class:`~sam2_core.SAM2AutomaticMaskGenerator` that a person may want to change."""
