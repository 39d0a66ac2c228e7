"""The mask decoder's transformer (Kirillov et al. 2023, arXiv:2304.02643, app. A): tokens and image exchange."""

from __future__ import annotations

from torch import Tensor, nn

from sam2_core.model.attention import Attention, TokenImageAttention
from sam2_core.model.layers import MLP


class TwoWayAttentionBlock(nn.Module):
    """Self-attention of tokens, tokens to image, an MLP on tokens, image to tokens."""

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int = 2048,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
        skip_first_layer_pe: bool = False,
    ) -> None:
        super().__init__()
        self.self_attn = Attention(embedding_dim, num_heads)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.cross_attn_token_to_image = TokenImageAttention(embedding_dim, num_heads, attention_downsample_rate)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mlp = MLP(embedding_dim, mlp_dim, embedding_dim, num_layers=2, activation=activation)
        self.norm3 = nn.LayerNorm(embedding_dim)
        self.norm4 = nn.LayerNorm(embedding_dim)
        self.cross_attn_image_to_token = TokenImageAttention(embedding_dim, num_heads, attention_downsample_rate)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Update tokens ``queries`` (B, N, C) and pixels ``keys`` (B or 1, P, C), given their encodings."""
        if self.skip_first_layer_pe:
            queries = self.norm1(self.self_attn(queries, queries, queries))
        else:
            placed = queries + query_pe
            queries = self.norm1(queries + self.self_attn(placed, placed, queries))
        keys_placed = keys + key_pe
        found = self.cross_attn_token_to_image.tokens_to_image(queries + query_pe, keys_placed, keys)
        queries = self.norm2(queries + found)
        queries = self.norm3(queries + self.mlp(queries))
        keys = self.cross_attn_image_to_token.image_to_tokens(keys_placed, queries + query_pe, queries, keys)
        return queries, self.norm4(keys)


class TwoWayTransformer(nn.Module):
    """Blocks of two-way attention and a last look of the tokens at the image.

    Parameters
    ----------
    depth : int
        Number of blocks.
    embedding_dim, num_heads, mlp_dim : int
    activation : type of nn.Module
        Of the MLPs.
    attention_downsample_rate : int
        How much narrower the attention between tokens and image is inside.
    """

    def __init__(
        self,
        depth: int,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(
                embedding_dim, num_heads, mlp_dim, activation, attention_downsample_rate, skip_first_layer_pe=index == 0
            )
            for index in range(depth)
        )
        self.final_attn_token_to_image = TokenImageAttention(embedding_dim, num_heads, attention_downsample_rate)
        self.norm_final_attn = nn.LayerNorm(embedding_dim)

    def forward(self, image_embedding: Tensor, image_pe: Tensor, point_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Let tokens and image exchange what they know.

        Parameters
        ----------
        image_embedding : Tensor (B or 1, C, h, w)
            One image may serve all B sets of tokens: what depends on it alone is then computed once.
        image_pe : Tensor (1, C, h, w)
        point_embedding : Tensor (B, N, C)

        Returns
        -------
        tokens : Tensor (B, N, C)
        pixels : Tensor (B, h * w, C)
        """
        keys = image_embedding.flatten(2).transpose(1, 2)
        key_pe = image_pe.flatten(2).transpose(1, 2)
        queries = point_embedding
        for layer in self.layers:
            queries, keys = layer(queries, keys, point_embedding, key_pe)
        found = self.final_attn_token_to_image.tokens_to_image(queries + point_embedding, keys + key_pe, keys)
        return self.norm_final_attn(queries + found), keys
