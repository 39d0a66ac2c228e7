"""Small layers shared by the parts of the network."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import ConfigError


class GELU(nn.GELU):
    """GELU that writes over its input where no gradient is wanted: a fresh large tensor costs more than the function.

    For tensors that nobody else holds, such as what a linear layer just returned.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to ``input`` of any shape."""
        if input.requires_grad:
            return super().forward(input)
        result: Tensor = torch.ops.aten.gelu_(input, approximate=self.approximate)
        return result


def add_onto(branch: Tensor, x: Tensor) -> Tensor:
    """Return ``x + branch``, written over ``branch`` where no gradient is wanted; nobody else may hold ``branch``."""
    return x + branch if branch.requires_grad or x.requires_grad else branch.add_(x)


class MLP(nn.Module):
    """Linear layers with an activation between them.

    Parameters
    ----------
    input_dim, hidden_dim, output_dim : int
        Channels in, between and out.
    num_layers : int
        Number of linear layers, at least 1.
    activation : type of nn.Module
        Activation between layers; none follows the last.
    sigmoid_output : bool
        Apply a sigmoid to the result.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        output_dim: int,
        num_layers: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        sigmoid_output: bool = False,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        widths = [input_dim, *[hidden_dim] * (num_layers - 1), output_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.sigmoid_output = sigmoid_output
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., input_dim) to (..., output_dim)."""
        last = self.num_layers - 1
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index < last:
                x = self.act(x)
        return x.sigmoid() if self.sigmoid_output else x


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel of ``x`` (B, C, H, W) over C."""
        # Free of copies where the map lies channels-last in memory, as all maps here do.
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """Stochastic depth: drop a residual branch for a whole sample (Huang et al. 2016, arXiv:1603.09382).

    Parameters
    ----------
    drop_prob : float
        Probability of dropping, in [0, 1). Nothing is dropped in evaluation mode.
    scale_by_keep : bool
        Divide what is kept by the probability of keeping it.
    """

    def __init__(self, drop_prob: float = 0.0, scale_by_keep: bool = True) -> None:
        super().__init__()
        self.drop_prob = drop_prob
        self.scale_by_keep = scale_by_keep

    def mask(self, count: int, like: Tensor) -> Tensor:
        """Draw a factor for each of ``count`` samples: (count,), 0 or the scale of what is kept."""
        keep = 1.0 - self.drop_prob
        drawn = like.new_empty(count).bernoulli_(keep)
        return drawn / keep if self.scale_by_keep and keep > 0.0 else drawn

    def forward(self, x: Tensor, samples: int | None = None) -> Tensor:
        """Drop samples of ``x``, whose first axis holds ``samples`` equal groups (default: one a row)."""
        if self.drop_prob == 0.0 or not self.training:
            return x
        count = x.shape[0] if samples is None else samples
        factor = self.mask(count, x).repeat_interleave(x.shape[0] // count)
        return x * factor.view(-1, *[1] * (x.ndim - 1))


def get_activation_fn(activation: str) -> Callable[[Tensor], Tensor]:
    """Return the activation function called ``activation``: "relu", "gelu" or "glu"."""
    functions: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "glu": F.glu}
    if activation not in functions:
        raise ConfigError(f"activation must be one of {sorted(functions)}, got {activation!r}")
    return functions[activation]


def get_clones(module: nn.Module, N: int) -> nn.ModuleList:  # the official name, so that it can be a keyword
    """Return ``N`` independent copies of ``module``."""
    return nn.ModuleList(copy.deepcopy(module) for _ in range(N))
