"""``sam2 track --propagator NAME --option KEY=VALUE``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sam2_core.cli.propagator_option import PropagatorOption
from sam2_core.cli.track_plan import Direction
from sam2_core.errors import InvalidInputError, PluginError
from sam2_core.hooks import FrameDone, Plugins, Propagator, Tracking, TrackingDirection, get_plugins, hookimpl
from tests.cli.test_app import run


def second_best(
    tracking: Tracking, *, direction: TrackingDirection = "both", rank: int = 1, name: str = "any"
) -> Iterator[FrameDone]:
    for frames in tracking.passes(direction):
        for step in tracking.walk(frames):
            for found in tracking.candidates(step, [tracking.usual_memory(step, one) for one in step.objects]):
                tracking.keep(sorted(found, key=lambda candidate: -candidate.predicted_iou)[rank])
            yield FrameDone(step.frame)


class Plugin:
    @hookimpl
    def sam2_propagators(self) -> list[Propagator]:
        return [Propagator("second-best", "", propagate=second_best)]


@pytest.fixture(autouse=True)
def plugins() -> Iterator[Plugins]:
    plugins = get_plugins()
    plugins.register(Plugin(), name="second-best")
    yield plugins
    plugins.unregister("second-best")


def test_options_are_read_by_their_types() -> None:
    found, direction = PropagatorOption.parsed("second-best", ["rank=2", "name=a=b"], Direction.BACKWARD)

    assert found == PropagatorOption("second-best", {"rank": 2, "name": "a=b"})
    assert direction is Direction.BACKWARD
    assert PropagatorOption.parsed(None, [], Direction.FORWARD) == (None, Direction.FORWARD)
    assert PropagatorOption.parsed("forward", [], Direction.BOTH) == (None, Direction.FORWARD)
    assert PropagatorOption.parsed("between-corrections", [], Direction.BOTH)[0] == PropagatorOption(
        "between-corrections", has_direction=False
    )


@pytest.mark.parametrize(
    ("error", "message", "name", "texts", "direction"),
    [
        (PluginError, "no propagator named 'other'", "other", [], Direction.BOTH),
        (InvalidInputError, "KEY=VALUE", "second-best", ["rank"], Direction.BOTH),
        (InvalidInputError, "rank cannot be read from 'many'", "second-best", ["rank=many"], Direction.BOTH),
        (InvalidInputError, "has no option speed", "second-best", ["speed=1"], Direction.BOTH),
        (InvalidInputError, "with --direction", "second-best", ["direction=both"], Direction.BOTH),
        (InvalidInputError, "name one with --propagator", None, ["rank=1"], Direction.BOTH),
        (InvalidInputError, "different things", "forward", [], Direction.BACKWARD),
        (InvalidInputError, "has no direction", "between-corrections", [], Direction.FORWARD),
    ],
)
def test_what_cannot_be_is_refused(
    error: type[Exception], message: str, name: str | None, texts: list[str], direction: Direction
) -> None:
    with pytest.raises(error, match=message):
        PropagatorOption.parsed(name, texts, direction)


def test_labels_of_a_propagator(capsys, tmp_path: Path, stack: Path, untrained: Path) -> None:
    labels = []
    for number, options in enumerate(([], ["--propagator", "second-best"], ["--propagator", "second-best"])):
        extra = ["--option", "rank=0"] if number == 2 else []
        result = tmp_path / str(number)
        code, _, err = run(
            capsys,
            "track",
            stack,
            "-p",
            "1@1:10,12",
            "-p",
            "2@2:30,30",
            "-o",
            result,
            "-c",
            untrained,
            *options,
            *extra,
        )
        assert code == 0, err
        labels.append(tifffile.imread(result / "labels.tif"))
        said = json.loads((result / "run.json").read_text())["options"]["propagator"]
        assert (said is None) == (not options)

    plain, second, first = labels
    assert np.array_equal(plain, first)
    assert not np.array_equal(plain, second)


def test_between_corrections_leaves_other_frames_empty(capsys, tmp_path: Path, stack: Path, untrained: Path) -> None:
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("object,frame,x,y\n1,0,10,12\n1,2,10,12\n")
    command = ["track", stack, "--prompts", clicks, "-o", tmp_path / "result", "-c", untrained]
    code, _, err = run(capsys, *command, "--propagator", "between-corrections")
    assert code == 0, err
    labels = tifffile.imread(tmp_path / "result" / "labels.tif")

    assert [bool(frame.any()) for frame in labels] == [True, True, True, False]


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("whole frames: use --preset exact", ["--propagator", "second-best", "--preset", "tiles"]),
        ("leave --frames out", ["--propagator", "between-corrections", "--frames", "0:2"]),
    ],
)
def test_refused_before_a_model_is_loaded(
    capsys, tmp_path: Path, stack: Path, message: str, options: list[str]
) -> None:
    code, _, err = run(capsys, "track", stack, "-p", "1:10,12", "-o", tmp_path / "result", "-c", "none", *options)

    assert code == 2
    assert message in " ".join(err.split())
    assert not (tmp_path / "result").exists()
