"""The built-in metrics."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Metric, hookimpl


@hookimpl
def sam2_metrics() -> Iterable[Metric]:
    """List them."""
    # numpy can wait until somebody measures
    from sam2_core.builtin import label_overlap as overlap

    return [
        Metric("object-iou", "mean IoU of the objects, each through the whole stack", measure=overlap.object_iou),
        Metric("foreground-iou", "IoU of everything that is not background", measure=overlap.foreground_iou),
    ]
