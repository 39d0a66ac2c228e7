"""J&F over folders of PNG masks, with the rules, options and results file of the evaluator of SA-V.

Two layouts: a folder a video with one PNG of ids a frame (DAVIS), or a folder a video, in it one an object, with one
mask a frame (SA-V).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.evaluation.video_scores import FrameScores, Score, VideoScores, mean_score
from sam2_core.volumes.labels.label_picture import read_label_picture

RESULTS = "results.csv"


@dataclass(frozen=True)
class VideoResult:
    """The objects of a video.

    Attributes
    ----------
    name : str
    objects : mapping of int or str to Score
        By number, or by the name of the object's folder.
    unseen : tuple of str
        Folders of objects that are in no frame of the truth: they have no score.
    """

    name: str
    objects: Mapping[int, Score] | Mapping[str, Score]
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchmarkResult:
    """What came of a benchmark.

    Attributes
    ----------
    score : Score
        Mean over all objects of all videos.
    videos : tuple of VideoResult
    path : Path
        Of the results file.
    """

    score: Score
    videos: tuple[VideoResult, ...]
    path: Path

    def table(self) -> str:
        """The results as the file holds them."""
        width = max(len("Global score"), *(len(video.name) for video in self.videos))
        lines = [
            f"{'sequence':<{width}},{'obj':>3}, {'J&F':>4}, {'J':>4}, {'F':>4}",
            f"{'Global score':<{width}},{'':>3}, {self.score.both:.1f}, {self.score.j:.1f}, {self.score.f:.1f}",
        ]
        for video in self.videos:
            for name, score in video.objects.items():
                lines.append(f"{video.name:<{width}},{name:03}, {score.both:>4.1f}, {score.j:>4.1f}, {score.f:>4.1f}")
        return "\n".join([*lines, ""])


def benchmark(
    truth: Path,
    predicted: Path,
    *,
    strict: bool = False,
    processes: int = 16,
    skip_first_and_last: bool = True,
    on_video: Callable[[VideoResult, int], None] | None = None,
) -> BenchmarkResult:
    """Compare all videos of two folders, and write ``results.csv`` into that of the predictions.

    Parameters
    ----------
    truth, predicted : Path
        Of the same layout. In place of a data set's ``Annotations`` its root may be given.
    strict : bool
        Refuse videos that only one of them has; otherwise those that both have are compared.
    processes : int
        Videos that are compared at the same time.
    skip_first_and_last : bool
        Leave out the first and the last frame of the truth, as is usual where the first is given.
    on_video : callable, optional
        Told each video's result as it comes, and how many there are.

    Returns
    -------
    BenchmarkResult

    Raises
    ------
    MissingFileError
        A folder or a predicted frame is missing.
    InvalidInputError
        The folders differ and `strict` was asked for, or nothing can be compared; a mask of another size.
    """
    if processes < 1:
        raise InvalidInputError(f"At least one process is needed; got {processes}.")
    truth, names = _videos(truth, predicted, strict)
    jobs = [(truth / name, predicted / name, skip_first_and_last) for name in names]
    found = []
    for video in _results(jobs, processes):
        found.append(video)
        if on_video is not None:
            on_video(video, len(names))
    score = mean_score(one for each in found for one in each.objects.values())
    result = BenchmarkResult(score, tuple(found), predicted / RESULTS)
    result.path.write_text(result.table(), encoding="utf-8")
    return result


def compare_video(truth: Path, predicted: Path, skip_first_and_last: bool) -> VideoResult:
    """Compare the masks of one video's folders."""
    inside = sorted(truth.iterdir())
    if all(path.suffix == ".png" for path in inside):
        return VideoResult(truth.name, _compared(truth, predicted, skip_first_and_last, is_one_object=False))
    objects: dict[str, Score] = {}
    unseen = []
    for folder in inside:
        scores = _compared(folder, predicted / folder.name, skip_first_and_last, is_one_object=True)
        if scores:
            (objects[folder.name],) = scores.values()
        else:
            unseen.append(folder.name)
    return VideoResult(truth.name, objects, tuple(unseen))


def _compared(truth: Path, predicted: Path, skip_first_and_last: bool, *, is_one_object: bool) -> dict[int, Score]:
    frames = sorted(path.name for path in truth.iterdir())
    video = VideoScores()
    for name in frames[1:-1] if skip_first_and_last else frames:
        ours, real = (_pixels(folder / name, is_one_object) for folder in (predicted, truth))
        if ours.shape != real.shape:
            raise InvalidInputError(f"{predicted / name} has (y, x) {ours.shape}, {truth / name} {real.shape}.")
        video.add(FrameScores.of(ours, real))
    return video.scores()


def _pixels(path: Path, is_one_object: bool) -> NDArray[Any]:
    pixels = read_label_picture(path)
    if not is_one_object:
        return pixels
    if len(np.unique(pixels)) > 2:
        raise InvalidInputError(f"{path} holds several objects; in this layout each has a folder of its own.")
    return pixels > 0


def _videos(truth: Path, predicted: Path, strict: bool) -> tuple[Path, list[str]]:
    for folder in (truth, predicted):
        if not folder.is_dir():
            raise MissingFileError(f"There is no folder {folder}.")
    inner = truth / "Annotations"
    if inner.is_dir() and not (predicted / "Annotations").is_dir():
        truth = inner
    true, ours = ({path.name for path in folder.iterdir() if path.is_dir()} for folder in (truth, predicted))
    if strict and true != ours:
        raise InvalidInputError(
            f"Not the same videos: {', '.join(sorted(true - ours)) or 'none'} only in {truth}; "
            f"{', '.join(sorted(ours - true)) or 'none'} only in {predicted}."
        )
    names = sorted(true & ours)
    if not names:
        raise InvalidInputError(f"{truth} and {predicted} have no video in common; each needs a folder in both.")
    return truth, names


def _results(jobs: list[tuple[Path, Path, bool]], processes: int) -> Iterator[VideoResult]:
    count = min(processes, len(jobs))
    if count == 1:
        yield from (compare_video(*job) for job in jobs)
        return
    # a forked process may inherit locks that nobody releases
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(compare_video, *zip(*jobs, strict=True))
