"""Images of a folder, worked through one after the other, and gone on with later."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.errors import DestinationExistsError, InvalidInputError, MissingFileError
from sam2_core.session import work_list
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.work_list import WorkItem, WorkList
from sam2_core.volumes import open_labels
from sam2_core.volumes.frames import open_frames

SIZE = (24, 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, whose natural order is not that of their letters, and what is no image."""
    place = tmp_path / "images"
    place.mkdir()
    for name in ("cell10.tif", "cell2.tif"):
        tifffile.imwrite(place / name, np.zeros(SIZE, np.uint8))
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(place / "cell1.png")
    (place / "notes.txt").write_text("not an image")
    (place / ".hidden.tif").write_bytes(b"")
    (place / "a folder").mkdir()
    return place


def painted(work: WorkList, item: WorkItem, columns: slice = slice(4, 9)) -> AnnotationSession:
    """An image's session, with one object in it."""
    session = work.open_session(item, open_frames(item.image))
    mask = np.zeros(SIZE, bool)
    mask[3:8, columns] = True
    session.paint(session.add_object().id, 0, mask)
    return session


def names(work: WorkList) -> list[str]:
    return [item.name for item in work.items]


def states(work: WorkList) -> list[str]:
    return [work.state(item) for item in work.items]


def test_images_are_begun_finished_and_gone_on_with(folder: Path) -> None:
    work = WorkList(folder)
    assert names(work) == ["cell1.png", "cell2.tif", "cell10.tif"]
    assert states(work) == ["not begun"] * 3

    first, second, _ = work.items
    with painted(work, first) as session:
        assert states(work) == ["in work", "not begun", "not begun"]
        labels = work.finish(first, session)
        expected = session.labels(0)
    with painted(work, second):
        pass

    again = WorkList(folder)
    assert names(again) == names(work)  # neither labels nor sessions are taken for images
    assert states(again) == ["done", "in work", "not begun"]
    assert labels == folder / "cell1_labels.tif"
    with open_labels(labels) as written:
        np.testing.assert_array_equal(written.read(0), expected)
    assert [item.name for item in again.left] == ["cell2.tif", "cell10.tif"]
    with again.open_session(again.items[1], open_frames(second.image)) as session:
        assert len(session.objects) == 1


def test_what_is_done_can_be_taken_up_again(folder: Path) -> None:
    work = WorkList(folder)
    item = work.items[0]
    with painted(work, item) as session:
        work.finish(item, session)
    work.take_up_again(item)
    assert work.state(item) == "in work"

    # its own labels are replaced unasked
    with painted(work, item, slice(12, 20)) as session:
        work.finish(item, session)
        expected = session.labels(0)
    assert work.state(item) == "done"
    with open_labels(item.labels) as written:
        np.testing.assert_array_equal(written.read(0), expected)

    # labels that were deleted are wanted again
    item.labels.unlink()
    assert work.state(item) == "in work"


@pytest.mark.parametrize("takes", [True, False])
def test_labels_from_elsewhere_are_not_replaced_unasked(folder: Path, takes: bool) -> None:
    tifffile.imwrite(folder / "cell2_labels.tif", np.full(SIZE, 7, np.uint16))
    work = WorkList(folder, takes_labelled_as_done=takes)
    item = work.items[1]
    assert states(work) == ["not begun", "done" if takes else "not begun", "not begun"]

    with painted(work, item) as session:
        with pytest.raises(DestinationExistsError, match="not written from this session"):
            work.finish(item, session)
        assert (tifffile.imread(item.labels) == 7).all()
        work.finish(item, session, replaces=True)
    assert work.state(item) == "done"
    assert not (tifffile.imread(item.labels) == 7).any()


def test_a_picture_without_objects_is_done_too(folder: Path) -> None:
    work = WorkList(folder)
    item = work.items[0]
    with work.open_session(item, open_frames(item.image)) as session:
        work.finish(item, session)

    assert work.state(item) == "done"
    assert not tifffile.imread(item.labels).any()


