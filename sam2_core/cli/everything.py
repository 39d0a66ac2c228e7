"""``sam2 everything``: all objects of a picture, without a click."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from sam2_core.cli import options
from sam2_core.cli.console import output
from sam2_core.cli.finding import FoundObject, Thresholds, find_everything
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.overlay import OverlayFrame, draw_frame
from sam2_core.cli.results import ResultFolder
from sam2_core.volumes.frames import open_frames
from sam2_core.volumes.labels import open_label_writer


def everything(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, …; or a stack or video, with --frame.")],
    output_folder: options.OutputFolder = Path("sam2_result"),
    frame: Annotated[int, typer.Option(help="Which frame of a stack or video.")] = 0,
    points_per_side: options.PointsPerSide = Thresholds.points_per_side,
    min_iou: options.MinIou = Thresholds.min_iou,
    min_stability: options.MinStability = Thresholds.min_stability,
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
) -> None:
    """Segment everything in a picture.

    A grid of clicks is tried, and of their masks the good and distinct ones are kept.

    Leaves labels.tif (uint16; small objects lie on top of large ones), overlay.png and objects.csv.
    """
    with open_frames(
        image,
        axis=axis,
        at=options.parse_positions(at),
        channels=options.parse_channels(channels),
        contrast=options.parse_contrast(contrast),
    ) as stack:
        picture = stack.read(frame)
    folder = ResultFolder.made(output_folder)

    from sam2_core.cli.models import load_predictor

    model = load_predictor(checkpoint, device, precision, image_size)
    found = find_everything(model, picture, Thresholds(points_per_side, min_iou, min_stability, min_area, max_area))
    labels, table = _stacked(found, picture.shape[:2])
    table.measure(0, labels)
    with open_label_writer(folder.labels, length=1, frame_size=picture.shape[:2], overwrite=True) as writer:
        writer.write(0, labels)
    table.write_objects(folder.objects, [one.object_id for one in found])
    Image.fromarray(draw_frame(OverlayFrame(picture, labels))).save(folder.overlay)
    output.print(f"{len(found)} objects")
    folder.announce([folder.labels, folder.overlay, folder.objects])


def _stacked(found: Sequence[FoundObject], size: tuple[int, ...]) -> tuple[NDArray[np.int32], ObjectTable]:
    """Paint the masks, large ones first."""
    labels = np.zeros(size, dtype=np.int32)
    table = ObjectTable()
    for one in found:
        x0, y0, x1, y1 = one.mask.box
        labels[y0:y1, x0:x1][one.mask.crop] = one.object_id
        table.score(0, [one.object_id], [one.predicted_iou], [float("nan")])
    return labels, table
