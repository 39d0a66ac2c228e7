"""Keeping what a model can do: on drawn scenes it answers as it did before (Li and Hoiem 2016, arXiv:1606.09282).

The truth of the scenes would do less: towards it the weights may move as far as they like, and what they lose on other
pictures than these is not seen. Towards its own answers a model has nowhere to go.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.model import SAM2Base
from sam2_core.training import prompts
from sam2_core.training.fine_tuning.replay import drawn_scenes
from sam2_core.training.fine_tuning.views import KEPT_BYTES, View, Views, Window, encoder_learns
from sam2_core.training.losses import PromptStep
from sam2_core.training.objectives import decode_prompts, repeated
from sam2_core.training.samples import Batch

#: Drawn scenes that are shown between a person's own frames, and views of each.
SCENES, VIEWS = 64, 4
# Weights of the parts.
_MASKS, _IOU, _SCORE = 6.0, 2.0, 1.0
# Share of the scenes that are chosen whatever happened to them.
_ANY = 0.3
# Cells of the mask grid: differences in masks smaller than that count as in one of this size.
_SMALLEST = 16.0


class Keeping:
    """What a model says of drawn scenes before it is trained.

    Parameters
    ----------
    model : SAM2Base
        As it is now, and with the weights marked that will be trained; the others are shared with it.
    """

    def __init__(self, model: SAM2Base) -> None:
        fixed = {id(weight): weight for weight in model.parameters() if not weight.requires_grad}
        self._before: SAM2Base = copy.deepcopy(model, fixed).requires_grad_(False).eval()
        windows = [Window(scene, (0,)) for scene in drawn_scenes(SCENES, model.input_size)]
        # all of them together fit into what may be kept; a large model sees fewer
        fitting = KEPT_BYTES // Views(self._before, windows[:1], 1).draw(np.random.default_rng(0)).size
        views = min(VIEWS, max(1, fitting // SCENES))
        shown = windows[: max(1, fitting // views)]
        self._views = [Views(self._before, [window], views) for window in shown]
        self._changed = np.full(len(shown), np.nan)

    def loss(self, model: SAM2Base, objects: int, random: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """How differently the model answers now.

        Parameters
        ----------
        model : SAM2Base
            The one that is trained.
        objects : int
            That are clicked on, or get a box.
        random : numpy Generator

        Returns
        -------
        loss : Tensor ()
            0 where nothing has changed.
        measures : dict of str to float
            "changed", the part of it that is of the masks.
        """
        number = self._choose(random)
        view = self._views[number].draw(random)
        assert view.features is not None
        masks = batch_of(view, random, objects).masks(0)
        points = (prompts.clicks if random.random() < 0.7 else prompts.boxes)(random, masks)
        with torch.no_grad():
            before = decode_prompts(self._before, repeated(view.features, objects), points, None)
        features = model.forward_image(view.images[0]) if encoder_learns(model) else view.features
        now = decode_prompts(model, repeated(features, objects), points, None)
        changed = masks_changed(now, before)
        quality = (now.predicted_ious - before.predicted_ious).abs().mean()
        score = _divergence(now.object_score_logits, before.object_score_logits).mean()
        self._changed[number] = float(changed.detach())
        return _MASKS * changed + _IOU * quality + _SCORE * score, {"changed": self._changed[number]}

    def _choose(self, random: np.random.Generator) -> int:
        """A scene: the more its masks had changed when it was last shown, the more often."""
        shown = np.isfinite(self._changed)
        if not shown.any():
            return int(random.integers(len(self._changed)))
        changed = np.where(shown, self._changed, self._changed[shown].mean()).clip(min=1e-6)
        likely = _ANY / len(changed) + (1 - _ANY) * changed / changed.sum()
        return int(random.choice(len(changed), p=likely / likely.sum()))


def batch_of(view: View, random: np.random.Generator, count: int, start: int = 0) -> Batch:
    """Some of the objects on a frame of a view; one of them more than once where there are fewer."""
    seen = view.objects(start)
    chosen = random.choice(seen, count, replace=len(seen) < count).tolist()
    return Batch(view.images, view.labels, torch.tensor([chosen]), start)


def masks_changed(now: PromptStep, before: PromptStep) -> Tensor:
    """Kullback-Leibler divergence of masks (B, M, h, w), summed over a mask and divided by its area before; mean."""
    area = before.masks.sigmoid().sum(dim=(-2, -1)).clamp(min=_SMALLEST)
    return (_divergence(now.masks, before.masks).sum(dim=(-2, -1)) / area).mean()


def _divergence(now: Tensor, before: Tensor) -> Tensor:
    """Of two probabilities each, given as logits."""
    wanted = before.sigmoid()
    least = F.binary_cross_entropy_with_logits(before, wanted, reduction="none")
    return F.binary_cross_entropy_with_logits(now, wanted, reduction="none") - least
