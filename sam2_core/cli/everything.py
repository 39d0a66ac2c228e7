"""``sam2 everything``: all objects of a picture, without a click."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output
from sam2_core.cli.finding import Thresholds, find_everything
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.plane_labels import ObjectScores, SparseLabels
from sam2_core.cli.results import Results
from sam2_core.cli.stack_choice import StackChoice
from sam2_core.hooks import FilterChain


def everything(
    image: options.ImageSource,
    output_folder: options.OutputPath = Path("sam2_result"),
    format: options.LabelFormatOption = None,
    filter: options.Filters = None,
    embeddings: options.Embeddings = True,
    overwrite: options.Overwrite = False,
    frame: Annotated[int, typer.Option(help="Which frame of a stack or video.")] = 0,
    points_per_side: options.PointsPerSide = Thresholds.points_per_side,
    min_iou: options.MinIou = None,
    min_stability: options.MinStability = None,
    min_area: options.MinArea = Thresholds.min_area,
    max_area: options.MaxArea = Thresholds.max_area,
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    image_size: options.ImageSize = None,
    contrast: options.ContrastOption = None,
    channels: options.Channels = None,
    axis: options.Axis = None,
    at: options.At = None,
    plane: options.Plane = "yx",
    axes: options.Axes = None,
    level: options.Level = None,
    series: options.Series = None,
    strict: options.Strict = False,
    scale: options.Scale = None,
) -> None:
    """Segment everything in a picture.

    A grid of clicks is tried, and of their masks the good and distinct ones are kept; planes much larger than
    the model's input are searched tile by tile. Leaves labels (labels.tif, or what -o and --format say; small
    objects lie on top of large ones), overlay.png and objects.csv.

    Example: sam2 everything slide.ome.tif --level 1 -o slide-cells.zarr
    """
    choice = StackChoice.parsed(
        axes=axes,
        axis=axis,
        at=at,
        plane=plane,
        channels=channels,
        level=level,
        series=series,
        strict=strict,
        scale=scale,
        contrast=contrast,
    )
    results = Results.at(output_folder, format)
    filters = FilterChain.of(filter or ())
    with choice.open(image) as stack:
        options.require_frame(frame, stack)
        results.require_apart(stack)
        results.require_free(overwrite)

        from sam2_core.cli.models import embedding_store, load_predictor
        from sam2_core.cli.tracking import probability

        model = load_predictor(checkpoint, device, precision, image_size)
        thresholds = Thresholds.for_model(checkpoint, points_per_side, min_iou, min_stability, min_area, max_area)
        found = find_everything(model, stack, frame, thresholds, embedding_store(embeddings))
        labels = SparseLabels(
            stack.frame_size,
            [ObjectScores(one.object_id, one.predicted_iou, probability(one.object_score)) for one in found],
            [(one.object_id, one.mask) for one in found],
        ).filtered(filters)
        results.write_plane(stack, frame, labels, ObjectTable(), at=choice.on_frame(stack, frame), overwrite=overwrite)
    output.print(f"{len(found)} objects")
    if not found:
        output.print(
            f"No mask had a predicted IoU of {thresholds.min_iou:g} and a stability of {thresholds.min_stability:g}; "
            "lower --min-iou and --min-stability to see what there is."
        )
    results.announce([results.labels, results.overlay, results.objects])
