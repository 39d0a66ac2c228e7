"""``--filter``: masks are cleaned before they become labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from sam2_core.cli.app import main
from sam2_core.cli.plane_labels import DrawnLabels, SparseLabels
from sam2_core.cli.prompts import MaskCrop
from sam2_core.hooks import FilterChain, MaskFilter, using_plugins
from tests.hooks.added import plugins_adding


def marks(mask):
    """Nothing of the object but its upper half, and what lies one row below."""
    rows = np.flatnonzero(mask.any(axis=1))
    kept = mask.copy()
    kept[rows[len(rows) // 2] :] = False
    kept[rows[-1] + 1 : rows[-1] + 2] = mask[rows[-1]]
    return kept


def test_drawn_and_sparse_labels_are_filtered_alike() -> None:
    labels = np.zeros((90, 100), np.int32)
    labels[10:20, 10:30] = 1
    labels[60:70, 50:52] = 2
    labels[70:72, 50:52] = 3
    crops = [(number, MaskCrop.of(labels == number)) for number in (1, 2, 3)]
    with using_plugins(plugins_adding(MaskFilter("marks", apply=marks), installed=True)):
        chain = FilterChain.of(["marks"])
        drawn = DrawnLabels(labels, ()).filtered(chain).rows(0, 90)
        sparse = SparseLabels((90, 100), (), crops).filtered(chain)

    assert np.array_equal(sparse.rows(0, 90), drawn)
    assert np.array_equal(np.concatenate([sparse.rows(0, 65), sparse.rows(65, 90)]), drawn)
    assert (drawn[10:15, 10:30] == 1).all()
    assert (drawn[20, 10:30] == 1).all(), "what a filter adds"
    assert (drawn[70, 50:52] == 3).all(), "but not where another object is"
    assert (labels == 1).sum() == 200


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.mark.parametrize("command", ["segment", "track"])
def test_labels_of_a_command_are_filtered(command: str, stack: Path, untrained: Path, tmp_path: Path) -> None:
    options = [stack, "--point", "0:20,20", "-c", untrained]
    if command == "track":
        options += ["--frames", "0:2", "--no-embeddings"]
    nothing = MaskFilter("nothing", apply=lambda mask: np.zeros_like(mask))
    with using_plugins(plugins_adding(nothing, installed=True)):
        assert run(command, *options, "-o", tmp_path / "plain") == 0
        assert run(command, *options, "-o", tmp_path / "filtered", "--filter", "nothing") == 0
        assert run(command, *options, "-o", tmp_path / "wrong", "--filter", "anything") == 2
        if command == "track":
            assert run(command, *options, "-o", tmp_path / "filtered") == 2, "another run than the one that is there"

    assert tifffile.imread(tmp_path / "plain" / "labels.tif").any()
    assert not tifffile.imread(tmp_path / "filtered" / "labels.tif").any()
    assert not (tmp_path / "wrong").exists()
