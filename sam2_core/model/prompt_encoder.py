"""The prompt encoder: points, boxes and masks as embeddings (Kirillov et al. 2023, arXiv:2304.02643, app. A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.model.layers import LayerNorm2d
from sam2_core.model.position_encoding import PositionEmbeddingRandom, TableCache


class PromptEncoder(nn.Module):
    """Embeddings of prompts.

    Parameters
    ----------
    embed_dim : int
    image_embedding_size : (int, int)
        Height and width of the image embedding.
    input_image_size : (int, int)
        Height and width of the model's input, pixels.
    mask_in_chans : int
        Channels inside the mask branch.
    activation : type of nn.Module
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: Sequence[int],
        input_image_size: Sequence[int],
        mask_in_chans: int,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.input_image_size = (int(input_image_size[0]), int(input_image_size[1]))
        self.image_embedding_size = (int(image_embedding_size[0]), int(image_embedding_size[1]))
        self.mask_input_size = (4 * self.image_embedding_size[0], 4 * self.image_embedding_size[1])
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        self.num_point_embeddings = 4
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, embed_dim) for _ in range(self.num_point_embeddings))
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            activation(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            activation(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embed_dim)
        self._cache = TableCache(4)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the embeddings."""
        return self.no_mask_embed.weight.dtype

    def get_dense_pe(self) -> Tensor:
        """Return the position encoding of the image embedding: (1, C, h, w)."""
        table: Tensor = self.pe_layer(self.image_embedding_size)
        if torch.compiler.is_compiling() or table.is_inference():
            return table.to(self.dtype)[None]
        cast: Tensor = self._cache.get((table.data_ptr(), self.dtype), lambda: (table, table.to(self.dtype)[None]))[1]
        return cast

    def _kinds(self) -> list[Tensor]:
        """Embeddings of background, object, and a box's two corners, (1, C) each."""
        return [embedding.get_parameter("weight") for embedding in self.point_embeddings]

    def _embed_points(self, points: Tensor, labels: Tensor, pad: bool) -> Tensor:
        if pad:
            points = F.pad(points, (0, 0, 0, 1))
            labels = F.pad(labels, (0, 1), value=-1)
        # Half a pixel: coordinates name pixels, encodings name places.
        encoded = self.pe_layer.forward_with_coords(points.float() + 0.5, self.input_image_size)
        encoded = encoded * (labels >= 0).unsqueeze(-1)
        kinds = torch.cat([self.not_a_point_embed.weight, *self._kinds()])
        return encoded + F.embedding(labels.long() + 1, kinds)

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        corners = self.pe_layer.forward_with_coords(boxes.float().view(-1, 2, 2) + 0.5, self.input_image_size)
        kinds = torch.cat(self._kinds()[2:])
        return corners + kinds

    def _batch_size(self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None) -> int:
        for prompt in (None if points is None else points[0], boxes, masks):
            if prompt is not None:
                return prompt.shape[0]
        return 1

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embed prompts.

        Parameters
        ----------
        points : tuple of Tensor (B, N, 2) and Tensor (B, N), optional
            (x, y) in input pixels; labels 1 object, 0 background, 2 and 3 box corners, -1 padding.
        boxes : Tensor (B, 4), optional
            x0, y0, x1, y1 in input pixels.
        masks : Tensor (B, 1, 4 h, 4 w), optional
            Logits on the mask grid.

        Returns
        -------
        sparse : Tensor (B, N', C)
            Points (with a padding point where there are no boxes), then box corners.
        dense : Tensor (B, C, h, w)
        """
        batch = self._batch_size(points, boxes, masks)
        parts: list[Tensor] = []
        if points is not None:
            parts.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            parts.append(self._embed_boxes(boxes))
        if parts:
            sparse = torch.cat(parts, dim=1).to(self.dtype)
        else:
            sparse = self.no_mask_embed.weight.new_empty(batch, 0, self.embed_dim)
        if masks is not None:
            dense = self.mask_downscaling(masks.to(self.dtype).contiguous(memory_format=torch.channels_last))
        else:
            dense = self.no_mask_embed.weight.view(1, -1, 1, 1).expand(batch, -1, *self.image_embedding_size)
        return sparse, dense
