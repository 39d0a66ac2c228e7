"""Segment objects in images, by the official names and by our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.image_prompts import ImagePrompts
from sam2_core.inference.image_segmenter import FloatArray, ImageSegmenter, drop_single, to_array
from sam2_core.inference.pretrained_options import split_options


class SAM2ImagePredictor(ImageSegmenter):
    """Encode an image once, then predict masks from any number of prompts.

    Methods with official names take and return what the official ones do. :meth:`segment` does the same work and hands
    out bool masks with every score. The model's dtype decides the precision; a caller's autocast has no influence.

    Parameters
    ----------
    sam_model : SAM2Base
        The model, in any floating-point dtype and on any device.
    mask_threshold : float
        Logit above which a pixel belongs to the mask.
    max_hole_area, max_sprinkle_area : float
        Fill holes, and remove separate pieces, of at most this many pixels of the low-resolution masks; 0 leaves them.
    **kwargs
        Accepted and ignored, as in the official predictor.
    """

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> Self:
        """Load a model by name.

        Parameters
        ----------
        model_id : str
            A name of the catalogue ("sam2.1_hiera_tiny") or a Hugging Face id ("facebook/sam2.1-hiera-tiny").
        **kwargs
            For the predictor, and for :func:`~sam2_core.checkpoints.build.build_sam2_hf`: ``precision="fp32"`` asks for
            fp32 on a machine that is fast at bf16 too.

        Returns
        -------
        SAM2ImagePredictor
            The predictor; its model is in bf16 where this machine is fast at it, unless told otherwise.

        Raises
        ------
        UnknownModelError, DownloadError, MissingDependencyError
            The model is unknown or cannot be downloaded.
        """
        from sam2_core.checkpoints.build import build_sam2_hf

        own, others = split_options(cls, kwargs)
        return cls(build_sam2_hf(model_id, **others), **own)

    def predict(
        self,
        point_coords: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Predict masks in the image that was set.

        Without any prompt the model answers with what it takes for the object of the image, as the official predictor
        does; :meth:`segment` asks for a prompt.

        Parameters
        ----------
        point_coords : array_like, optional
            (N, 2), or (B, N, 2) for B objects, x before y, in pixels of the image.
        point_labels : array_like, optional
            (N,) or (B, N): 1 on the object, 0 background.
        box : array_like, optional
            (4,), or (B, 4) for B objects: x0, y0, x1, y1 in pixels of the image.
        mask_input : array_like, optional
            (1, h, w) or (B, 1, h, w): low-resolution logits of an earlier prediction.
        multimask_output : bool
            Return three candidates rather than one mask. Better for a single click, which is ambiguous.
        return_logits : bool
            Return logits rather than zeros and ones.
        normalize_coords : bool
            False: coordinates are fractions of the image's width and height already.

        Returns
        -------
        masks : ndarray of float32
            (M, y, x) at the image's size, 0 or 1 (or logits). (B, M, y, x) if there are several objects, and so on.
        ious : ndarray of float32
            (M,), predicted IoU of each mask.
        low_res_masks : ndarray of float32
            (M, h, w), logits within ±32.

        Raises
        ------
        StateError
            No image was set, or several.
        InvalidTypeError, InvalidInputError
            Prompts that are not acceptable; see :func:`~sam2_core.inference.image_prompts.image_prompts`.
        """
        index = self._only_image()
        prompts = self._checked_prompts(index, point_coords, point_labels, box, mask_input, normalize_coords)
        return self._predict_arrays(index, prompts, multimask_output, return_logits)

    def predict_batch(
        self,
        point_coords_batch: Sequence[npt.ArrayLike | None] | None = None,
        point_labels_batch: Sequence[npt.ArrayLike | None] | None = None,
        box_batch: Sequence[npt.ArrayLike | None] | None = None,
        mask_input_batch: Sequence[npt.ArrayLike | None] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
        """Predict masks in each of the images that were set with :meth:`set_image_batch`.

        Parameters
        ----------
        point_coords_batch, point_labels_batch, box_batch, mask_input_batch : sequence, optional
            One entry for each image, each as :meth:`predict` takes it, or None.
        multimask_output, return_logits, normalize_coords : bool
            As for :meth:`predict`.

        Returns
        -------
        masks, ious, low_res_masks : list of ndarray of float32
            One entry for each image, as :meth:`predict` returns them.

        Raises
        ------
        StateError
            No batch of images was set.
        InvalidTypeError, InvalidInputError
            Lists whose length is not the number of images, or prompts that are not acceptable; nothing was predicted.
        """
        encoded = self._require_images()
        if not encoded.is_batch:
            raise StateError("one image was set with set_image; call predict, or set several with set_image_batch")
        count = len(encoded.sizes)
        columns = [
            _one_per_image(name, batch, count)
            for name, batch in (
                ("point_coords_batch", point_coords_batch),
                ("point_labels_batch", point_labels_batch),
                ("box_batch", box_batch),
                ("mask_input_batch", mask_input_batch),
            )
        ]
        checked = []
        for index in range(count):
            try:
                coords, labels, box, mask_input = (column[index] for column in columns)
                checked.append(self._checked_prompts(index, coords, labels, box, mask_input, normalize_coords))
            except InvalidInputError as error:
                raise InvalidInputError(f"image {index} of the batch: {error}") from error
        results = [
            self._predict_arrays(index, prompts, multimask_output, return_logits)
            for index, prompts in enumerate(checked)
        ]
        masks, ious, low_res_masks = (list(column) for column in zip(*results, strict=True))
        return masks, ious, low_res_masks

    @torch.no_grad()
    def _predict(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        img_idx: int = -1,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict from tensors that are on the model's device and in pixels of its input.

        Parameters
        ----------
        point_coords : Tensor or None
            (B, N, 2), x before y.
        point_labels : Tensor or None
            (B, N): 1 object, 0 background, 2 and 3 box corners, -1 padding.
        boxes : Tensor, optional
            (B, 4) or (B, 2, 2): x0, y0, x1, y1.
        mask_input : Tensor, optional
            (B, 1, h, w) logits.
        multimask_output, return_logits : bool
            As for :meth:`predict`.
        img_idx : int
            Which image of a batch.

        Returns
        -------
        masks : Tensor
            (B, M, y, x) at the image's size: bool, or float32 logits.
        ious : Tensor
            (B, M).
        low_res_masks : Tensor
            (B, M, h, w) float32 logits within ±32.

        Raises
        ------
        StateError
            No image was set.
        """
        corners = None if boxes is None else boxes.reshape(-1, 2, 2)
        prompts = ImagePrompts(point_coords, point_labels, corners, mask_input)
        masks, ious, low_res_masks = self._predict_tensors(img_idx, prompts, multimask_output)
        return (masks if return_logits else masks > self.mask_threshold), ious, low_res_masks

    # What code written for the official predictor reads, although its names begin with an underscore.

    @property
    def _is_image_set(self) -> bool:
        return self._encoded is not None

    @property
    def _is_batch(self) -> bool:
        return self._encoded is not None and self._encoded.is_batch

    @property
    def _orig_hw(self) -> list[tuple[int, int]] | None:
        return None if self._encoded is None else self._encoded.sizes

    @property
    def _features(self) -> dict[str, Any] | None:
        if self._encoded is None:
            return None
        return {"image_embed": self._encoded.embedding, "high_res_feats": list(self._encoded.high_res)}

    def _prep_prompts(
        self,
        point_coords: Any,
        point_labels: Any,
        box: Any,
        mask_logits: Any,
        normalize_coords: bool,
        img_idx: int = -1,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Check prompts and give them as :meth:`_predict` takes them: mask input, points, labels, boxes."""
        prompts = self._checked_prompts(img_idx, point_coords, point_labels, box, mask_logits, normalize_coords)
        return prompts.mask_input, prompts.coords, prompts.labels, prompts.boxes

    @torch.inference_mode()
    def _predict_arrays(
        self, index: int, prompts: ImagePrompts, multimask_output: bool, return_logits: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        masks, ious, low_res_masks = self._predict_tensors(index, prompts, multimask_output)
        if not return_logits:
            masks.gt_(self.mask_threshold)  # in place: zeros and ones, in float32 as the official predictor gives them
        arrays = [drop_single(to_array(tensor)) for tensor in (masks, ious, low_res_masks)]
        return arrays[0], arrays[1], arrays[2]


def _one_per_image(name: str, batch: Sequence[Any] | None, count: int) -> Sequence[Any]:
    """A column of prompts for a batch of images; None for each image if there is none."""
    if batch is None:
        return [None] * count
    if len(batch) != count:
        raise InvalidInputError(f"{name} has one entry for each image: expected {count}, got {len(batch)}")
    return batch
