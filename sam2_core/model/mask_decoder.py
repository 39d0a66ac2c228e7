"""The mask decoder (Kirillov et al. 2023, arXiv:2304.02643, app. A; SAM 2: arXiv:2408.00714, app. D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import InvalidInputError
from sam2_core.model.fine_features import FineFeatures
from sam2_core.model.layers import GELU, MLP, LayerNorm2d
from sam2_core.model.results import DecodedMasks
from sam2_core.model.two_way_transformer import TwoWayTransformer


@dataclass(frozen=True)
class PromptedImage:
    """Prompts and an image after they have attended to each other.

    Attributes
    ----------
    object_token, iou_token : Tensor (B, C)
    mask_tokens : Tensor (B, 4, C)
        The single mask's, then the candidates'.
    pixels : Tensor (B, h * w, C)
    grid : (int, int)
        h and w.
    """

    object_token: Tensor
    iou_token: Tensor
    mask_tokens: Tensor
    pixels: Tensor
    grid: tuple[int, int]

    def select(self, prompts: Tensor) -> PromptedImage:
        """Return some of the prompts, by a mask or indices (B,)."""
        return PromptedImage(
            self.object_token[prompts],
            self.iou_token[prompts],
            self.mask_tokens[prompts],
            self.pixels[prompts],
            self.grid,
        )


class MaskDecoder(nn.Module):
    """Masks, their predicted IoUs and the object score, from an image embedding and prompts.

    Parameters
    ----------
    transformer_dim : int
    transformer : TwoWayTransformer
    num_multimask_outputs : int
        Candidates for an ambiguous prompt, besides the single mask.
    activation : type of nn.Module
    iou_head_depth, iou_head_hidden_dim : int
    use_high_res_features : bool
        Add the encoder's maps of stride 4 and 8 while the mask is enlarged.
    iou_prediction_use_sigmoid : bool
    dynamic_multimask_via_stability : bool
        Where one mask is asked for and it is unstable, give the best of the candidates instead (evaluation only).
    dynamic_multimask_stability_delta, dynamic_multimask_stability_thresh : float
        Stability is the ratio of the areas above +delta and above -delta.
    pred_obj_scores, pred_obj_scores_mlp : bool
        Predict whether the object is there, with an MLP.
    use_multimask_token_for_obj_ptr : bool
        Return the candidates' tokens rather than the single mask's.
    """

    def __init__(
        self,
        *,
        transformer_dim: int,
        transformer: TwoWayTransformer,
        num_multimask_outputs: int = 3,
        activation: type[nn.Module] = GELU,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        use_high_res_features: bool = False,
        iou_prediction_use_sigmoid: bool = False,
        dynamic_multimask_via_stability: bool = False,
        dynamic_multimask_stability_delta: float = 0.05,
        dynamic_multimask_stability_thresh: float = 0.98,
        pred_obj_scores: bool = False,
        pred_obj_scores_mlp: bool = False,
        use_multimask_token_for_obj_ptr: bool = False,
    ) -> None:
        super().__init__()
        dim = transformer_dim
        self.transformer_dim = dim
        self.transformer = transformer
        self.num_multimask_outputs = num_multimask_outputs
        self.num_mask_tokens = num_multimask_outputs + 1
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.pred_obj_scores = pred_obj_scores
        if pred_obj_scores:
            self.obj_score_token = nn.Embedding(1, dim)
        self.use_multimask_token_for_obj_ptr = use_multimask_token_for_obj_ptr
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            activation(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            activation(),
        )
        self.use_high_res_features = use_high_res_features
        if use_high_res_features:
            self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
            self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens))
        self.iou_prediction_head = MLP(
            dim, iou_head_hidden_dim, self.num_mask_tokens, iou_head_depth, sigmoid_output=iou_prediction_use_sigmoid
        )
        if pred_obj_scores:
            self.pred_obj_score_head = MLP(dim, dim, 1, 3) if pred_obj_scores_mlp else nn.Linear(dim, 1)
        self.dynamic_multimask_via_stability = dynamic_multimask_via_stability
        self.dynamic_multimask_stability_delta = dynamic_multimask_stability_delta
        self.dynamic_multimask_stability_thresh = dynamic_multimask_stability_thresh

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features: Sequence[Tensor] | FineFeatures | None = None,
    ) -> DecodedMasks:
        """Decode masks.

        Parameters
        ----------
        image_embeddings : Tensor (B or 1, C, h, w)
        image_pe : Tensor (1, C, h, w)
        sparse_prompt_embeddings : Tensor (B, N, C)
        dense_prompt_embeddings : Tensor (B, C, h, w)
        multimask_output : bool
            Return the candidates (M = 3) rather than one mask (M = 1).
        repeat_image : bool
            The one image serves all B prompts.
        high_res_features : sequence of Tensor or FineFeatures, optional
            Maps of stride 4 and 8: (B or 1, C / 8, 4 h, 4 w) and (B or 1, C / 4, 2 h, 2 w). For several calls on one
            image, prepare them once by :meth:`fine_features`.

        Returns
        -------
        DecodedMasks

        Raises
        ------
        InvalidInputError
            Numbers of images and prompts that do not fit, or no high-resolution maps where they are used.
        """
        batch = sparse_prompt_embeddings.shape[0]
        images = image_embeddings.shape[0]
        if images != batch and not (repeat_image and images == 1):
            raise InvalidInputError(
                f"{images} image embeddings for {batch} prompts: expected as many, or one with repeat_image=True"
            )
        if self.use_high_res_features and high_res_features is None:
            raise InvalidInputError(
                "this decoder uses high-resolution features: pass high_res_features=(stride 4, stride 8)"
            )
        looked = self.look(image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings)
        masks, ious, tokens = self.draw(looked, high_res_features), self.predicted_ious(looked), looked.mask_tokens
        scores = self.object_score_logits(looked)
        pointers = tokens[:, 1:] if multimask_output and self.use_multimask_token_for_obj_ptr else tokens[:, :1]
        if multimask_output:
            masks, ious = masks[:, 1:], ious[:, 1:]
        elif self.dynamic_multimask_via_stability and not self.training:
            masks, ious = self._most_stable(masks, ious)
        else:
            masks, ious = masks[:, :1], ious[:, :1]
        return DecodedMasks(masks, ious, pointers, scores)

    def look(self, image_embeddings: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor) -> PromptedImage:
        """Let prompts and image attend to each other.

        Parameters
        ----------
        image_embeddings : Tensor (B or 1, C, h, w)
        image_pe : Tensor (1, C, h, w)
        sparse : Tensor (B, N, C)
        dense : Tensor (B, C, h, w)

        Returns
        -------
        PromptedImage
        """
        batch = sparse.shape[0]
        if image_embeddings.shape[0] == 1 and dense.stride(0) == 0:
            dense = dense[:1]
        weights = [self.iou_token.weight, self.mask_tokens.weight]
        if self.pred_obj_scores:
            weights.insert(0, self.obj_score_token.weight)
        tokens = torch.cat((torch.cat(weights).expand(batch, -1, -1), sparse), dim=1)
        tokens, pixels = self.transformer(image_embeddings + dense, image_pe, tokens)
        first = int(self.pred_obj_scores)
        return PromptedImage(
            object_token=tokens[:, 0],
            iou_token=tokens[:, first],
            mask_tokens=tokens[:, first + 1 : first + 1 + self.num_mask_tokens],
            pixels=pixels,
            grid=(image_embeddings.shape[-2], image_embeddings.shape[-1]),
        )

    def predicted_ious(self, looked: PromptedImage) -> Tensor:
        """Return the predicted IoU of each mask before any is drawn: (B, 4), the single mask first."""
        return self.iou_prediction_head(looked.iou_token)

    def object_score_logits(self, looked: PromptedImage) -> Tensor:
        """Return how sure it is that each prompt's object is there: (B, 1); 10 where the model does not say."""
        if not self.pred_obj_scores:
            return looked.iou_token.new_full((len(looked.iou_token), 1), 10.0)
        return self.pred_obj_score_head(looked.object_token)

    def draw(
        self,
        looked: PromptedImage,
        high_res_features: Sequence[Tensor] | FineFeatures | None,
        masks: slice = slice(None),
    ) -> Tensor:
        """Draw masks of prompts.

        Parameters
        ----------
        looked : PromptedImage
        high_res_features : sequence of Tensor or FineFeatures, optional
            Maps of stride 4 and 8.
        masks : slice
            Which of the mask tokens, all by default.

        Returns
        -------
        Tensor (B, M, 4 h, 4 w)
            Logits.
        """
        tokens = looked.mask_tokens[:, masks]
        networks = list(self.output_hypernetworks_mlps)[masks]
        hyper = torch.stack([network(tokens[:, index]) for index, network in enumerate(networks)], dim=1)
        fine = None
        if self.use_high_res_features and high_res_features is not None:
            given = high_res_features
            fine = given if isinstance(given, FineFeatures) else self.fine_features(given)
        return self._paint(hyper, self._upscale(looked.pixels, fine), *looked.grid)

    def fine_features(self, high_res_features: Sequence[Tensor]) -> FineFeatures:
        """Prepare the finer maps of an image for any number of calls.

        Parameters
        ----------
        high_res_features : sequence of Tensor
            Maps of stride 4 and 8: (B, C / 8, 4 h, 4 w) and (B, C / 4, 2 h, 2 w).

        Returns
        -------
        FineFeatures
            With the biases of the layers whose results they are added to. They belong to the weights as they are now.
        """
        nested = FineFeatures.nest(high_res_features)
        coarse, fine = (_four_biases(self.output_upscaling[index]) for index in (0, 3))
        return FineFeatures(nested.stride8 + coarse, nested.stride4 + fine)

    def _upscale(self, pixels: Tensor, fine: FineFeatures | None) -> Tensor:
        """Enlarge pixels (B, h * w, C) fourfold: (B, h * w * 16, C / 8), the sub-pixels of a pixel together.

        A transposed convolution of stride 2 and kernel 2 is a linear layer from a pixel to its four sub-pixels. They
        stay where they are made; only the few finished masks are brought into rows.
        """
        grow1, norm, act1, grow2, act2 = self.output_upscaling
        x = _grow(pixels, grow1, None if fine is None else fine.stride8)
        x = act1(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))  # type: ignore[arg-type]
        return act2(_grow(x, grow2, None if fine is None else fine.stride4))

    def _paint(self, hyper: Tensor, pixels: Tensor, height: int, width: int) -> Tensor:
        """Multiply mask embeddings (B, M, C) with nested pixels (B, h * w * 16, C): logits (B, M, 4 h, 4 w)."""
        logits = hyper @ pixels.transpose(1, 2)
        nested = logits.view(*logits.shape[:2], height, width, 2, 2, 2, 2)
        return _in_rows(nested).view(*logits.shape[:2], 4 * height, 4 * width)

    def _stability(self, logits: Tensor) -> Tensor:
        """Return the ratio of the areas above +delta and -delta of masks (B, M, h, w): (B, M)."""
        flat = logits.flatten(-2)
        delta = self.dynamic_multimask_stability_delta
        inner = (flat > delta).sum(-1).float()
        outer = (flat > -delta).sum(-1).float()
        return torch.where(outer > 0, inner / outer, 1.0)

    def _most_stable(self, masks: Tensor, ious: Tensor) -> tuple[Tensor, Tensor]:
        """Return the single mask (B, 1, h, w) and IoU (B, 1), the best candidate's where the single one is unstable."""
        best = ious[:, 1:].argmax(dim=-1, keepdim=True) + 1
        stable = self._stability(masks[:, :1]) >= self.dynamic_multimask_stability_thresh
        chosen = torch.where(stable, 0, best)
        return masks.take_along_dim(chosen[..., None, None], dim=1), ious.take_along_dim(chosen, dim=1)


