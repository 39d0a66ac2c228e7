"""The built-in models."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import ModelEntry, hookimpl


@hookimpl
def sam2_models() -> Iterable[ModelEntry]:
    """List the one that comes with the package first, then the official ones."""
    from sam2_core.checkpoints.catalogue import CATALOGUE

    return list(CATALOGUE.values())
