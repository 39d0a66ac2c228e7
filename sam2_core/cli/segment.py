"""``sam2 segment``: clicked or boxed objects in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output
from sam2_core.cli.merged_labels import MergedLabels
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompt_sources import PromptSources
from sam2_core.cli.prompts import ObjectPrompts
from sam2_core.cli.prompts.label_image import LabelPrompt
from sam2_core.cli.results import ResultFolder, prompts_on
from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames


def segment(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG, TIFF, …; or a stack or video, with --frame.")],
    point: options.Points = None,
    box: options.Boxes = None,
    prompts: options.PromptsFile = None,
    same_object: options.SameObject = False,
    prompts_from_labels: options.LabelsFile = None,
    label_prompts: options.LabelPrompts = LabelPrompt.BOX,
    frame: Annotated[int, typer.Option(help="Which frame of a stack or video.")] = 0,
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
    """Segment objects in a picture.

    Leaves labels.tif (uint16, 0 is background), overlay.png and objects.csv. Where masks overlap, the surer one has the
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
    with open_frames(
        image,
        axis=axis,
        at=options.parse_positions(at),
        channels=options.parse_channels(channels),
        contrast=options.parse_contrast(contrast),
    ) as stack:
        stack.read_raw(frame)  # says which frames there are, if not this one
        objects = sources.known(stack, default_frame=frame)
        picture = _single_frame(stack, frame, objects)
        folder = ResultFolder.made(output_folder)
        segment_picture(picture, objects, folder, checkpoint, device, precision, image_size)


def segment_picture(
    picture: FrameStack,
    objects: list[ObjectPrompts],
    folder: ResultFolder,
    checkpoint: str,
    device: str,
    precision: str,
    image_size: int | None,
) -> None:
    """Segment the objects in a stack of one frame, write the results and say what was found."""
    from sam2_core.cli.models import load_predictor
    from sam2_core.cli.segmentation import segment_objects

    model = load_predictor(checkpoint, device, precision, image_size)
    table = ObjectTable()
    with MergedLabels(folder.labels, 1, picture.frame_size) as labels:
        for found in segment_objects(model, picture.read(0), prompts_on(objects, 0)):
            labels.merge(0, [found.object_id], found.logits[None])
            table.score(0, [found.object_id], [found.predicted_iou], [found.object_score])
        folder.write(picture, labels, table, [one.object_id for one in objects], objects)
    for row in table.rows:
        output.print(
            f"object {row.object_id}: {row.area} pixels, predicted IoU {row.predicted_iou:.2f}, "
            f"present {row.object_score:.2f}"
        )
    missing = {one.object_id for one in objects} - {row.object_id for row in table.rows}
    for object_id in sorted(missing):
        output.print(f"object {object_id}: nothing found there, or another object's mask covers it")
    folder.announce([folder.labels, folder.overlay, folder.objects])


def _single_frame(stack: FrameStack, frame: int, objects: list[ObjectPrompts]) -> FrameStack:
    if frame == 0 and len(stack) > 1 and len({index for one in objects for index in one.frames}) == 1:
        # FRAME:X,Y says as much as --frame
        frame = objects[0].first_frame
    if any(index != frame for one in objects for index in one.frames):
        raise InvalidInputError("sam2 segment looks at one frame; for prompts on several use sam2 track.")
    for one in objects:
        one.frames = {0: next(iter(one.frames.values()))}
    if len(stack) == 1:
        return stack
    picture = open_frames(stack.read(frame))
    picture.name = f"{stack.name}, frame {frame}"
    return picture
