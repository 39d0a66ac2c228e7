"""The built-in metrics."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Metric, hookimpl


@hookimpl
def sam2_metrics() -> Iterable[Metric]:
    """List them."""
    # numpy can wait until somebody measures
    from sam2_core.builtin import label_overlap as overlap
    from sam2_core.evaluation.average_precision import average_precision
    from sam2_core.evaluation.cell_tracking import detection_score, segmentation_score
    from sam2_core.evaluation.tracking_score import tracking_score
    from sam2_core.evaluation.video_scores import j_and_f

    return [
        Metric("object-iou", "mean IoU of the objects, each through the whole stack", measure=overlap.object_iou),
        Metric("foreground-iou", "IoU of everything that is not background", measure=overlap.foreground_iou),
        Metric("j-and-f", "J&F of DAVIS and SA-V, in percent; numbers mean the same object in both", measure=j_and_f),
        Metric("average-precision", "AP of instances at IoU 0.5 to 0.95", measure=average_precision),
        Metric("seg", "SEG of the Cell Tracking Challenge", measure=segmentation_score),
        Metric("det", "DET of the Cell Tracking Challenge", measure=detection_score),
        Metric("tra", "TRA of the Cell Tracking Challenge, divisions included", measure=tracking_score),
    ]
