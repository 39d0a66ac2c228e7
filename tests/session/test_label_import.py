"""What a session exports it can import, with names and lineage where the format keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels
from sam2_core.session.label_import import import_label_file
from sam2_core.volumes import open_volume
from tests.session.test_lineage import FRAMES, SIZE, session

__all__ = ["session"]


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr", "01_RES", "labels.json"])
def test_labels_come_back(session: AnnotationSession, tmp_path: Path, name: str) -> None:
    for _ in export_labels(session, tmp_path / name):
        pass
    volume = open_volume(np.zeros((FRAMES, SIZE, SIZE), np.uint8), axes="tyx")
    with AnnotationSession.create(volume.stack("t")) as other:
        ids = import_label_file(other, tmp_path / name)

        assert len(ids) == 4
        for frame in range(FRAMES):
            found = other.labels(frame)
            known = session.labels(frame)
            assert np.array_equal(found, np.vectorize(lambda label: ids.get(label, 0))(known))
        assert [step.label for step in other.history] == ["import labels"]
        if name == "01_RES":
            assert {one.id: one.parents for one in other.objects} == {
                ids[1]: (), ids[2]: (ids[1],), ids[3]: (ids[1],), ids[4]: ()
            }  # fmt: skip
        other.undo()
        assert other.objects == []


def test_other_frames_are_refused(session: AnnotationSession, tmp_path: Path) -> None:
    for _ in export_labels(session, tmp_path / "labels.tif"):
        pass
    volume = open_volume(np.zeros((FRAMES + 1, SIZE, SIZE), np.uint8), axes="tyx")
    with AnnotationSession.create(volume.stack("t")) as other:
        with pytest.raises(InvalidInputError, match=f"{FRAMES} frames of .* the session {FRAMES + 1}"):
            import_label_file(other, tmp_path / "labels.tif")
        assert other.history == []
