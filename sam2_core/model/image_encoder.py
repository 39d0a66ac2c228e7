"""The image encoder: a trunk and a feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model.position_encoding import PositionEmbeddingSine
from sam2_core.model.results import ImageFeatures


class FpnNeck(nn.Module):
    """Feature pyramid (Lin et al. 2017, arXiv:1612.03144) with no output convolutions.

    Parameters
    ----------
    position_encoding : PositionEmbeddingSine
    d_model : int
        Channels of every level.
    backbone_channel_list : sequence of int
        Channels of the trunk's stages, coarsest first.
    kernel_size, stride, padding : int
        Of the lateral convolutions.
    fpn_interp_model : str
        How a coarser level is enlarged: "nearest", "bilinear", "bicubic".
    fuse_type : str
        "sum" or "avg" of lateral and top-down features.
    fpn_top_down_levels : sequence of int, optional
        Levels (0 is the finest) that receive top-down features; all by default.
    """

    def __init__(
        self,
        position_encoding: PositionEmbeddingSine,
        d_model: int,
        backbone_channel_list: Sequence[int],
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        fpn_interp_model: str = "bilinear",
        fuse_type: str = "sum",
        fpn_top_down_levels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if fuse_type not in ("sum", "avg"):
            raise ConfigError(f"fuse_type must be 'sum' or 'avg', got {fuse_type!r}")
        self.position_encoding = position_encoding
        self.d_model = d_model
        self.backbone_channel_list = list(backbone_channel_list)
        self.convs = nn.ModuleList()
        for channels in self.backbone_channel_list:
            level = nn.Sequential()
            level.add_module("conv", nn.Conv2d(channels, d_model, kernel_size, stride, padding))
            self.convs.append(level)
        self.fpn_interp_model = fpn_interp_model
        self.fuse_type = fuse_type
        levels = range(len(self.convs)) if fpn_top_down_levels is None else fpn_top_down_levels
        self.fpn_top_down_levels = list(levels)

    def _enlarge(self, x: Tensor) -> Tensor:
        if self.fpn_interp_model == "nearest":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        enlarged = F.interpolate(x.float(), scale_factor=2.0, mode=self.fpn_interp_model, align_corners=False)
        return enlarged.to(x.dtype)

    def _lateral(self, level: int) -> nn.Conv2d:
        lateral = self.convs[len(self.convs) - 1 - level].get_submodule("conv")
        if not isinstance(lateral, nn.Conv2d):
            raise ConfigError(f"level {level} of the neck has no lateral convolution")
        return lateral

    def forward(
        self, xs: Sequence[Tensor], projections: Mapping[int, nn.Conv2d] | None = None, skip: int = 0
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Build the pyramid.

        Parameters
        ----------
        xs : sequence of Tensor (B, C_s, H_s, W_s)
            The trunk's features, finest first.
        projections : mapping of int to nn.Conv2d, optional
            1x1 convolutions to apply to levels. Where such a level has no top-down features its two convolutions are
            one product of their weights, and the wide map between them is never made.
        skip : int
            Number of coarsest levels to compute but not return.

        Returns
        -------
        features, positions : list of Tensor (B, d_model or projected, H_s, W_s)
        """
        projections = projections or {}
        count = len(self.convs)
        features: list[Tensor] = []
        positions: list[Tensor] = []
        above: Tensor | None = None
        for level in reversed(range(count)):
            lateral = self._lateral(level)
            takes = level in self.fpn_top_down_levels and above is not None
            gives = level - 1 in self.fpn_top_down_levels and level > 0
            projection = projections.get(level)
            one_by_one = projection is not None and lateral.kernel_size == (1, 1) and lateral.stride == (1, 1)
            if projection is not None and one_by_one and not takes and not gives:
                out = _conv_of_conv(xs[level], lateral, projection)
            else:
                above_here = above
                above = lateral(xs[level])
                if takes and above_here is not None:
                    above = above + self._enlarge(above_here)
                    if self.fuse_type == "avg":
                        above = above / 2
                out = above if projection is None else projection(above)
            if level < count - skip:
                features.append(out)
                positions.append(self._position(xs[level], level))
        return features[::-1], positions[::-1]

    def _position(self, x: Tensor, level: int) -> Tensor:
        lateral = self._lateral(level)
        kernel, stride = lateral.kernel_size[0], lateral.stride[0]
        padding = lateral.padding[0] if isinstance(lateral.padding, tuple) else 0
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[-2:])
        table = self.position_encoding.grid(height, width, x.device, x.dtype)
        return table.expand(x.shape[0], -1, -1, -1)


def _conv_of_conv(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Apply two 1x1 convolutions to ``x`` (B, C, H, W) as the one they amount to."""
    outer = second.weight.flatten(1).float()
    weight = outer @ first.weight.flatten(1).float()
    bias = None
    if first.bias is not None:
        bias = outer @ first.bias.float()
    if second.bias is not None:
        bias = second.bias.float() if bias is None else bias + second.bias.float()
    weight = weight.to(x.dtype)
    bias = None if bias is None else bias.to(x.dtype)
    return F.linear(x.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


class ImageEncoder(nn.Module):
    """Trunk and neck; the ``scalp`` coarsest levels are not returned.

    Raises
    ------
    ConfigError
        The trunk's channels are not those the neck expects.
    """

    def __init__(self, trunk: nn.Module, neck: FpnNeck, scalp: int = 0) -> None:
        super().__init__()
        self.trunk = trunk
        self.neck = neck
        self.scalp = scalp
        channels = list(trunk.channel_list)  # type: ignore[arg-type]
        if channels != neck.backbone_channel_list:
            raise ConfigError(
                f"the trunk's channels {channels} are not the neck's backbone_channel_list {neck.backbone_channel_list}"
            )

    def forward(self, sample: Tensor, projections: Mapping[int, nn.Conv2d] | None = None) -> ImageFeatures:
        """Encode images (B, 3, H, W); ``projections`` as in :meth:`FpnNeck.forward`."""
        features, positions = self.neck(self.trunk(sample), projections, self.scalp)
        return ImageFeatures(tuple(features), tuple(positions))


def check_input_size(images: Tensor, multiple: int = 32) -> None:
    """Refuse images (B, 3, H, W) whose sides the encoder cannot halve often enough."""
    height, width = images.shape[-2:]
    if images.ndim != 4 or images.shape[1] != 3 or height % multiple or width % multiple or 0 in images.shape:
        raise InvalidInputError(
            f"expected images of shape (B, 3, H, W) with H and W multiples of {multiple}, got {tuple(images.shape)}"
        )
