"""The network: torch in, torch out. No files, no numpy, no devices chosen here."""

from sam2_core.model.attention import Attention, RoPEAttention, TokenImageAttention
from sam2_core.model.frame_segmenter import NO_OBJ_SCORE, FrameSegmenter
from sam2_core.model.hiera import Hiera, MultiScaleAttention, MultiScaleBlock, PatchEmbed
from sam2_core.model.image_encoder import FpnNeck, ImageEncoder
from sam2_core.model.layers import MLP, DropPath, LayerNorm2d
from sam2_core.model.mask_decoder import MaskDecoder
from sam2_core.model.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2_core.model.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2_core.model.memory_selection import select_closest_cond_frames
from sam2_core.model.position_encoding import PositionEmbeddingRandom, PositionEmbeddingSine, get_1d_sine_pe
from sam2_core.model.prompt_encoder import PromptEncoder
from sam2_core.model.results import (
    DecodedMasks,
    EncodedMemory,
    FrameOutput,
    ImageFeatures,
    MemoryBank,
    PointPrompts,
)
from sam2_core.model.sam2_base import SAM2Base
from sam2_core.model.two_way_transformer import TwoWayAttentionBlock, TwoWayTransformer

__all__ = [
    "MLP",
    "NO_OBJ_SCORE",
    "Attention",
    "CXBlock",
    "DecodedMasks",
    "DropPath",
    "EncodedMemory",
    "FpnNeck",
    "FrameOutput",
    "FrameSegmenter",
    "Fuser",
    "Hiera",
    "ImageEncoder",
    "ImageFeatures",
    "LayerNorm2d",
    "MaskDecoder",
    "MaskDownSampler",
    "MemoryAttention",
    "MemoryAttentionLayer",
    "MemoryBank",
    "MemoryEncoder",
    "MultiScaleAttention",
    "MultiScaleBlock",
    "PatchEmbed",
    "PointPrompts",
    "PositionEmbeddingRandom",
    "PositionEmbeddingSine",
    "PromptEncoder",
    "RoPEAttention",
    "SAM2Base",
    "TokenImageAttention",
    "TwoWayAttentionBlock",
    "TwoWayTransformer",
    "get_1d_sine_pe",
    "select_closest_cond_frames",
]
