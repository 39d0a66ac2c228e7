"""Segment objects in one image: the official SAM 2 image predictor's interface, and our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.inference.image_masks import ImageMasks
from sam2_core.inference.image_prompts import ImagePrompts, image_prompts
from sam2_core.inference.input_images import ImageLike
from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.kernels.mask_cleaning import clean_mask_scores
from sam2_core.model.results import DecodedMasks
from sam2_core.model.sam2_base import SAM2Base

FloatArray = npt.NDArray[np.float32]

# Low-resolution logits are handed out within this range, as mask prompts were in training.
LOGIT_LIMIT = 32.0
# Labels under which the prompt encoder takes the two corners of a box.
BOX_CORNER_LABELS = (2, 3)


class SAM2ImagePredictor:
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

    def __init__(
        self,
        sam_model: SAM2Base,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.model = sam_model
        self.mask_threshold = mask_threshold
        self._transforms = FrameTransform(sam_model.input_size)
        self.max_hole_area = max_hole_area
        self.max_sprinkle_area = max_sprinkle_area
        self._encoded: _EncodedImages | None = None

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> Self:
        """Load a model by name.

        Parameters
        ----------
        model_id : str
            A name of the catalogue ("sam2.1_hiera_tiny") or a Hugging Face id ("facebook/sam2.1-hiera-tiny").
        **kwargs
            For the predictor and for :func:`~sam2_core.checkpoints.build.build_sam2_hf`.

        Returns
        -------
        SAM2ImagePredictor
        """
        from sam2_core.checkpoints.build import build_sam2_hf

        return cls(build_sam2_hf(model_id, **kwargs), **kwargs)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @torch.no_grad()
    def set_image(self, image: ImageLike) -> None:
        """Encode an image for :meth:`predict` and :meth:`segment`.

        Parameters
        ----------
        image : ndarray or PIL.Image.Image
            Axes (y, x) or (y, x, RGB); uint8 (0-255) or floating point (0-1).

        Raises
        ------
        InvalidTypeError, InvalidInputError
            Not such an image; the one set before stays.
        """
        pixels = self._transforms(image, self.device)
        self._encoded = self._encode(pixels[None], [_size_of(image)], is_batch=False)

    @torch.no_grad()
    def set_image_batch(self, image_list: Sequence[ImageLike]) -> None:
        """Encode several images, of any sizes, for :meth:`predict_batch`.

        Parameters
        ----------
        image_list : sequence of ndarray or PIL.Image.Image
            Images as :meth:`set_image` takes them.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            No images, or one that is not acceptable; what was set before stays.
        """
        if isinstance(image_list, np.ndarray | Image.Image) or not isinstance(image_list, Sequence):
            raise InvalidInputError(
                f"set_image_batch takes a list of images, got {type(image_list).__name__}; use set_image for one"
            )
        if not image_list:
            raise InvalidInputError("set_image_batch got no images")
        pixels = self._transforms.forward_batch(image_list, self.device)
        self._encoded = self._encode(pixels, [_size_of(image) for image in image_list], is_batch=True)

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

    @torch.inference_mode()
    def segment(
        self,
        point_coords: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        *,
        multimask_output: bool = True,
        normalize_coords: bool = True,
        image_index: int | None = None,
    ) -> ImageMasks:
        """Predict masks with every score the model gives.

        Parameters
        ----------
        point_coords, point_labels, box, mask_input, multimask_output, normalize_coords
            As for :meth:`predict`.
        image_index : int, optional
            Which image of a batch; needed if there is more than one.

        Returns
        -------
        ImageMasks

        Raises
        ------
        StateError
            No image was set, or several and `image_index` does not say which.
        InvalidTypeError, InvalidInputError
            As for :meth:`predict`.
        """
        index = self._only_image() if image_index is None else self._checked_index(image_index)
        prompts = self._checked_prompts(index, point_coords, point_labels, box, mask_input, normalize_coords)
        decoded = self._decode(index, prompts, multimask_output)
        low_res = decoded.masks.float()
        cleaned = self._clean(low_res)
        size = self._require_images().sizes[index]
        masks = np.empty((*low_res.shape[:2], *size), dtype=np.bool_)
        for one, logits in zip(masks.reshape(-1, *size), cleaned.flatten(0, 1), strict=True):
            # One at a time: the logits at full size are four times as large as the mask.
            full = self._transforms.postprocess_masks(logits[None, None], size)[0, 0]
            one[:] = (full > self.mask_threshold).cpu().numpy()
        scores = decoded.object_score_logits.float().sigmoid()[:, 0]
        return ImageMasks(
            _drop_single(masks),
            _drop_single(_to_array(decoded.predicted_ious)),
            _drop_single(_to_array(scores)),
            _drop_single(_to_array(low_res.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))),
        )

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

    def get_image_embedding(self) -> Tensor:
        """Return the coarsest features of the image that was set, as the mask decoder takes them: (B, C, h, w)."""
        return self._require_images().embedding

    def reset_predictor(self) -> None:
        """Forget the images that were set."""
        self._encoded = None

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

    def _encode(self, pixels: Tensor, sizes: list[tuple[int, int]], *, is_batch: bool) -> _EncodedImages:
        with without_autocast(self.device):
            features = self.model.forward_image(pixels)
            embedding = self.model.image_embedding(features)
        return _EncodedImages(embedding, features.maps[:-1], sizes, is_batch)

    def _decode(self, index: int, prompts: ImagePrompts, multimask_output: bool) -> DecodedMasks:
        encoded = self._require_images()
        embedding = encoded.embedding[index][None]
        points = _joined_points(prompts)
        with without_autocast(self.device):
            sparse, dense = self.model.sam_prompt_encoder(points=points, boxes=None, masks=prompts.mask_input)
            decoded: DecodedMasks = self.model.sam_mask_decoder(
                image_embeddings=embedding,
                image_pe=self.model.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask_output,
                repeat_image=sparse.shape[0] > 1,
                high_res_features=[level[index][None] for level in encoded.high_res] or None,
            )
        return decoded

    def _predict_tensors(
        self, index: int, prompts: ImagePrompts, multimask_output: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give full-size logits, predicted IoUs and low-resolution logits."""
        decoded = self._decode(index, prompts, multimask_output)
        low_res = decoded.masks.float()
        size = self._require_images().sizes[index]
        masks = self._transforms.postprocess_masks(self._clean(low_res), size)
        return masks, decoded.predicted_ious, low_res.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)

    def _clean(self, low_res: Tensor) -> Tensor:
        """Fill small holes and remove small pieces of logits (B, M, h, w), if that was asked for."""
        if self.max_hole_area <= 0 and self.max_sprinkle_area <= 0:
            return low_res
        return clean_mask_scores(
            low_res,
            mask_threshold=self.mask_threshold,
            max_hole_area=self.max_hole_area,
            max_sprinkle_area=self.max_sprinkle_area,
        )

    @torch.inference_mode()
    def _predict_arrays(
        self, index: int, prompts: ImagePrompts, multimask_output: bool, return_logits: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        masks, ious, low_res_masks = self._predict_tensors(index, prompts, multimask_output)
        if not return_logits:
            masks.gt_(self.mask_threshold)  # in place: zeros and ones, in float32 as the official predictor gives them
        arrays = [_drop_single(_to_array(tensor)) for tensor in (masks, ious, low_res_masks)]
        return arrays[0], arrays[1], arrays[2]

    def _checked_prompts(
        self,
        index: int,
        point_coords: Any,
        point_labels: Any,
        box: Any,
        mask_input: Any,
        normalize_coords: bool,
    ) -> ImagePrompts:
        return image_prompts(
            point_coords,
            point_labels,
            box,
            mask_input,
            image_size=self._require_images().sizes[index],
            mask_input_size=self.model.sam_prompt_encoder.mask_input_size,
            normalize_coords=normalize_coords,
            transform=self._transforms,
            device=self.device,
        )

    def _require_images(self) -> _EncodedImages:
        if self._encoded is None:
            raise StateError("no image is set; call set_image (or set_image_batch) first")
        return self._encoded

    def _only_image(self) -> int:
        count = len(self._require_images().sizes)
        if count > 1:
            raise StateError(f"{count} images are set; call predict_batch, or segment with image_index=")
        return 0

    def _checked_index(self, index: int) -> int:
        count = len(self._require_images().sizes)
        if not 0 <= index < count:
            raise InvalidInputError(f"image_index goes from 0 to {count - 1}, got {index}")
        return index


class _EncodedImages:
    """Features of the images that were set, and their sizes (height, width)."""

    def __init__(
        self, embedding: Tensor, high_res: tuple[Tensor, ...], sizes: list[tuple[int, int]], is_batch: bool
    ) -> None:
        self.embedding = embedding
        self.high_res = high_res
        self.sizes = sizes
        self.is_batch = is_batch


def _size_of(image: ImageLike) -> tuple[int, int]:
    """Height and width of an image that was accepted."""
    if isinstance(image, Image.Image):
        return image.height, image.width
    return int(image.shape[0]), int(image.shape[1])


def _joined_points(prompts: ImagePrompts) -> tuple[Tensor, Tensor] | None:
    """Points, with a box as its two corners ahead of them, as the model was trained."""
    if prompts.boxes is None:
        return None if prompts.coords is None or prompts.labels is None else (prompts.coords, prompts.labels)
    corner_labels = torch.tensor(BOX_CORNER_LABELS, dtype=torch.int32, device=prompts.boxes.device)
    corner_labels = corner_labels.expand(len(prompts.boxes), -1)
    if prompts.coords is None or prompts.labels is None:
        return prompts.boxes, corner_labels
    return torch.cat([prompts.boxes, prompts.coords], dim=1), torch.cat([corner_labels, prompts.labels], dim=1)


def _one_per_image(name: str, batch: Sequence[Any] | None, count: int) -> Sequence[Any]:
    """A column of prompts for a batch of images; None for each image if there is none."""
    if batch is None:
        return [None] * count
    if len(batch) != count:
        raise InvalidInputError(f"{name} has one entry for each image: expected {count}, got {len(batch)}")
    return batch


def _to_array(tensor: Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().float().cpu().numpy()
    return array


def _drop_single(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drop the axis of objects if there is one object."""
    return array[0] if array.shape[0] == 1 else array
