"""``sam2 demo``: cells tracked through a drawn stack whose truth is known, from one click each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tifffile
import typer
from numpy.typing import NDArray

from sam2_core.cli import options
from sam2_core.cli.console import messages, output, with_progress
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.cli.results import Results, prompts_on
from sam2_core.cli.tracking import TrackRules, track_objects
from sam2_core.inference.mask_depth import innermost
from sam2_core.volumes.labels import open_label_writer
from sam2_core.volumes.readers import open_volume

if TYPE_CHECKING:
    from sam2_core.training.generator import DrawnStack

FRAME_COUNT = 16
FRAME_SIZE = (224, 224)
CELL_COUNT = 8
DEFAULT_SEED = 2


def demo(
    output_folder: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results; those of an earlier demo are replaced.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed draws another stack.")] = DEFAULT_SEED,
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    image_size: options.ImageSize = None,
) -> None:
    """Show what this does on a drawn stack.

    Draws a small z-stack, tracks cells through it from one click each, and compares with the truth. Needs no
    network and no data. Leaves stack.tif, truth.tif, labels.tif, overlay.png and objects.csv.
    """
    started = time.perf_counter()
    results = Results.at(output_folder)
    results.require_free(overwrite=True)

    from sam2_core.cli.models import load_predictor
    from sam2_core.cli.segmentation import segment_objects

    drawn = draw_demo_stack(seed)
    truth = drawn.labels
    middle = len(truth) // 2
    objects = clicks_in(truth, middle, CELL_COUNT)
    frames = open_volume(drawn.image, axes="zyx").stack()
    tifffile.imwrite(results.folder / "stack.tif", drawn.image, imagej=True, metadata={"axes": "ZYX"})
    truth_path = results.folder / "truth.tif"
    with open_label_writer(truth_path, length=len(truth), frame_size=frames.frame_size, overwrite=True) as writer:
        for index, frame_truth in enumerate(truth):
            writer.write(index, frame_truth)
    model = load_predictor(checkpoint, device, precision, image_size)

    picture_ious = _picture_ious(
        segment_objects(model, frames.read(middle), prompts_on(objects, middle)), truth[middle]
    )
    output.print(
        f"One picture (slice {middle}): {len(picture_ious)} cells, one click each, mean IoU {np.mean(picture_ious):.2f}"
    )
    table = ObjectTable()
    with results.open_writer(frames, overwrite=True) as labels:
        steps = track_objects(model, frames, objects, labels, table, TrackRules(range(len(frames))))
        for _ in with_progress(steps, "Tracking", len(frames)):
            pass
        found = np.stack([labels.read(index) for index in range(len(frames))])
        for index, frame_labels in enumerate(found):
            table.measure(index, frame_labels)
        results.draw(frames, labels.read, objects)
    results.write_tables(table, [one.object_id for one in objects], by_frame=True)
    ious = {one.object_id: volume_iou(found, truth, one.object_id) for one in objects}
    output.print(f"The stack ({len(truth)} slices): the same clicks, tracked both ways")
    for object_id, iou in ious.items():
        slices = int((truth == object_id).any(axis=(1, 2)).sum())
        output.print(f"  cell {object_id:>3}, in {slices:>2} slices: IoU {iou:.2f}")
    output.print(
        f"  mean IoU over {len(ious)} cells {np.mean(list(ious.values())):.2f} (whole cells, in 3-D; 1 is perfect)"
    )
    results.announce([results.folder / "stack.tif", truth_path, results.labels, results.overlay, results.objects])
    messages.print(f"Took {time.perf_counter() - started:.0f} s. Look at {results.overlay}.")


def draw_demo_stack(seed: int) -> DrawnStack:
    """Draw the stack: nuclei of a medium size, some touching, that begin and end within it."""
    from sam2_core.training.generator import draw_stack, medium_nuclei

    population = medium_nuclei(np.random.default_rng(seed), FRAME_SIZE, radius=0.06 * min(FRAME_SIZE))
    return draw_stack(seed, frames=FRAME_COUNT, size=FRAME_SIZE, kind="z", population=population)


def clicks_in(truth: NDArray[Any], frame: int, count: int) -> list[ObjectPrompts]:
    """One click on each of the first `count` cells of a slice that are neither cut by its border nor specks.

    The click is the point of the cell farthest from its edge, where a person would click.

    Parameters
    ----------
    truth : ndarray, (z, y, x)
    frame : int
    count : int

    Returns
    -------
    list of ObjectPrompts
        With the truth's own ids.
    """
    labels = truth[frame]
    border = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
    chosen = []
    for object_id in np.unique(labels).tolist():
        mask = labels == object_id
        if object_id == 0 or object_id in border or mask.sum() < 50:
            continue
        x, y = innermost(mask)
        prompt = FramePrompt(points=[(float(x), float(y))], labels=[1])
        chosen.append(ObjectPrompts(int(object_id), {frame: prompt}))
        if len(chosen) == count:
            break
    return chosen


def volume_iou(found: NDArray[Any], truth: NDArray[Any], object_id: int) -> float:
    """Intersection over union of one object in two label arrays."""
    ours, theirs = found == object_id, truth == object_id
    return float((ours & theirs).sum() / max(1, (ours | theirs).sum()))


def _picture_ious(found: list[Any], truth: NDArray[Any]) -> list[float]:
    return [
        float(((one.logits > 0) & (truth == one.object_id)).sum() / ((one.logits > 0) | (truth == one.object_id)).sum())
        for one in found
    ]
