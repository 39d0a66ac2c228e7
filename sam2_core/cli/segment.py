"""``sam2 segment``: prompted objects in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompt_sources import PromptSources
from sam2_core.cli.prompts import ObjectPrompts
from sam2_core.cli.prompts.label_image import LabelPrompt
from sam2_core.cli.results import Results, prompts_on
from sam2_core.cli.stack_choice import StackChoice
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import FilterChain
from sam2_core.volumes.frame_stack import FrameStack


def segment(
    image: options.ImageSource,
    point: options.Points = None,
    box: options.Boxes = None,
    prompts: options.PromptsFile = None,
    same_object: options.SameObject = False,
    prompts_from_labels: options.LabelsFile = None,
    label_prompts: options.LabelPrompts = LabelPrompt.BOX,
    frame: Annotated[int, typer.Option(help="Which frame of a stack or video.")] = 0,
    output_folder: options.OutputPath = Path("sam2_result"),
    format: options.LabelFormatOption = None,
    filter: options.Filters = None,
    embeddings: options.Embeddings = True,
    overwrite: options.Overwrite = False,
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
    """Segment objects in a picture.

    Planes much larger than the model's input are looked at through tiles. Leaves labels (labels.tif, or what -o
    and --format say; 0 is background), overlay.png and objects.csv. Where masks overlap, the surer one has the
    pixel.

    Example: sam2 segment nuclei.tif --point 120,80 --point 200,64 --point 205,60:0 -o result
    """
    sources = PromptSources(
        points=point or (),
        boxes=box or (),
        file=prompts,
        same_object=same_object,
        labels=prompts_from_labels,
        label_frame=frame,
        label_prompt=label_prompts,
    )
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
        objects = sources.known(stack, default_frame=frame)
        index = _only_frame(stack, frame, objects)
        results.require_apart(stack)
        results.require_free(overwrite)

        from sam2_core.cli.models import embedding_store, load_predictor
        from sam2_core.cli.segmentation import segment_frame

        model = load_predictor(checkpoint, device, precision, image_size)
        plane_labels = segment_frame(
            model, stack, index, prompts_on(objects, index), embedding_store(embeddings)
        ).filtered(filters)
        table = ObjectTable()
        results.write_plane(
            stack, index, plane_labels, table, objects, at=choice.on_frame(stack, index), overwrite=overwrite
        )
    for row in table.rows:
        output.print(
            f"object {row.object_id}: {row.area} pixels, predicted IoU {row.predicted_iou:.2f}, "
            f"present {row.object_score:.2f}"
        )
    missing = {one.object_id for one in objects} - {row.object_id for row in table.rows}
    for object_id in sorted(missing):
        output.print(f"object {object_id}: nothing found there, or another object's mask covers it")
    results.announce([results.labels, results.overlay, results.objects])


def _only_frame(stack: FrameStack, frame: int, objects: list[ObjectPrompts]) -> int:
    prompted = {index for one in objects for index in one.frames}
    if frame == 0 and len(prompted) == 1:
        # FRAME:X,Y says as much as --frame
        return prompted.pop()
    if prompted != {frame}:
        raise InvalidInputError("sam2 segment looks at one frame; for prompts on several use sam2 track.")
    return frame