def _in_rows(nested: Tensor) -> Tensor:
    """Bring nested pixels (B, M, h, w, 2, 2, 2, 2) into rows: (B, M, h, 2, 2, w, 2, 2), contiguous."""
    if nested.dtype == torch.float32 and not nested.requires_grad and not torch.compiler.is_compiling():
        # The last two lie together before and after: moved as one number of 64 bits, ten times as fast on a CPU.
        pairs = nested.contiguous().view(torch.float64)[..., 0]
        return pairs.permute(0, 1, 2, 4, 6, 3, 5).contiguous().view(torch.float32).unflatten(-1, (-1, 2))
    return nested.permute(0, 1, 2, 4, 6, 3, 5, 7).contiguous()


def _four_biases(layer: nn.Module) -> Tensor:
    """Bias of a pixel's four sub-pixels: (4 C_out,)."""
    bias: Tensor = layer.bias  # type: ignore[assignment]
    return bias.repeat(4)


def _grow(x: Tensor, layer: nn.Module, sub_pixels: Tensor | None) -> Tensor:
    """Turn each of ``x`` (B, P, C) into its four sub-pixels (B, 4 P, C_out).

    Where ``sub_pixels`` (B or 1, P, 4 C_out) are given, they are added in place of the layer's bias.
    """
    weight: Tensor = layer.weight.permute(0, 2, 3, 1).flatten(1)  # type: ignore[operator]
    batch, count, _ = x.shape
    if sub_pixels is None:
        grown = F.linear(x, weight.t(), _four_biases(layer))
    else:
        # One pass: the product is added onto a copy of what it is added to.
        grown = torch.baddbmm(sub_pixels.expand(batch, -1, -1), x, weight.expand(batch, -1, -1))
    return grown.view(batch, 4 * count, -1)
