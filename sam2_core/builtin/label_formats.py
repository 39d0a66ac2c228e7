"""The built-in label formats."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import LabelFormat, hookimpl


@hookimpl
def sam2_label_formats() -> Iterable[LabelFormat]:
    """List them in the order in which they are asked."""
    from sam2_core.volumes.labels.built_in_formats import FORMATS

    return list(FORMATS.values())
