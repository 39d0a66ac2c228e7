"""The same work by the tracker, by a session, and on the command line comes to the same labels."""

from __future__ import annotations

import numpy as np
import tifffile

from sam2_core.cli.models import load_predictor
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels
from sam2_core.volumes import open_frames
from tests.cli.test_app import run

POINT = (10, 12)


def test_tracker_session_and_command_line(capsys, tmp_path, stack, untrained):
    predictor = load_predictor(str(untrained), "cpu", "fp32", quiet=True)
    with open_frames(stack) as frames:
        state = predictor.init_state(frames)
        predictor.prompt_points(state, 1, 1, [POINT], [1])
        tracker = np.zeros((len(frames), *frames.frame_size), np.int32)
        for found in predictor.propagate(state, direction="both"):
            tracker[found.frame_index] = found.masks[0].numpy()

    by_session = []
    for worker in (None, "thread"):
        with open_frames(stack) as frames, AnnotationSession.create(frames, model=predictor, worker=worker) as session:
            one = session.add_object()
            session.add_points(one.id, 1, POINT)
            session.start_segment(one.id, 1).wait(120)
            session.start_propagate().wait(120)
            for _ in export_labels(session, tmp_path / f"{worker}.tif"):
                pass
        by_session.append(tifffile.imread(tmp_path / f"{worker}.tif"))

    code, _, err = run(
        capsys, "track", stack, "-p", f"1@1:{POINT[0]},{POINT[1]}", "-o", tmp_path / "result", "-c", untrained,
        "--direction", "both", "--precision", "fp32",
    )  # fmt: skip
    assert code == 0, err
    command_line = tifffile.imread(tmp_path / "result" / "labels.tif")

    assert tracker.any()
    for labels in by_session:
        assert np.array_equal(labels, tracker)
    # the command line tracks in stretches of its own, which need not agree in every bit: one pixel of 8,000 did not
    union = np.count_nonzero((command_line > 0) | (tracker > 0))
    assert np.count_nonzero((command_line > 0) & (tracker > 0)) / union >= 0.999
