"""Encode images and segment objects in them, by our own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

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
from sam2_core.model.fine_features import FineFeatures
from sam2_core.model.mask_decoder import MaskDecoder
from sam2_core.model.results import DecodedMasks, ImageFeatures
from sam2_core.model.sam2_base import SAM2Base

FloatArray = npt.NDArray[np.float32]

# Low-resolution logits are handed out within this range, as mask prompts were in training.
LOGIT_LIMIT = 32.0
# Labels under which the prompt encoder takes the two corners of a box.
BOX_CORNER_LABELS = (2, 3)


class ImageSegmenter:
    """Encoding and decoding: :class:`SAM2ImagePredictor`, whose options it takes, without the official predictions."""

    known_labels: ClassVar[Sequence[int]] = (0, 1)
    """Labels of points that are taken; see :func:`~sam2_core.inference.image_prompts.image_prompts`."""

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
    def set_features(self, features: ImageFeatures, image_size: tuple[int, int]) -> None:
        """Take an image that is encoded already, in place of :meth:`set_image`.

        Parameters
        ----------
        features : ImageFeatures
            Of this model's encoder, a batch of 1, such as
            :class:`~sam2_core.inference.frame_features.FrameFeatures` has from the embedding store.
        image_size : (int, int)
            Height and width of the image in pixels.
        """
        self._encoded = self._taken(features, [image_size], is_batch=False)

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
        point_coords : array_like, optional
            (N, 2), or (B, N, 2) for B objects, real numbers, each point (x, y), x first: pixels of the image, x from 0
            to its width and y from 0 to its height.
        point_labels : array_like, optional
            (N,) or (B, N), given if and only if there are points: 1 on the object, 0 beside it.
        box : array_like, optional
            (4,), or (B, 4) for B objects: x0, y0, x1, y1, the upper left and the lower right corner, in the unit of the
            points.
        mask_input : array_like, optional
            (1, h, w) or (B, 1, h, w): low-resolution logits of an earlier prediction.
        multimask_output : bool
            Return three candidates rather than one mask. Better for a single click, which is ambiguous.
        normalize_coords : bool
            Whether points and box are in pixels of the image; False if they are fractions of its width and height, from
            0 to 1.
        image_index : int, optional
            Which image of a batch, from 0; needed if there is more than one.

        Returns
        -------
        ImageMasks
            M candidates, 3 or 1: masks (M, y, x) bool at the image's size, predicted IoU (M,), low-resolution logits
            (M, h, w), and one object score. With B > 1 objects every array has the axis of objects in front.

        Raises
        ------
        StateError
            No image was set, or several and `image_index` does not say which.
        InvalidTypeError
            A prompt holds no real numbers.
        InvalidInputError
            There is no such image, no prompt, or one that is not acceptable; see
            :func:`~sam2_core.inference.image_prompts.image_prompts`.
        """
        index = self._only_image() if image_index is None else self._checked_index(image_index)
        prompts = self._checked_prompts(index, point_coords, point_labels, box, mask_input, normalize_coords)
        if prompts.is_empty:
            raise InvalidInputError("no prompt: give points with labels, a box, or a mask input")
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
            drop_single(masks),
            drop_single(to_array(decoded.predicted_ious)),
            drop_single(to_array(scores)),
            drop_single(to_array(low_res.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))),
        )

    def get_image_embedding(self) -> Tensor:
        """Return the coarsest features of the images that were set, as the mask decoder takes them.

        Returns
        -------
        Tensor
            (B, C, h, w) for B images, in the model's dtype and on its device; h and w are 1/16 of the model's input.

        Raises
        ------
        StateError
            No image was set.
        """
        return self._require_images().embedding

    def reset_predictor(self) -> None:
        """Forget the images that were set."""
        self._encoded = None

    def _encode(self, pixels: Tensor, sizes: list[tuple[int, int]], *, is_batch: bool) -> _EncodedImages:
        with without_autocast(self.device):
            features = self.model.forward_image(pixels)
        return self._taken(features, sizes, is_batch=is_batch)

    def _taken(self, features: ImageFeatures, sizes: list[tuple[int, int]], *, is_batch: bool) -> _EncodedImages:
        with without_autocast(self.device):
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
                high_res_features=encoded.fine(index, self.model.sam_mask_decoder),
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
            known_labels=self.known_labels,
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
        self._fine: dict[int, FineFeatures] = {}

    def fine(self, index: int, decoder: MaskDecoder) -> FineFeatures | None:
        """Finer features of one image, prepared once for the decoder; None if the model uses none."""
        if not self.high_res:
            return None
        if index not in self._fine:
            self._fine[index] = decoder.fine_features([level[index][None] for level in self.high_res])
        return self._fine[index]


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


def to_array(tensor: Tensor) -> FloatArray:
    """Bring a tensor to the CPU as float32."""
    array: FloatArray = tensor.detach().float().cpu().numpy()
    return array


def drop_single(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drop the axis of objects if there is one object."""
    return array[0] if array.shape[0] == 1 else array
