"""``sam2 evaluate``: J&F of masks in folders, or a metric of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli.console import messages, output
from sam2_core.errors import InvalidInputError


def evaluate(
    labels: Annotated[str | None, typer.Argument(metavar="[LABELS]", help="Predicted labels, in any format.")] = None,
    truth: Annotated[str | None, typer.Argument(metavar="[TRUTH]", help="True labels of the same shape.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="For LABELS and TRUTH: see 'sam2 plugins list'. Repeatable."),
    ] = None,
    gt_root: Annotated[Path | None, typer.Option("--gt_root", help="Folder of true masks, a folder a video.")] = None,
    pred_root: Annotated[Path | None, typer.Option("--pred_root", help="Folder of masks, of the same layout.")] = None,
    num_processes: Annotated[int, typer.Option("--num_processes", "-n", min=1, help="Videos at the same time.")] = 16,
    strict: Annotated[bool, typer.Option("--strict", "-s", help="Refuse videos that only one folder has.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only where the results are.")] = False,
    every_frame: Annotated[
        bool,
        typer.Option("--do_not_skip_first_and_last_frame", help="Count the first and the last frame of the truth too."),
    ] = False,
) -> None:
    """Compare masks with the truth.

    Folders of PNG masks as those of DAVIS (a PNG of ids a frame) or SA-V (a folder an object) have J&F, and
    results.csv is written beside the masks. Labels of any format have the metrics that are named.

    Example: sam2 evaluate --gt_root sav_val/Annotations_6fps --pred_root masks
    """
    if gt_root is not None and pred_root is not None and labels is None:
        _folders(gt_root, pred_root, num_processes, strict, quiet, every_frame)
    elif labels is not None and truth is not None and gt_root is None and pred_root is None:
        _stacks(labels, truth, metric or ["average-precision"])
    else:
        raise InvalidInputError("Name --gt_root and --pred_root, or two label files: LABELS TRUTH.")


def _folders(truth: Path, predicted: Path, processes: int, strict: bool, quiet: bool, every_frame: bool) -> None:
    from sam2_core.evaluation.benchmark import VideoResult, benchmark

    def tell(video: VideoResult, count: int) -> None:
        for name in video.unseen:
            messages.print(f"{video.name}: object {name} is in no frame of the truth, and has no score", markup=False)
        if not quiet:
            messages.print(f"{video.name}, of {count} videos", markup=False)

    if not quiet:
        skipped = "counted too" if every_frame else "left out"
        messages.print(f"The first and the last frame are {skipped}.")
    result = benchmark(
        truth, predicted, strict=strict, processes=processes, skip_first_and_last=not every_frame, on_video=tell
    )
    if not quiet:
        output.print(result.table().replace(",", " "), end="", markup=False)
        score = result.score
        output.print(f"Global score: J&F: {score.both:.1f} J: {score.j:.1f} F: {score.f:.1f}")
    output.print(f"The results are in {result.path}", markup=False)


def _stacks(labels: str, truth: str, metrics: list[str]) -> None:
    from sam2_core.evaluation.compared_labels import ComparedLabels
    from sam2_core.hooks import Metric, get_plugins
    from sam2_core.hooks.metric import require_measures
    from sam2_core.volumes import open_labels
    from sam2_core.volumes.labels.ctc_tracks import checked_parents

    plugins = get_plugins()
    found = [plugins.find(Metric, name) for name in metrics]
    with open_labels(labels) as ours, open_labels(truth) as real:
        if len(ours) != len(real) or ours.frame_size != real.frame_size:
            raise InvalidInputError(
                f"{ours.name} has {len(ours)} frames of {ours.frame_size} (y, x), {real.name} {len(real)} of "
                f"{real.frame_size}."
            )
        parents = checked_parents(ours.metadata), checked_parents(real.metadata)
        for one in found:
            frames = ((ours.read(index), real.read(index)) for index in range(len(real)))
            compared = ComparedLabels(frames, *parents)
            measured = plugins.call(one, one.contribution.measure, compared, check=require_measures)
            for name, value in measured.items():
                output.print(f"{one.contribution.name:<20}  {name:<12}  {value:.4f}", markup=False)
