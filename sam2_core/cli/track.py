"""``sam2 track``: clicked or boxed objects through a stack."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output
from sam2_core.cli.finding import Thresholds
from sam2_core.cli.merged_labels import MergedLabels
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompt_sources import PromptSources
from sam2_core.cli.prompts.label_image import LabelPrompt
from sam2_core.cli.results import ResultFolder
from sam2_core.volumes.frames import open_frames


class Direction(StrEnum):
    """Which way to track from the first prompted frame."""

    BOTH = "both"
    FORWARD = "forward"
    BACKWARD = "backward"


def track(
    stack: Annotated[Path, typer.Argument(help="TIFF stack, folder of pictures, or video.")],
    point: options.Points = None,
    box: options.Boxes = None,
    prompts: options.PromptsFile = None,
    same_object: options.SameObject = False,
    prompts_from_labels: options.LabelsFile = None,
    label_prompts: options.LabelPrompts = LabelPrompt.MASK,
    frame: Annotated[int | None, typer.Option(help="The frame whose objects --prompts-from-labels means.")] = None,
    everything: Annotated[
        int | None, typer.Option(metavar="FRAME", help="Track everything that is found on this frame.")
    ] = None,
    points_per_side: options.PointsPerSide = Thresholds.points_per_side,
    min_iou: options.MinIou = Thresholds.min_iou,
    min_stability: options.MinStability = Thresholds.min_stability,
    min_area: options.MinArea = Thresholds.min_area,
    max_area: options.MaxArea = Thresholds.max_area,
    frames: options.Frames = None,
    direction: Annotated[Direction, typer.Option(help="Which way from the first prompted frame.")] = Direction.BOTH,
    output_folder: options.OutputFolder = Path("sam2_result"),
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    image_size: options.ImageSize = None,
    contrast: options.ContrastOption = None,
    channels: options.Channels = None,
    axis: options.Axis = None,
    at: options.At = None,
) -> None:
    """Track objects through a stack.

    Clicked or boxed objects are followed both ways from the frame they were prompted on. Frames count from 0.
    Leaves labels.tif (uint16, axes z or t, y, x), overlay.png (a montage), objects.csv and
    objects_by_frame.csv. Where masks overlap, the surer one has the pixel.

    Example: sam2 track stack.tif --point 15:30,22 --point 15:44,40 -o result
    """
    sources = PromptSources(
        points=point or (),
        boxes=box or (),
        file=prompts,
        same_object=same_object,
        labels=prompts_from_labels,
        label_frame=frame,
        label_prompt=label_prompts,
        everything=everything,
        thresholds=Thresholds(points_per_side, min_iou, min_stability, min_area, max_area),
    )
    with open_frames(
        stack,
        axis=axis,
        at=options.parse_positions(at),
        channels=options.parse_channels(channels),
        contrast=options.parse_contrast(contrast),
    ) as opened:
        chosen = options.parse_frames(frames, len(opened))
        known = sources.known(opened, frames=chosen)
        folder = ResultFolder.made(output_folder)

        from sam2_core.cli.models import load_predictor
        from sam2_core.cli.tracking import track_objects

        predictor = load_predictor(checkpoint, device, precision, image_size)
        objects = sources.found(predictor, opened.read(everything or 0), known)
        table = ObjectTable()
        with MergedLabels(folder.labels, len(opened), opened.frame_size, axis=opened.axis) as labels:
            track_objects(predictor, opened, objects, labels, table, direction=direction.value, frames=chosen)
            folder.write(opened, labels, table, [one.object_id for one in objects], objects)
    by_object: dict[int, list[int]] = {one.object_id: [] for one in objects}
    for row in table.rows:
        by_object[row.object_id].append(row.frame)
    for object_id, found in by_object.items():
        where = f"on {len(found)} frames, {found[0]} to {found[-1]}" if found else "found on no frame"
        output.print(f"object {object_id}: {where}")
    folder.announce([folder.labels, folder.overlay, folder.objects, folder.objects_by_frame])
