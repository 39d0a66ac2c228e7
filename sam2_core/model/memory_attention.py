"""Memory attention: a frame looks back at remembered frames (SAM 2, arXiv:2408.00714, section 4 and app. D)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from sam2_core.errors import InvalidInputError
from sam2_core.model.attention import Attention, RoPEAttention
from sam2_core.model.layers import get_activation_fn, get_clones


class MemoryAttentionLayer(nn.Module):
    """Self-attention, cross-attention to memory, and a feed-forward network, each behind a norm.

    Parameters
    ----------
    activation : str
        "relu", "gelu" or "glu".
    cross_attention, self_attention : Attention
    d_model, dim_feedforward : int
    dropout : float
    pos_enc_at_attn, pos_enc_at_cross_attn_keys, pos_enc_at_cross_attn_queries : bool
        Where position encodings are added.
    """

    def __init__(
        self,
        activation: str,
        cross_attention: Attention,
        d_model: int,
        dim_feedforward: int,
        dropout: float,
        pos_enc_at_attn: bool,
        pos_enc_at_cross_attn_keys: bool,
        pos_enc_at_cross_attn_queries: bool,
        self_attention: Attention,
    ) -> None:
        super().__init__()
        self.d_model = d_model
        self.dim_feedforward = dim_feedforward
        self.dropout_value = dropout
        self.self_attn = self_attention
        self.cross_attn_image = cross_attention
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)
        self.dropout3 = nn.Dropout(dropout)
        self.activation_str = activation
        self.activation = get_activation_fn(activation)
        self.pos_enc_at_attn = pos_enc_at_attn
        self.pos_enc_at_cross_attn_keys = pos_enc_at_cross_attn_keys
        self.pos_enc_at_cross_attn_queries = pos_enc_at_cross_attn_queries

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        pos: Tensor,
        query_pos: Tensor,
        num_k_exclude_rope: int = 0,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Update a frame's tokens ``tgt`` (B, N, C) from ``memory`` (B, M, C_mem), given their encodings."""
        tgt = self.look_around(tgt, query_pos, grid)
        return self.look_back(tgt, memory, pos, query_pos, num_k_exclude_rope, grid)

    def look_around(self, tgt: Tensor, query_pos: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Do the part of the layer before memory: self-attention."""
        normed = self.norm1(tgt)
        placed = normed + query_pos if self.pos_enc_at_attn else normed
        return tgt + self.dropout1(self.self_attn(placed, placed, normed, **self._where(self.self_attn, 0, grid)))

    def look_back(
        self,
        tgt: Tensor,
        memory: Tensor,
        pos: Tensor,
        query_pos: Tensor,
        num_k_exclude_rope: int = 0,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Do the rest of the layer: attention to memory, and the feed-forward network."""
        normed = self.norm2(tgt)
        query = normed + query_pos if self.pos_enc_at_cross_attn_queries else normed
        key = memory + pos if self.pos_enc_at_cross_attn_keys else memory
        where = self._where(self.cross_attn_image, num_k_exclude_rope, grid)
        tgt = tgt + self.dropout2(self.cross_attn_image(query, key, memory, **where))
        hidden = self.dropout(self.activation(self.linear1(self.norm3(tgt))))
        return tgt + self.dropout3(self.linear2(hidden))

    @staticmethod
    def _where(attention: Attention, unplaced: int, grid: tuple[int, int] | None) -> dict[str, object]:
        if isinstance(attention, RoPEAttention):
            return {"num_k_exclude_rope": unplaced, "grid": grid}
        return {}


class MemoryAttention(nn.Module):
    """A stack of memory attention layers.

    Parameters
    ----------
    d_model : int
    pos_enc_at_input : bool
        Add a tenth of the frame's position encoding at the start.
    layer : MemoryAttentionLayer
        Copied ``num_layers`` times.
    num_layers : int
    batch_first : bool
        Accepted for configurations written for the official code; tensors here are always batch first.
    """

    def __init__(
        self,
        d_model: int,
        pos_enc_at_input: bool,
        layer: MemoryAttentionLayer,
        num_layers: int,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        self.d_model = d_model
        self.layers = get_clones(layer, num_layers)
        self.num_layers = num_layers
        self.norm = nn.LayerNorm(d_model)
        self.pos_enc_at_input = pos_enc_at_input
        self.batch_first = batch_first

    def forward(
        self,
        curr: Tensor,
        memory: Tensor,
        curr_pos: Tensor,
        memory_pos: Tensor,
        num_obj_ptr_tokens: int = 0,
        grid: tuple[int, int] | None = None,
        opening: Tensor | None = None,
    ) -> Tensor:
        """Condition a frame's features on memory.

        Parameters
        ----------
        curr, curr_pos : Tensor (B, N, C)
            The frame's tokens in row-major order, and their position encoding.
        memory, memory_pos : Tensor (B, M, C_mem)
            Remembered frames one after another, then ``num_obj_ptr_tokens`` object pointer tokens.
        grid : (int, int), optional
            Height and width of the frame's tokens; a square by default.
        opening : Tensor (B, N, C), optional
            What :meth:`opening` returned for the frame, where it is known.

        Returns
        -------
        Tensor (B, N, C)

        Raises
        ------
        InvalidInputError
            Batches of different size.
        """
        if curr.shape[0] != memory.shape[0]:
            raise InvalidInputError(f"batch sizes of frame and memory differ: {curr.shape[0]} and {memory.shape[0]}")
        x = self.opening(curr, curr_pos, grid) if opening is None else opening
        for index, module in enumerate(self.layers):
            layer = cast(MemoryAttentionLayer, module)
            if index:
                x = layer.look_around(x, curr_pos, grid)
            x = layer.look_back(x, memory, memory_pos, curr_pos, num_obj_ptr_tokens, grid)
        return self.norm(x)

    def opening(self, curr: Tensor, curr_pos: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Do what comes before any memory is looked at, and so is the same for all objects of a frame: (B, N, C)."""
        x = curr + 0.1 * curr_pos if self.pos_enc_at_input else curr
        return cast(MemoryAttentionLayer, self.layers[0]).look_around(x, curr_pos, grid)
