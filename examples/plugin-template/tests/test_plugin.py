"""What the plugin does, and the checks that every plugin has to pass."""

from __future__ import annotations

import numpy as np
import sam2_plugin_template
import typer
from typer.testing import CliRunner

from sam2_core import open_label_writer
from sam2_core.hooks import ArrayContext, CliCommand, Drawn, FilterChain, get_plugins, prompts_of
from sam2_core.hooks.contract import PluginContract

FRAME = ArrayContext(np.zeros((1, 40, 60, 3), np.uint8))


class TestContract(PluginContract):
    """Inherits every check."""

    plugin = sam2_plugin_template
    distribution = "sam2-plugin-template"


def test_an_ellipse_fills_its_box() -> None:
    box = Drawn("box", 0, points=np.array([[10, 5], [30, 25]], np.float32))

    (prompt,) = prompts_of("ellipse", box, FRAME)
    (smaller,) = prompts_of("ellipse", box, FRAME, size=0.5)

    assert prompt.mask is not None
    assert smaller.mask is not None
    assert abs(prompt.mask.sum() - np.pi * 100) < 20
    assert abs(smaller.mask.sum() - np.pi * 25) < 10


def test_convex_fills_dents() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:15] = mask[25:30, 10:40] = True

    found = FilterChain.of(["convex"]).apply(mask)

    assert found[24, 16]
    assert not found[12, 38]


def test_the_command_counts(tmp_path) -> None:
    with open_label_writer(tmp_path / "labels.tif", length=2, frame_size=(1, 3)) as writer:
        writer.write(0, np.array([[0, 5, 5]]))
        writer.write(1, np.array([[7, 0, 5]]))

    app = typer.Typer()
    app.command()(get_plugins().find(CliCommand, "count-objects").contribution.function)
    result = CliRunner().invoke(app, [str(tmp_path / "labels.tif")])

    assert result.output == "2 objects\n", result.output
