"""``sam2 everything``: all objects of a picture, without a click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from sam2_core.cli import options
from sam2_core.cli.console import messages, output
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.overlay import OverlayFrame, draw_frame
from sam2_core.cli.results import ResultFolder
from sam2_core.volumes.frames import open_frames
from sam2_core.volumes.labels import MAX_LABEL, open_label_writer


def everything(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, …; or a stack or video, with --frame.")],
    output_folder: options.OutputFolder = Path("sam2_result"),
    frame: Annotated[int, typer.Option(help="Which frame of a stack or video.")] = 0,
    points_per_side: Annotated[int, typer.Option(help="Clicks tried along each side of the picture.")] = 32,
    min_iou: Annotated[float, typer.Option(help="Keep masks whose predicted IoU is at least this.")] = 0.7,
    min_stability: Annotated[float, typer.Option(help="Keep masks whose edge is at least this sharp, 0 to 1.")] = 0.85,
    min_area: Annotated[int, typer.Option(help="Drop masks, and fill holes, of fewer pixels.")] = 0,
    max_area: Annotated[float, typer.Option(help="Drop masks that cover more than this part of the picture.")] = 0.5,
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
    from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator

    model = load_predictor(checkpoint, device, precision, image_size)
    generator = SAM2AutomaticMaskGenerator(
        model,
        points_per_side=points_per_side,
        pred_iou_thresh=min_iou,
        stability_score_thresh=min_stability,
        min_mask_region_area=min_area,
    )
    with messages.status("Looking everywhere …"):
        records = generator.generate(np.array(picture))
    limit = max_area * picture.shape[0] * picture.shape[1]
    kept = [record for record in records if min_area <= record["area"] <= limit][:MAX_LABEL]
    labels, table = _stacked(kept, picture.shape[:2])
    table.measure(0, labels)
    with open_label_writer(folder.labels, length=1, frame_size=picture.shape[:2], overwrite=True) as writer:
        writer.write(0, labels)
    table.write_objects(folder.objects, range(1, len(kept) + 1))
    _save(draw_frame(OverlayFrame(picture, labels)), folder)
    output.print(f"{len(kept)} objects")
    folder.announce([folder.labels, folder.overlay, folder.objects])


def _stacked(
    records: Sequence[Mapping[str, Any]], size: tuple[int, ...]
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], ObjectTable]:
    """Paint the masks, large ones first, numbered from the largest."""
    labels = np.zeros(size, dtype=np.int32)
    table = ObjectTable()
    for number, record in enumerate(sorted(records, key=lambda record: -record["area"]), start=1):
        labels[record["segmentation"]] = number
        table.score(0, number, float(record["predicted_iou"]), float("nan"))
    return labels, table


def _save(picture: np.ndarray[Any, np.dtype[np.uint8]], folder: ResultFolder) -> None:
    from PIL import Image

    Image.fromarray(picture).save(folder.overlay)
