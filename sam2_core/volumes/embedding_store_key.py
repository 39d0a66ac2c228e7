"""What image features depend on: the pixels, how they were prepared, the weights that encoded them, and the dtype.

Two frames with the same key have the same features, wherever they came from and whoever encoded them. A key never
depends on a file's name or its times, and computing it never reads more than the one frame (or tile) it is for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from sam2_core.errors import StateError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam2_core.model.frame_segmenter import FrameSegmenter

DIGEST_BYTES = 16
#: Entries are kept in two bytes a value, whatever the model computes in.
STORED_DTYPE = np.dtype("<f2")

# digests of models that are alive, with what tells whether their weights are still the same
_DIGESTS: WeakKeyDictionary[Any, tuple[list[Any], str]] = WeakKeyDictionary()
_PLAIN_TYPES = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class FeatureSpace:
    """Everything but the pixels that a frame's features depend on.

    Attributes
    ----------
    weights : str
        Digest of the weights and options of the image encoder, see :func:`encoder_digest`.
    preprocessing : str
        How pixels become the network's input: resampling, input size, mean and deviation.
    dtype : str
        What the model computes in, such as "float32".
    """

    weights: str
    preprocessing: str
    dtype: str

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        parts = json.dumps([self.weights, self.preprocessing, self.dtype])
        return hashlib.blake2b(parts.encode(), digest_size=DIGEST_BYTES).hexdigest()

    def key(self, pixels: NDArray[Any] | str) -> EmbeddingKey:
        """Return the key of a frame or tile.

        Parameters
        ----------
        pixels : ndarray or str
            The pixels as read, (y, x) or (y, x, RGB), contrast applied; or their :func:`pixels_digest`.
        """
        return EmbeddingKey(self, pixels if isinstance(pixels, str) else pixels_digest(pixels))


@dataclass(frozen=True)
class EmbeddingKey:
    """Names the features of one frame: its pixels' digest in a :class:`FeatureSpace`."""

    space: FeatureSpace
    pixels: str

    @property
    def slot(self) -> tuple[int, int]:
        """Where the entry lies on the two outer axes of its space's array; each below 2 ** 48."""
        return int(self.pixels[:12], 16), int(self.pixels[12:24], 16)


def feature_space(model: FrameSegmenter, preprocessing: str) -> FeatureSpace:
    """Describe the features that a model makes of frames prepared in a certain way.

    Parameters
    ----------
    model : FrameSegmenter
        Any model or video predictor, in evaluation mode.
    preprocessing : str
        See :class:`FeatureSpace`; ``FrameTransform.description`` says it.

    Raises
    ------
    StateError
        The model is being trained: its features change from call to call.
    """
    return FeatureSpace(encoder_digest(model), preprocessing, str(model.dtype).removeprefix("torch."))


def pixels_digest(pixels: NDArray[Any]) -> str:
    """Digest of an array's shape, dtype and bytes, 32 hexadecimal digits; views and copies have the same."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    digest.update(f"{pixels.shape}{pixels.dtype.str}".encode())
    digest.update(np.ascontiguousarray(pixels).data.cast("B") if pixels.size else b"")
    return digest.hexdigest()


def encoder_digest(model: FrameSegmenter) -> str:
    """Digest of all weights that image features depend on, and of the options of the image encoder.

    The mask decoder, the memory and the prompt encoder do not count, so that fine-tuning these keeps what was encoded.
    It is computed once a model, and again when its weights were changed, moved or replaced.

    Parameters
    ----------
    model : FrameSegmenter

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    StateError
        The image encoder is in training mode.
    """
    if model.image_encoder.training:
        raise StateError(
            "the model is in training mode, in which layers are left out at random and features differ from call to "
            "call; call model.eval() before its features are kept"
        )
    weights = _encoder_weights(model)
    fingerprint = _fingerprint(weights)
    known = _DIGESTS.get(model)
    if known is not None and known[0] == fingerprint:
        return known[1]
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    digest.update(json.dumps(_encoder_options(model)).encode())
    for name, tensor in weights.items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(_raw_bytes(tensor))
    found = digest.hexdigest()
    _DIGESTS[model] = (fingerprint, found)
    return found


def feature_shapes(model: FrameSegmenter) -> tuple[tuple[int, int, int], ...]:
    """Shapes (C, h, w) of the levels of one frame's features, finest first, without encoding anything."""
    height, width = model.input_size
    stride = model.backbone_stride
    coarse = (model.hidden_dim, height // stride, width // stride)
    if not model.use_high_res_features_in_sam:
        return (coarse,)
    decoder = model.sam_mask_decoder
    return (
        (decoder.conv_s0.out_channels, 4 * coarse[1], 4 * coarse[2]),
        (decoder.conv_s1.out_channels, 2 * coarse[1], 2 * coarse[2]),
        coarse,
    )


def feature_bytes(model: FrameSegmenter, itemsize: int = STORED_DTYPE.itemsize) -> int:
    """Bytes of one frame's features at ``itemsize`` bytes a value; 8.4 MB in the store at 1024 px."""
    return itemsize * sum(channels * height * width for channels, height, width in feature_shapes(model))


def _encoder_weights(model: FrameSegmenter) -> dict[str, Any]:
    weights = {f"image_encoder.{name}": tensor for name, tensor in model.image_encoder.state_dict().items()}
    if model.use_high_res_features_in_sam:
        for name in ("conv_s0", "conv_s1"):
            part = getattr(model.sam_mask_decoder, name)
            weights |= {f"{name}.{key}": tensor for key, tensor in part.state_dict().items()}
    return weights


def _encoder_options(model: FrameSegmenter) -> list[Any]:
    """What the parts of the encoder are and how they were set up, where weights do not show it (windows, strides)."""
    options: list[Any] = [model.num_feature_levels, model.backbone_stride]
    for name, module in model.image_encoder.named_modules():
        plain = {
            key: list(value) if isinstance(value, tuple | list) else value
            for key, value in sorted(vars(module).items())
            if not key.startswith("_") and key != "training" and _is_plain(value)
        }
        options.append([name, type(module).__name__, plain])
    return options


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(isinstance(item, _PLAIN_TYPES) for item in value)
    return isinstance(value, _PLAIN_TYPES)


def _fingerprint(weights: dict[str, Any]) -> list[Any]:
    """What is quick to compare: where weights lie, how often they were written to, and one value of each.

    The value shows what neither of the others does: writing through ``parameter.data``, or memory that was reused.
    """
    import torch

    # inference tensors count no writes; they cannot be trained either
    places = [(tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version) for tensor in weights.values()]
    values = [tensor.reshape(-1)[tensor.numel() // 2].float() for tensor in weights.values() if tensor.numel()]
    return [places, torch.stack(values).tolist()]


def _raw_bytes(tensor: Any) -> memoryview:
    import torch

    # as bytes: numpy has no bfloat16
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return memoryview(flat.numpy())
