"""The built-in kinds of labelled data."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import DatasetKind, hookimpl


@hookimpl
def sam2_datasets() -> Iterable[DatasetKind]:
    """List them."""
    # they bring numpy
    from sam2_core.builtin.drawn_stacks import open_drawn_stacks

    return [DatasetKind("drawn-stacks", "a pool of stacks that the generator drew", open=open_drawn_stacks)]
