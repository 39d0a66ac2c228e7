"""The memory encoder: a frame's features and its mask become a memory (SAM 2, arXiv:2408.00714, section 4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sam2_core.errors import ConfigError
from sam2_core.model.layers import DropPath, LayerNorm2d, get_clones
from sam2_core.model.position_encoding import PositionEmbeddingSine
from sam2_core.model.results import EncodedMemory


class MaskDownSampler(nn.Module):
    """Strided convolutions that bring a mask to the stride of the features.

    Raises
    ------
    ConfigError
        ``total_stride`` is no power of ``stride``.
    """

    def __init__(
        self,
        embed_dim: int = 256,
        kernel_size: int = 4,
        stride: int = 4,
        padding: int = 0,
        total_stride: int = 16,
        activation: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        steps = round(math.log(total_stride, stride))
        if stride**steps != total_stride:
            raise ConfigError(f"total_stride {total_stride} is no power of stride {stride}")
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(steps):
            wider = channels * stride**2
            layers += [nn.Conv2d(channels, wider, kernel_size, stride, padding), LayerNorm2d(wider), activation()]
            channels = wider
        self.encoder = nn.Sequential(*layers, nn.Conv2d(channels, embed_dim, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        """Bring masks (B, 1, H, W) to (B, embed_dim, H / total_stride, W / total_stride)."""
        return self.encoder(x.contiguous(memory_format=torch.channels_last))


class CXBlock(nn.Module):
    """A ConvNeXt block (Liu et al. 2022, arXiv:2201.03545)."""

    def __init__(
        self,
        dim: int,
        kernel_size: int = 7,
        padding: int = 3,
        drop_path: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        use_dwconv: bool = True,
    ) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size, padding=padding, groups=dim if use_dwconv else 1)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(dim)) if layer_scale_init_value > 0 else None
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Pass a map (B, C, H, W) on."""
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.pwconv2(self.act(self.pwconv1(y)))
        if self.gamma is not None:
            y = self.gamma * y
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class Fuser(nn.Module):
    """Copies of a layer one after another, with an optional projection in front."""

    def __init__(
        self, layer: nn.Module, num_layers: int, dim: int | None = None, input_projection: bool = False
    ) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        self.layers = get_clones(layer, num_layers)
        if input_projection:
            if dim is None:
                raise ConfigError("input_projection needs dim, the number of channels")
            self.proj = nn.Conv2d(dim, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Pass a map (B, C, H, W) on."""
        x = self.proj(x)
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Fuse a frame's features with its mask.

    Parameters
    ----------
    out_dim : int
        Channels of a memory.
    mask_downsampler : MaskDownSampler
    fuser : Fuser
    position_encoding : PositionEmbeddingSine
    in_dim : int
        Channels of the features.
    """

    def __init__(
        self,
        out_dim: int,
        mask_downsampler: MaskDownSampler,
        fuser: Fuser,
        position_encoding: PositionEmbeddingSine,
        in_dim: int = 256,
    ) -> None:
        super().__init__()
        self.mask_downsampler = mask_downsampler
        self.pix_feat_proj = nn.Conv2d(in_dim, in_dim, kernel_size=1)
        self.fuser = fuser
        self.position_encoding = position_encoding
        self.out_proj = nn.Identity() if out_dim == in_dim else nn.Conv2d(in_dim, out_dim, kernel_size=1)

    def forward(self, pix_feat: Tensor, masks: Tensor, skip_mask_sigmoid: bool = False) -> EncodedMemory:
        """Encode a memory.

        Parameters
        ----------
        pix_feat : Tensor (B, C, H / 16, W / 16)
            The frame's features, before they looked at memory.
        masks : Tensor (B, 1, H, W)
            Logits, or what stands for them with ``skip_mask_sigmoid``.

        Returns
        -------
        EncodedMemory
        """
        if not skip_mask_sigmoid:
            masks = masks.sigmoid()
        x = self.pix_feat_proj(pix_feat) + self.mask_downsampler(masks.to(pix_feat.dtype))
        x = self.out_proj(self.fuser(x))
        return EncodedMemory(x, self.position_encoding(x))
