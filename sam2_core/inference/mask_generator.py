"""Segment everything in an image: the official SAM 2 automatic mask generator's interface, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.ops import nms

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.errors import InvalidInputError, Sam2Error
from sam2_core.inference.candidate_decoder import CandidateDecoder, Candidates
from sam2_core.inference.crops import (
    generate_crop_boxes,
    uncrop_boxes_xyxy,
    uncrop_points,
)
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.image_prompts import ImagePrompts
from sam2_core.inference.image_segmenter import LOGIT_LIMIT
from sam2_core.inference.input_images import ImageLike, image_pixels
from sam2_core.inference.mask_choice import chosen_masks
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.mask_records import MaskRecord, OutputMode, mask_records
from sam2_core.inference.mask_selection import MaskSelection, no_masks
from sam2_core.inference.mask_upscaling import MaskUpscaler
from sam2_core.inference.point_grids import batch_iterator, build_all_layer_point_grids
from sam2_core.inference.pretrained_options import split_options
from sam2_core.inference.run_length import bounding_box, column_run_bounds, counts_from_bounds, rle_to_mask
from sam2_core.kernels.mask_cleaning import remove_small_regions
from sam2_core.model.results import ImageFeatures
from sam2_core.model.sam2_base import SAM2Base

# On a CPU larger batches fall out of the caches: of 1, 2, 4, 8, 16 points four were fastest (46 ms a point, 66 at 8).
CPU_POINTS_PER_BATCH = 4


class GenerationCancelledError(Sam2Error, RuntimeError):
    """The caller asked to stop; nothing was returned."""


class SAM2AutomaticMaskGenerator:
    """Prompt a model with a grid of points and keep the good and distinct masks.

    Parameters
    ----------
    model : SAM2Base
        The model, in any floating-point dtype and on any device.
    points_per_side : int or None
        Points along each side of the image; None if `point_grids` are given.
    points_per_batch : int
        Most points decoded at once. On a CPU fewer are, which is faster there.
    pred_iou_thresh : float
        Keep masks with a predicted IoU above this; 0 keeps all.
    stability_score_thresh : float
        Keep masks with at least this stability; 0 keeps all.
    stability_score_offset : float
        By how much the threshold is moved up and down to measure stability.
    mask_threshold : float
        Logit above which a pixel belongs to the mask.
    box_nms_thresh, crop_nms_thresh : float
        Of masks whose boxes have a greater IoU than this, only the best is kept: within a crop, and between crops.
    crop_n_layers : int
        Layers of crops that are looked at beside the whole image; layer i has (2**i)**2 crops.
    crop_overlap_ratio : float
        Overlap of crops in the first layer as a fraction of the image's shorter side.
    crop_n_points_downscale_factor : int
        By how much each layer's points per side are fewer than the one's before.
    point_grids : list of ndarray, optional
        Points in 0-1, x before y, for the whole image and each layer; instead of `points_per_side`.
    min_mask_region_area : int
        Fill holes and remove separate pieces of fewer pixels than this, in pixels of the image; 0 leaves them.
    output_mode : {"binary_mask", "uncompressed_rle", "coco_rle"}
        How masks are returned. Binary masks take a byte for each pixel of the image and mask; the others are small.
    use_m2m : bool
        Refine each candidate by a second pass with itself as mask prompt.
    multimask_output : bool
        Three candidates for each point rather than one.
    **kwargs
        Accepted and ignored, as in the official generator.

    Raises
    ------
    InvalidInputError
        Not exactly one of `points_per_side` and `point_grids`, too few grids, an unknown `output_mode`, or a number
        below its smallest meaningful value.
    """

    def __init__(
        self,
        model: SAM2Base,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[npt.NDArray[np.floating[Any]]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: OutputMode = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
        **kwargs: Any,
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise InvalidInputError("give either points_per_side or point_grids; the other one is None")
        if points_per_batch < 1 or crop_n_layers < 0 or crop_n_points_downscale_factor < 1:
            raise InvalidInputError(
                "points_per_batch and crop_n_points_downscale_factor are at least 1 and crop_n_layers at least 0, got "
                f"{points_per_batch}, {crop_n_points_downscale_factor} and {crop_n_layers}"
            )
        if output_mode not in get_args(OutputMode):
            raise InvalidInputError(f"output_mode is one of {', '.join(get_args(OutputMode))}; got {output_mode!r}")
        if points_per_side is not None:
            self.point_grids = build_all_layer_point_grids(
                points_per_side, crop_n_layers, crop_n_points_downscale_factor
            )
        else:
            self.point_grids = _checked_grids(point_grids or [], crop_n_layers)
        self.predictor = SAM2ImagePredictor(model, mask_threshold=mask_threshold)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.mask_threshold = mask_threshold
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode: OutputMode = output_mode
        self.use_m2m = use_m2m
        self.multimask_output = multimask_output

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> Self:
        """Load a model by name.

        Parameters
        ----------
        model_id : str
            A name of the catalogue ("sam2.1_hiera_tiny") or a Hugging Face id ("facebook/sam2.1-hiera-tiny").
        **kwargs
            For the generator, and for :func:`~sam2_core.checkpoints.build.build_sam2_hf`: ``precision="fp32"`` asks for
            fp32 on a machine that is fast at bf16 too. Thresholds that are left out are those that suit the model,
            where the catalogue knows any.

        Returns
        -------
        SAM2AutomaticMaskGenerator
            The generator; its model is in bf16 where this machine is fast at it, unless told otherwise.
        """
        from sam2_core.checkpoints.build import build_sam2_hf

        own, others = split_options(cls, kwargs)
        return cls(build_sam2_hf(model_id, **others), **everything_thresholds(model_id) | own)

    @torch.no_grad()
    def generate(
        self,
        image: ImageLike,
        *,
        features: ImageFeatures | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[MaskRecord]:
        """Segment everything in an image.

        Parameters
        ----------
        image : ndarray or PIL.Image.Image
            Axes (y, x) or (y, x, RGB); uint8 (0-255) or floating point (0-1).
        features : ImageFeatures, optional
            The whole image as this model's encoder sees it, a batch of 1, where it is encoded already (see
            :meth:`SAM2ImagePredictor.set_features`). Crops of it are encoded all the same.
        progress : callable, optional
            Called with the number of points done and of all points, from this thread.
        cancelled : callable, optional
            Asked between batches of points and between masks; when it returns true, generation stops.

        Returns
        -------
        list of dict
            For each mask "segmentation" (bool array, axes (y, x), or a run-length encoding), "area" (pixels),
            "bbox" (x, y, width, height), "predicted_iou", "object_score" (logit, above 0 where the model sees an
            object at the point), "point_coords" ([[x, y]] of the point it came from), "stability_score", "crop_box" (x,
            y, width, height of the crop it was found in).

        Raises
        ------
        InvalidTypeError, InvalidInputError
            Not such an image.
        GenerationCancelledError
            `cancelled` returned true.
        """
        data = self._distinct_masks(image_pixels(image), _Watch(progress, cancelled), features)
        if self.min_mask_region_area > 0:
            data = self.postprocess_small_regions(
                data, self.min_mask_region_area, max(self.box_nms_thresh, self.crop_nms_thresh)
            )
        return mask_records(data, self.output_mode)

    @torch.no_grad()
    def candidates(
        self,
        image: ImageLike,
        *,
        features: ImageFeatures | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> MaskData:
        """Find every mask that passes the thresholds, duplicates too, to :meth:`choose` among as often as one likes.

        Takes longer than :meth:`generate`, which draws only what the answer depends on. With `min_mask_region_area`
        they are cleaned here, before the choice, and not after it.

        Parameters
        ----------
        image : ndarray or PIL.Image.Image
            Axes (y, x) or (y, x, RGB); uint8 (0-255) or floating point (0-1).
        features : ImageFeatures, optional
            As for :meth:`generate`.
        progress : callable, optional
            Called with the number of points done and of all points, from this thread.
        cancelled : callable, optional
            Asked between batches of points and between masks; when it returns true, generation stops.

        Returns
        -------
        MaskData
            Columns "rles" (uncompressed; counts are arrays), "boxes" (x0, y0, x1, y1, the last pixel included),
            "iou_preds", "object_scores", "stability_score", "points" (x, y) and "crop_boxes".

        Raises
        ------
        InvalidTypeError, InvalidInputError, GenerationCancelledError
            As for :meth:`generate`.
        """
        data = no_masks()
        watch = _Watch(progress, cancelled)
        for found in self._crops(image_pixels(image), watch, MaskSelection.all_masks, features):
            data.cat(found)
        if self.min_mask_region_area > 0:
            # no box overlaps another by more than all of it: none is dropped
            data = self.postprocess_small_regions(data, self.min_mask_region_area, 1.0)
        return data

    def choose(
        self, candidates: MaskData, *, pred_iou_thresh: float | None = None, stability_score_thresh: float | None = None
    ) -> list[MaskRecord]:
        """Choose among candidates, without the network, as :meth:`generate` does with these thresholds.

        Parameters
        ----------
        candidates : MaskData
            From :meth:`candidates`.
        pred_iou_thresh, stability_score_thresh : float, optional
            Not below the generator's own, which are the default: there are no candidates below.

        Returns
        -------
        list of dict
            As of :meth:`generate`.

        Raises
        ------
        InvalidInputError
            A threshold below the generator's.
        """
        least_iou = self.pred_iou_thresh if pred_iou_thresh is None else pred_iou_thresh
        least_stability = self.stability_score_thresh if stability_score_thresh is None else stability_score_thresh
        if least_iou < self.pred_iou_thresh or least_stability < self.stability_score_thresh:
            raise InvalidInputError(
                f"These candidates were found with pred_iou_thresh={self.pred_iou_thresh} and "
                f"stability_score_thresh={self.stability_score_thresh}; got {least_iou} and {least_stability}. Find "
                "candidates with a generator of lower thresholds."
            )
        columns = ("boxes", "iou_preds", "stability_score", "crop_boxes")
        chosen = chosen_masks(
            *(candidates[name].cpu().numpy() for name in columns),
            pred_iou_thresh=least_iou,
            stability_score_thresh=least_stability,
            box_nms_thresh=self.box_nms_thresh,
            crop_nms_thresh=self.crop_nms_thresh if self.crop_n_layers else None,
        )
        # the candidates stay as they are, for the next choice
        data = MaskData(**dict(candidates.items()))
        data.filter(torch.from_numpy(chosen))
        return mask_records(data, self.output_mode)

    def _crops(
        self,
        image: npt.NDArray[np.generic],
        watch: _Watch,
        select: Callable[[MaskSelection], MaskData],
        features: ImageFeatures | None = None,
    ) -> Iterator[MaskData]:
        size = (image.shape[0], image.shape[1])
        crop_boxes, layers = generate_crop_boxes(size, self.crop_n_layers, self.crop_overlap_ratio)
        watch.total = sum(len(self.point_grids[layer]) for layer in layers)
        for crop_box, layer in zip(crop_boxes, layers, strict=True):
            # the first layer is the whole image
            yield self._process_crop(image, crop_box, layer, size, watch, select, None if layer else features)

    def _distinct_masks(
        self, image: npt.NDArray[np.generic], watch: _Watch, features: ImageFeatures | None
    ) -> MaskData:
        data, crops = no_masks(), 0
        for found in self._crops(image, watch, MaskSelection.masks, features):
            data.cat(found)
            crops += 1
        if crops > 1:
            widths, heights = (data["crop_boxes"][:, axis + 2] - data["crop_boxes"][:, axis] for axis in (0, 1))
            # Masks from smaller crops show more detail.
            data.filter(nms(data["boxes"].float(), 1 / (widths * heights).float(), self.crop_nms_thresh))
        return data

    def _process_crop(
        self,
        image: npt.NDArray[np.generic],
        crop_box: Sequence[int],
        layer: int,
        size: tuple[int, int],
        watch: _Watch,
        select: Callable[[MaskSelection], MaskData],
        features: ImageFeatures | None,
    ) -> MaskData:
        """Masks found in one crop, those that are selected, in the frame of the whole image."""
        x0, y0, x1, y1 = crop_box
        watch.check()
        if features is None:
            self.predictor.set_image(image[y0:y1, x0:x1])
        else:
            self.predictor.set_features(features, size)
        points = self.point_grids[layer] * np.array([x1 - x0, y1 - y0])
        encoded = self.predictor._require_images()
        model = self.predictor.model
        decoder = CandidateDecoder(model, encoded.embedding, encoded.fine(0, model.sam_mask_decoder))
        height, width = model.sam_prompt_encoder.mask_input_size
        selection = MaskSelection(
            MaskUpscaler((height, width), crop_box, size, self.mask_threshold, self.stability_score_offset),
            crop_box,
            size,
            least_stability=self.stability_score_thresh,
            most_overlap=self.box_nms_thresh,
            check=watch.check,
        )
        try:
            for (batch,) in batch_iterator(self._batch_size(), points):
                in_crop = torch.as_tensor(batch, dtype=torch.float32, device=self.predictor.device)
                scaled = self.predictor._transforms.transform_coords(in_crop, True, (y1 - y0, x1 - x0))
                selection.add(self._decode(decoder, scaled), in_crop)
                watch.advance(len(batch))
            data = select(selection)
        finally:
            self.predictor.reset_predictor()
        data["boxes"] = uncrop_boxes_xyxy(data["boxes"], crop_box)
        data["points"] = uncrop_points(data["points"], crop_box)
        data["crop_boxes"] = torch.tensor([list(crop_box)] * len(data["rles"]), dtype=torch.int64).view(-1, 4)
        return data

    def _batch_size(self) -> int:
        if self.predictor.device.type == "cpu":
            return min(self.points_per_batch, CPU_POINTS_PER_BATCH)
        return self.points_per_batch

    def _decode(self, decoder: CandidateDecoder, scaled: Tensor) -> Candidates:
        """Candidates of some points (B, 2) in model input pixels, with a predicted IoU above the threshold."""
        least_iou = self.pred_iou_thresh if self.pred_iou_thresh > 0 else None
        if self.multimask_output and not self.use_m2m:
            return decoder.decode(scaled, least_iou)
        first = self._decode_whole(scaled, None, multimask_output=self.multimask_output)
        if self.use_m2m:
            # Each candidate is a mask prompt beside the point it came from.
            mask_inputs = first.logits[:, None].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
            points = scaled[first.prompt_index]
            foreground = points.new_ones(len(points), dtype=torch.int32)
            refined = self._refine(points, foreground, mask_inputs, self._batch_size())
            first = replace(refined, prompt_index=first.prompt_index)
        if least_iou is None:
            return first
        kept = first.predicted_ious > least_iou
        return Candidates(
            first.logits[kept], first.predicted_ious[kept], first.object_scores[kept], first.prompt_index[kept]
        )

    def refine_with_m2m(
        self, points: Tensor, point_labels: Tensor, low_res_masks: Tensor, points_per_batch: int
    ) -> tuple[Tensor, Tensor]:
        """Decode masks again, each with itself as mask prompt, in the image set in ``predictor``.

        :meth:`generate` with `use_m2m` does this itself, at low resolution; masks of full size take much memory.

        Parameters
        ----------
        points : Tensor
            (N, 2), x before y, in pixels of the model's input; the point each mask came from.
        point_labels : Tensor
            (N,): 1 on the object, 0 beside it.
        low_res_masks : Tensor
            (N, h, w) logits.
        points_per_batch : int
            Masks decoded at once.

        Returns
        -------
        masks : Tensor
            (N, 1, y, x) float32 logits at the image's size.
        ious : Tensor
            (N, 1), predicted IoUs.

        Raises
        ------
        StateError
            No image was set.
        InvalidInputError
            Numbers of points, labels and masks that differ.
        """
        size = self.predictor._require_images().sizes[0]
        refined = self._refine(points, point_labels, low_res_masks[:, None], points_per_batch)
        masks = self.predictor._transforms.postprocess_masks(refined.logits[:, None], size)
        return masks, refined.predicted_ious[:, None]

    def _refine(self, points: Tensor, labels: Tensor, mask_inputs: Tensor, batch_size: int) -> Candidates:
        """One mask for each point (N, 2) with its mask prompt (N, 1, h, w)."""
        parts = [
            self._decode_whole(point, mask_input, labels=label, multimask_output=False)
            for point, label, mask_input in batch_iterator(batch_size, points, labels, mask_inputs)
        ]
        none = points.new_zeros(0)
        return Candidates(
            torch.cat([part.logits for part in parts]) if parts else mask_inputs[:, 0],
            torch.cat([none, *(part.predicted_ious for part in parts)]),
            torch.cat([none, *(part.object_scores for part in parts)]),
            torch.arange(len(points), device=points.device),
        )

    def _decode_whole(
        self, scaled: Tensor, mask_input: Tensor | None, *, labels: Tensor | None = None, multimask_output: bool
    ) -> Candidates:
        """All candidates of some points, foreground where no labels (B,) are given, flattened."""
        if labels is None:
            labels = scaled.new_ones(len(scaled), dtype=torch.int32)
        prompts = ImagePrompts(scaled[:, None], labels[:, None], None, mask_input)
        decoded = self.predictor._decode(0, prompts, multimask_output)
        count = decoded.masks.shape[1]
        prompt_index = torch.arange(len(scaled), device=scaled.device).repeat_interleave(count)
        return Candidates(
            decoded.masks.float().flatten(0, 1),
            decoded.predicted_ious.float().flatten(),
            decoded.object_score_logits.float().expand(-1, count).flatten(),
            prompt_index,
        )

    @staticmethod
    def postprocess_small_regions(mask_data: MaskData, min_area: int, nms_thresh: float) -> MaskData:
        """Fill small holes and remove small separate pieces, then drop masks that became duplicates.

        Parameters
        ----------
        mask_data : MaskData
            With columns "rles" and "boxes" and any others; changed in place.
        min_area : int
            Holes and pieces of fewer pixels than this go.
        nms_thresh : float
            Of masks whose boxes have a greater IoU, one is kept; rather one that was left as it was.

        Returns
        -------
        MaskData
            `mask_data`.
        """
        if not mask_data["rles"]:
            return mask_data
        untouched = []
        boxes = []
        for index, rle in enumerate(mask_data["rles"]):
            mask = rle_to_mask(rle)
            filled, has_holes = remove_small_regions(mask, min_area, mode="holes")
            cleaned, has_islands = remove_small_regions(filled, min_area, mode="islands")
            untouched.append(not (has_holes or has_islands))
            bounds = column_run_bounds(np.ascontiguousarray(cleaned.T), mask.shape[0])
            boxes.append(bounding_box(bounds, mask.shape[0]))
            if not untouched[-1]:
                counts: Any = counts_from_bounds(bounds, mask.size)
                if isinstance(rle["counts"], list):
                    counts = counts.tolist()
                mask_data["rles"][index] = {"size": rle["size"], "counts": counts}
        mask_data["boxes"] = torch.tensor(boxes)
        mask_data.filter(nms(mask_data["boxes"].float(), torch.tensor(untouched).float(), nms_thresh))
        return mask_data


class _Watch:
    """Tells the caller how far the work is, and hears whether to stop."""

    def __init__(self, progress: Callable[[int, int], object] | None, cancelled: Callable[[], bool] | None) -> None:
        self._progress, self._cancelled = progress, cancelled
        self.done = self.total = 0

    def check(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise GenerationCancelledError(f"cancelled after {self.done} of {self.total} points")

    def advance(self, points: int) -> None:
        self.done += points
        if self._progress is not None:
            self._progress(self.done, self.total)
        self.check()


def _checked_grids(grids: Sequence[npt.NDArray[np.floating[Any]]], layers: int) -> list[npt.NDArray[np.float64]]:
    checked = [np.asarray(grid, dtype=np.float64) for grid in grids]
    if len(checked) < layers + 1:
        raise InvalidInputError(
            f"point_grids has a grid for the image and one for each layer of crops: expected {layers + 1}, "
            f"got {len(checked)}"
        )
    for grid in checked:
        if grid.ndim != 2 or grid.shape[1] != 2 or not ((grid >= 0) & (grid <= 1)).all():
            raise InvalidInputError(f"a point grid has shape (N, 2) with values from 0 to 1, got shape {grid.shape}")
    return checked
