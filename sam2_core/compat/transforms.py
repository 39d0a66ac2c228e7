"""The official ``SAM2Transforms``, on our one normaliser and mask cleaning."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD, FrameSize, FrameTransform
from sam2_core.inference.input_images import ImageLike
from sam2_core.kernels.mask_cleaning import clean_mask_scores


class SAM2Transforms(nn.Module):
    """Images to model input, prompts to its pixels, mask logits back to the image.

    Parameters
    ----------
    resolution : int
        Side of the model's input, pixels.
    mask_threshold : float
        Logit above which a pixel belongs to a mask.
    max_hole_area, max_sprinkle_area : float
        Fill holes, and remove islands, of at most this many pixels of the low-resolution masks; 0 leaves them.
    """

    def __init__(
        self, resolution: int, mask_threshold: float, max_hole_area: float = 0.0, max_sprinkle_area: float = 0.0
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.mask_threshold = mask_threshold
        self.max_hole_area = max_hole_area
        self.max_sprinkle_area = max_sprinkle_area
        self.mean = list(IMAGE_MEAN)
        self.std = list(IMAGE_STD)
        self._transform = FrameTransform(resolution)

    def __call__(self, x: ImageLike) -> Tensor:
        """Turn an image (y, x, RGB) into model input: (3, resolution, resolution) float32, normalised."""
        return self._transform(x)

    def forward_batch(self, img_list: Sequence[ImageLike]) -> Tensor:
        """Turn images of any sizes into one batch of model input."""
        return self._transform.forward_batch(img_list)

    def transform_coords(self, coords: Tensor, normalize: bool = False, orig_hw: FrameSize | None = None) -> Tensor:
        """Scale points (..., 2), (x, y); see :meth:`FrameTransform.transform_coords`."""
        return self._transform.transform_coords(coords, normalize, orig_hw)

    def transform_boxes(self, boxes: Tensor, normalize: bool = False, orig_hw: FrameSize | None = None) -> Tensor:
        """Scale boxes (B, 4) to (B, 2, 2) corners."""
        return self._transform.transform_boxes(boxes, normalize, orig_hw)

    def postprocess_masks(self, masks: Tensor, orig_hw: FrameSize) -> Tensor:
        """Clean mask logits (B, M, h, w) and scale them to an image of ``orig_hw`` (height, width); float32."""
        cleaned = clean_mask_scores(
            masks.float(),
            mask_threshold=self.mask_threshold,
            max_hole_area=self.max_hole_area,
            max_sprinkle_area=self.max_sprinkle_area,
        )
        return self._transform.postprocess_masks(cleaned, orig_hw)
