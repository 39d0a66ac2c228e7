"""TRA, by hand and beside traccuracy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sam2_core.cli.app import main
from sam2_core.evaluation.compared_labels import ComparedLabels
from sam2_core.evaluation.tracking_score import tracking_score
from sam2_core.volumes import open_label_writer

# one object that becomes two; a row a frame
DIVISION = np.array([[[1, 1, 0, 0]], [[1, 1, 1, 1]], [[2, 2, 3, 3]], [[2, 2, 3, 3]]])
PARENTS = {2: 1, 3: 1}
# six nodes, three links along objects and two divisions
BY_HAND = 6 * 10 + 5 * 1.5


def score(ours: Any, truth: Any = DIVISION, parents: Any = PARENTS, true_parents: Any = PARENTS) -> Mapping[str, float]:
    pairs = list(zip(np.asarray(ours), np.asarray(truth), strict=True))
    return tracking_score(ComparedLabels(pairs, parents, true_parents))


def test_the_truth_is_right_whatever_its_numbers() -> None:
    assert score(DIVISION) == {
        "TRA": 1, "splits": 0, "missed": 0, "extra": 0, "extra links": 0, "missed links": 0, "wrong links": 0
    }  # fmt: skip
    assert score(DIVISION * 7, parents={14: 7, 21: 7})["TRA"] == 1


def test_what_each_error_costs() -> None:
    assert score(DIVISION, parents={})["TRA"] == pytest.approx(1 - 2 * 1.5 / BY_HAND)  # both divisions are missing
    one_goes_on = np.where(DIVISION == 2, 1, DIVISION)
    found = score(one_goes_on, parents={3: 1})
    assert (found["wrong links"], found["missed links"]) == (1, 0)  # linked, but as if it were the same
    assert found["TRA"] == pytest.approx(1 - 1 / BY_HAND)
    extra = DIVISION.copy()
    extra[0, 0, 3] = 9
    assert score(extra)["TRA"] == pytest.approx(1 - 1 / BY_HAND)
    merged = np.where(DIVISION == 3, 2, DIVISION)
    # two splits, and none of the links to what has to be split
    assert score(merged)["TRA"] == pytest.approx(1 - (2 * 5 + 4 * 1.5) / BY_HAND)
    exchanged = DIVISION.copy()
    exchanged[3] = [[3, 3, 2, 2]]
    found = score(exchanged)
    assert (found["extra links"], found["missed links"]) == (2, 2)
    assert score(DIVISION * 0)["TRA"] == 0
    assert math.isnan(score(DIVISION, truth=DIVISION * 0)["TRA"])


def test_an_object_that_is_gone_for_a_while_is_linked_across() -> None:
    truth = [[[1]], [[0]], [[1]]]
    assert score(truth, truth, {}, {})["TRA"] == 1
    assert score([[[1]], [[0]], [[2]]], truth, {}, {})["missed links"] == 1


def test_labels_alone_have_no_divisions() -> None:
    pairs = list(zip(DIVISION, DIVISION, strict=True))
    assert tracking_score(pairs)["TRA"] == 1


def graph_of(labels: Any, parents: Mapping[int, int]) -> Any:
    """The oracle's graph: a node for each object of each frame."""
    import networkx
    from traccuracy import TrackingGraph

    graph = networkx.DiGraph()
    places: dict[int, list[int]] = {}
    for frame, picture in enumerate(labels):
        for label in np.unique(picture[picture > 0]).tolist():
            graph.add_node(frame * 100 + label, t=frame, segmentation_id=label, x=0, y=0)
            places.setdefault(label, []).append(frame * 100 + label)
    for label, nodes in places.items():
        graph.add_edges_from(pairwise(nodes))
        if parents.get(label, 0) in places:
            graph.add_edge(places[parents[label]][-1], nodes[0])
    return TrackingGraph(graph, segmentation=np.asarray(labels))


def lineage_of(labels: Any, wanted: list[int]) -> dict[int, int]:
    """Pairs of objects that begin when another has ended: the oracle knows a division by its two daughters."""
    frames = {int(label): np.flatnonzero((labels == label).any(axis=(1, 2))) for label in np.unique(labels[labels > 0])}
    parents: dict[int, int] = {}
    for parent in wanted:
        if parent in frames:
            free = [one for one in frames if one not in parents and frames[one][0] > frames[parent][-1]]
            if len(free) >= 2:
                parents |= {free[0]: parent, free[1]: parent}
    return parents


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), likeness=st.sampled_from([0.0, 0.5, 0.8, 0.95]))
def test_the_oracle_says_the_same(seed: int, likeness: float) -> None:
    traccuracy = pytest.importorskip("traccuracy", reason="needs traccuracy; install it with the group test")
    from traccuracy.matchers import CTCMatcher
    from traccuracy.metrics import CTCMetrics

    random = np.random.default_rng(seed)
    shape = (5, 1, 8)
    truth = np.repeat(random.integers(0, 7, (5, 1, 4)), 2, axis=2)
    ours = np.where(random.random(shape) < likeness, truth, random.integers(0, 7, shape))
    # in the format of the Challenge an object is there from its first frame to its last; the oracle wants some of both
    assume(truth.any() and ours.any() and truth[0].any() and truth[-1].any() and ours[0].any() and ours[-1].any())
    parents, true_parents = (lineage_of(one, random.permutation(7).tolist()) for one in (ours, truth))
    found = score(ours, truth, parents, true_parents)
    # what holds three has to be split twice; the oracle counts it once
    held = [
        Counter(own for own in (_covering(o, r, label) for label in np.unique(r[r > 0])) if own)
        for o, r in zip(ours, truth, strict=True)
    ]
    assume(all(count <= 2 for frame in held for count in frame.values()))

    results, _ = traccuracy.run_metrics(
        gt_data=graph_of(truth, true_parents),
        pred_data=graph_of(ours, parents),
        matcher=CTCMatcher(),
        metrics=[CTCMetrics()],
    )
    expected = results[0]["results"]
    names = {
        "splits": "ns_nodes",
        "missed": "fn_nodes",
        "extra": "fp_nodes",
        "extra links": "fp_edges",
        "missed links": "fn_edges",
        "wrong links": "ws_edges",
    }
    assert {name: found[name] for name in names} == {name: expected[other] for name, other in names.items()}
    assert found["TRA"] == pytest.approx(expected["TRA"])


def _covering(ours: Any, truth: Any, label: int) -> int:
    """Which predicted object covers more than half of a true one; 0 for none."""
    values, counts = np.unique(ours[truth == label], return_counts=True)
    best = int(counts.argmax())
    return int(values[best]) if 2 * counts[best] > counts.sum() else 0


def test_on_the_command_line_with_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, parents in (("truth", PARENTS), ("found", {})):
        options: dict[str, Any] = {"format": "ctc", "axis": "t", "metadata": {"parents": parents}}
        with open_label_writer(tmp_path / name, length=4, frame_size=(1, 4), **options) as writer:
            for frame, picture in enumerate(DIVISION):
                writer.write(frame, picture.astype(np.uint16))
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(tmp_path / "found"), str(tmp_path / "truth"), "--metric", "tra"])
    assert not stop.value.code
    assert f"TRA           {1 - 3 / BY_HAND:.4f}" in capsys.readouterr().out
