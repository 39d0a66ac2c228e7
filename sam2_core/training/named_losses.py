"""Losses on masks that are chosen by name among those plugins add, with the official ones on IoU and presence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.hooks import Loss
from sam2_core.training.choices import Choice, choose
from sam2_core.training.losses import MultiStepMultiMasksAndIous


class NamedLosses(MultiStepMultiMasksAndIous):
    """A weighted sum of named losses in place of focal and dice; the rest is as in the official loss.

    Parameters
    ----------
    masks : str or sequence of str or mapping
        Names of losses, or ``{name: NAME, weight: 1.0, options: {…}}``.
    iou, presence : float
        Weights of the losses of predicted IoUs and of object scores.

    Raises
    ------
    ConfigError
        No loss, one of them twice, or an entry of another form.
    PluginError
        Nobody adds a loss of that name.
    InvalidInputError, InvalidTypeError
        A loss has no such option, or its value cannot be used.
    """

    def __init__(
        self, masks: str | Sequence[str | Mapping[str, Any]], *, iou: float = 1.0, presence: float = 1.0
    ) -> None:
        entries = [masks] if isinstance(masks, str | Mapping) else list(masks)
        self.choices: dict[str, Choice[Loss]] = {}
        weights: dict[str, float] = {}
        for entry in entries:
            parts = {"name": entry} if isinstance(entry, str) else dict(entry)
            weight = parts.pop("weight", 1.0)
            if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
                raise ConfigError(f"the weight of a loss is a number of 0 or more; got {weight!r}")
            choice = choose(Loss, parts, "a loss", lambda loss: loss.compute)
            name = f"loss_mask_{choice.contribution.name}"  # beside loss_iou and loss_class
            if name in weights:
                raise ConfigError(f"the loss {choice.contribution.name!r} is named twice; give it one weight")
            weights[name] = float(weight)
            self.choices[name] = choice
        if not any(weights.values()):
            raise ConfigError("name at least one loss with a weight above 0, such as dice")
        super().__init__(
            {"loss_mask": 0.0, "loss_dice": 0.0, "loss_iou": iou, "loss_class": presence},
            supervise_all_iou=True,
            iou_use_l1_loss=True,
            pred_obj_scores=True,
        )
        self.weight_dict = {**weights, "loss_iou": iou, "loss_class": presence}

    def mask_losses(self, logits: Tensor, truth: Tensor, objects: float) -> dict[str, Tensor]:
        """Ask each of the losses; logits (B, M, H, W), truth (B, 1, H, W), results (B, M).

        Raises
        ------
        PluginError
            One failed, or returned something else than a loss with a gradient for each candidate.
        """

        def check(found: Any) -> None:
            shape = tuple(logits.shape[:2])
            if not isinstance(found, Tensor) or not found.is_floating_point() or tuple(found.shape) != shape:
                got = tuple(found.shape) if isinstance(found, Tensor) else found
                raise InvalidInputError(f"a loss for each candidate, a floating-point tensor {shape}; got {got!r:.200}")
            if logits.requires_grad and not found.requires_grad:
                raise InvalidInputError("the loss has no gradient: it was detached, or computed outside torch")

        return {
            name: choice.call(logits.float(), truth, check=check) / objects for name, choice in self.choices.items()
        }


def named_losses(given: Any) -> dict[str, Any]:
    """Turn names in ``trainer.loss`` into configurations of :class:`NamedLosses`.

    Parameters
    ----------
    given : str, sequence or mapping
        A name or several, for all data keys; or for each key a name, several, or a configuration, which stays as it is.

    Returns
    -------
    dict
        For each data key, what :func:`~sam2_core.training.training_config.build` takes.

    Raises
    ------
    ConfigError
        A name beside a ``_target_``, which is what is left when a mapping was merged into another.
    """
    by_key = {"all": given} if isinstance(given, str | list) else dict(given)
    here = f"{NamedLosses.__module__}.{NamedLosses.__qualname__}"
    for key, entry in by_key.items():
        if key == "name" or (isinstance(entry, dict) and {"name", "_target_"} <= set(entry)):
            raise ConfigError(
                "a loss chosen by name takes the place of the whole loss: write trainer.loss=NAME or "
                "trainer.loss.all=[{name: NAME, options: {…}}]"
            )
        if isinstance(entry, str | list) or (isinstance(entry, dict) and "name" in entry):
            by_key[key] = {"_target_": here, "masks": entry}
    return by_key
