"""``sam2 track``: objects through a stack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.byte_count import parse_bytes
from sam2_core.cli.finding import Thresholds
from sam2_core.cli.memory_budget import DEFAULT_BUDGET
from sam2_core.cli.preset import Preset
from sam2_core.cli.prompt_sources import PromptSources
from sam2_core.cli.prompts.label_image import LabelPrompt
from sam2_core.cli.propagator_option import PropagatorOption
from sam2_core.cli.results import Results
from sam2_core.cli.stack_choice import StackChoice
from sam2_core.cli.track_command import TrackCommand
from sam2_core.cli.track_plan import Direction
from sam2_core.cli.tracking import TrackRules
from sam2_core.hooks import FilterChain
from sam2_core.inference.empty_frames import EMPTY_FRAMES_ALONG_Z, empty_frames_allowed


def track(
    stack: options.StackSource,
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
    min_iou: options.MinIou = None,
    min_stability: options.MinStability = None,
    min_area: options.MinArea = Thresholds.min_area,
    max_area: options.MaxArea = Thresholds.max_area,
    frames: options.Frames = None,
    direction: Annotated[Direction, typer.Option(help="Which way from the first prompted frame.")] = Direction.BOTH,
    propagator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How objects are carried on; 'sam2 plugins list' shows the propagators."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of the propagator. May be repeated.")
    ] = None,
    stop_when_empty: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Give up an object after N empty frames in a row; 0 never does. {EMPTY_FRAMES_ALONG_Z} along z, "
            "else 0, by default.",
        ),
    ] = None,
    priority: Annotated[
        options.PriorityName, typer.Option(help="Whose a pixel is that several masks hold.")
    ] = options.PriorityName.SUREST,
    preset: Annotated[
        Preset,
        typer.Option(
            help="exact: the whole frame, as the official predictor sees it. tiles: large planes, piece by piece. "
            "crops: a window around each object. auto: tiles where the plane is much larger than the model's "
            "input, else exact."
        ),
    ] = Preset.AUTO,
    budget: Annotated[str | None, typer.Option(metavar="2GB", help="Memory to use, beside the model itself.")] = None,
    embeddings: options.Embeddings = True,
    output_folder: options.OutputPath = Path("sam2_result"),
    format: options.LabelFormatOption = None,
    filter: options.Filters = None,
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
    """Track objects through a stack.

    Clicked, boxed or otherwise prompted objects are followed both ways from the frame they were prompted on.
    Frames count from 0. Leaves labels (labels.tif, or what -o and --format say), overlay.png (a montage),
    objects.csv and objects_by_frame.csv. Stopped by Ctrl-C or killed, it goes on when the same command is
    given again.

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
        thresholds=Thresholds.for_model(checkpoint, points_per_side, min_iou, min_stability, min_area, max_area),
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
    carried_on, direction = PropagatorOption.parsed(propagator, option or (), direction)
    results = Results.at(output_folder, format)
    budget_bytes = DEFAULT_BUDGET if budget is None else parse_bytes(budget, "--budget")
    with choice.open(stack) as opened:
        limit = empty_frames_allowed("auto", opened.axis) if stop_when_empty is None else stop_when_empty or None
        rules = TrackRules(
            reach=options.parse_frames(frames, len(opened)),
            direction=direction,
            stop_when_empty=limit,
            priority=priority.value,
            filters=FilterChain.of(filter or ()),
            propagator=carried_on,
        )
        with TrackCommand(
            stack=opened,
            choice=choice,
            sources=sources,
            rules=rules,
            results=results,
            preset=preset,
            budget_bytes=budget_bytes,
            uses_embeddings=embeddings,
            overwrite=overwrite,
        ) as command:
            command.prepare()

            from sam2_core.cli.models import load_predictor

            status = command.run(load_predictor(checkpoint, device, precision, image_size), checkpoint)
    if status:
        sys.exit(status)