def test_labels_in_another_folder_and_format(folder: Path, tmp_path: Path) -> None:
    work = WorkList(folder, tmp_path / "results", format="ome-zarr")
    item = work.items[2]
    with painted(work, item) as session:
        work.finish(item, session)

    assert item.labels == tmp_path / "results" / "cell10_labels.zarr"
    assert states(WorkList(folder, tmp_path / "results", format="ome-zarr")) == ["not begun", "not begun", "done"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [".hidden.tif", "a folder", "cell1.png", "cell10.tif", "cell2.tif", "notes.txt"]
    )


def test_steps_pass_over_what_is_done_and_go_round(folder: Path) -> None:
    work = WorkList(folder)
    first, second, last = work.items
    assert work.step(None) is first
    assert work.step(None, -1) is last
    assert work.step(last) is first
    with painted(work, second) as session:
        work.finish(second, session)

    assert work.step(first) is last
    assert work.step(last, -1) is first
    assert work.step(first, skips_done=False) is second
    for item in (first, last):
        with painted(work, item) as session:
            work.finish(item, session)
    assert work.step(first) is None
    assert work.step(None) is None


def test_names_that_differ_in_their_ending_only_have_labels_of_their_own(folder: Path) -> None:
    tifffile.imwrite(folder / "cell1.ome.tif", np.zeros(SIZE, np.uint8))
    work = WorkList(folder)

    assert len({item.labels for item in work.items}) == len({item.session for item in work.items}) == 4
    assert {item.labels.name for item in work.items} >= {"cell1.png_labels.tif", "cell1.ome.tif_labels.tif"}


def test_a_zarr_folder_is_an_image(folder: Path) -> None:
    import zarr

    zarr.create_array(folder / "cell3.zarr", shape=SIZE, chunks=SIZE, dtype="uint8")

    assert "cell3.zarr" in names(WorkList(folder))


def test_what_is_wrong_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no folder"):
        WorkList(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="no label format"):
        WorkList(folder, format="gif")
    assert WorkList(folder / "a folder").items == []
    assert WorkList(folder / "a folder").step(None) is None
    work = WorkList(folder)
    work.sessions.mkdir()
    (work.sessions / "cell1.png.json").write_text("{")
    with pytest.raises(InvalidInputError, match="damaged"):
        work.state(work.items[0])


class EndedJob:
    """A job that has ended, and tells so again while its end is being noted, from another thread."""

    state = "done"

    def __init__(self) -> None:
        self.changed = self
        self.hear: Any = None

    def connect(self, hear: Any) -> None:
        self.hear = hear


def test_the_end_is_noted_once_whoever_tells_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = WorkList(folder)
    item = work.items[0]
    job = EndedJob()
    written: list[dict[str, Any]] = []
    tellers: list[threading.Thread] = []
    real = work_list._write

    def write(note: Path, content: dict[str, Any]) -> None:
        if not tellers:
            tellers.append(threading.Thread(target=job.hear, args=(job,)))
            tellers[0].start()
            # it must wait until this is written
            tellers[0].join(0.2)
        written.append(content)
        real(note, content)

    with painted(work, item) as session:
        monkeypatch.setattr(session, "start_export", lambda *args, **options: job)
        monkeypatch.setattr(work_list, "_write", write)
        work.start_finish(item, session)
        tellers[0].join()
        assert [one["is_done"] for one in written] == [True]
        work.take_up_again(item)
        job.hear(job)
        assert [one["is_done"] for one in written] == [True, False]


def test_an_image_that_is_taken_up_while_its_labels_are_written_is_in_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = WorkList(folder)
    item = work.items[0]
    job = EndedJob()
    with painted(work, item) as session:
        with monkeypatch.context() as patch:
            patch.setattr(session, "start_export", lambda *args, **options: job)
            job.state = "running"
            work.start_finish(item, session)
        work.take_up_again(item)
        tifffile.imwrite(item.labels, np.zeros(SIZE, np.uint16))
        job.state = "done"
        job.hear(job)
        assert work.state(item) == "in work"
        work.finish(item, session, replaces=True)
        assert work.state(item) == "done"
