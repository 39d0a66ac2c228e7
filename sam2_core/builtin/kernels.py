"""The built-in kernels."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Kernel, hookimpl


@hookimpl
def sam2_kernels() -> Iterable[Kernel]:
    """List them by operator and device."""
    # they bring torch
    from sam2_core.kernels.connected_components import OPERATOR, label_anywhere, label_on_cuda

    return [
        Kernel(
            "cc3d",
            "connected components by connected-components-3d",
            operator=OPERATOR,
            device="cpu",
            function=label_anywhere,
        ),
        Kernel(
            "block-union-find",
            "connected components by union-find on blocks of 2 x 2 pixels",
            operator=OPERATOR,
            device="cuda",
            function=label_on_cuda,
        ),
    ]
