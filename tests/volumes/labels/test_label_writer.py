"""What every format has to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import (
    DestinationExistsError,
    InvalidInputError,
    InvalidTypeError,
    StateError,
    WriteError,
)
from sam2_core.volumes.labels import open_label_writer, open_labels
from tests.volumes.labels.random_labels import DESTINATIONS, LARGEST, label_stacks, painted_stack

EVERY = pytest.mark.parametrize("kind", DESTINATIONS)


def opened(folder, kind, labels, **options):
    name, needed = DESTINATIONS[kind]
    return open_label_writer(
        Path(folder) / name, **{"length": len(labels), "frame_size": labels.shape[1:], **needed, **options}
    )


def read_back(folder, kind):
    path = Path(folder) / DESTINATIONS[kind][0]
    if DESTINATIONS[kind][1].get("axis") == "z":
        with open_labels(path, axis="z") as stack:
            return np.stack(list(stack))
    with open_labels(path) as stack:
        return np.stack(list(stack))


def fitting(labels, kind):
    return np.where(labels > 0, labels % 250 + 1, 0) if kind in LARGEST else labels


@EVERY
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_same_labels_come_back(kind, data, tmp_path_factory):
    labels = data.draw(label_stacks(LARGEST.get(kind, 65535)))
    order = data.draw(st.permutations(range(len(labels))))
    folder = tmp_path_factory.mktemp("labels")
    with opened(folder, kind, labels) as writer:
        for index in order:
            writer.write(index, labels[index])
        for index in order:
            assert np.array_equal(writer.read(index), labels[index])
    assert np.array_equal(read_back(folder, kind), labels)
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["tiff", "ome-zarr", "coco", "imagej-roi"])
@settings(max_examples=8, deadline=None)
@given(labels=label_stacks(2**32 - 1))
def test_wide_ids_come_back(kind, labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    with opened(folder, kind, labels, dtype="uint32") as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)
    assert np.array_equal(read_back(folder, kind), labels)


@EVERY
def test_windows_and_rewriting(kind, tmp_path):
    labels = fitting(painted_stack(), kind)
    with opened(tmp_path, kind, labels) as writer:
        writer.write(1, labels[3])
        writer.write(1, labels[1])
        writer.write_window(0, labels[0, :20], 0, 0, complete=False)
        assert writer.written == {1}
        writer.write_window(0, labels[0, 20:, 5:], 20, 5, complete=False)
        writer.write_window(0, labels[0, 20:, :5], 20, 0)
        assert writer.written == {0, 1}
        assert writer.is_written(0)
        assert not writer.is_written(3)
        assert np.array_equal(writer.read(0), labels[0])
        assert not writer.read(3).any()
        writer.write_window(1, labels[3, 3:9, 4:8], 3, 4)
        writer.flush()
        assert len(writer) == 4
        assert writer.frame_size == (40, 50)
    expected = labels.copy()
    expected[1, 3:9, 4:8] = labels[3, 3:9, 4:8]
    expected[2:] = 0
    assert np.array_equal(read_back(tmp_path, kind), expected)
    with open_labels(tmp_path / DESTINATIONS[kind][0]) as stack:
        assert stack.written == {0, 1}


@EVERY
def test_stopped_by_an_error_and_continued(kind, tmp_path):
    labels = fitting(painted_stack(), kind)

    def stop_early():
        with opened(tmp_path, kind, labels, metadata={"model": "tiny"}) as writer:
            writer.write(2, labels[2])
            writer.write(0, labels[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_early()
    with pytest.raises(DestinationExistsError, match="resume=True"):
        opened(tmp_path, kind, labels)
    with opened(tmp_path, kind, labels, resume=True) as writer:
        assert writer.written == {0, 2}
        assert np.array_equal(writer.read(0), labels[0])
        for index in (1, 3):
            writer.write(index, labels[index])
    assert np.array_equal(read_back(tmp_path, kind), labels)


@EVERY
def test_a_finished_stack_is_continued(kind, tmp_path):
    labels = fitting(painted_stack(), kind)
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, labels[0])
        writer.write(2, labels[2])
    before = read_back(tmp_path, kind)
    with opened(tmp_path, kind, labels, resume=True) as writer:
        assert writer.written == {0, 2}
        assert np.array_equal(writer.read(0), labels[0])
    assert np.array_equal(read_back(tmp_path, kind), before)
    with opened(tmp_path, kind, labels, resume=True) as writer:
        writer.write(1, labels[1])
        writer.write(3, labels[3])
        assert writer.written == {0, 1, 2, 3}
    assert np.array_equal(read_back(tmp_path, kind), labels)
    with opened(tmp_path, kind, labels, resume=True) as writer:
        assert writer.written == {0, 1, 2, 3}


@EVERY
def test_a_destination_that_exists(kind, tmp_path):
    labels = fitting(painted_stack(), kind)
    for frame in (labels[0], labels[1]):
        with opened(tmp_path, kind, labels, overwrite=True) as writer:
            writer.write(0, frame)
        with pytest.raises(DestinationExistsError) as caught:
            opened(tmp_path, kind, labels)
        assert isinstance(caught.value, FileExistsError)
        assert np.array_equal(read_back(tmp_path, kind)[0], frame)
        assert not read_back(tmp_path, kind)[1:].any()
    with pytest.raises(InvalidInputError, match="exclude"):
        opened(tmp_path, kind, labels, resume=True, overwrite=True)


@EVERY
def test_nothing_is_left_after_an_error_before_the_first_frame(kind, tmp_path):
    labels = painted_stack()
    with pytest.raises(RuntimeError), opened(tmp_path, kind, labels):
        raise RuntimeError
    left = [path for path in tmp_path.rglob("*") if path.name not in ("image.zarr", "labels", "zarr.json", "02_RES")]
    assert left == []
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, np.zeros_like(labels[0]))


@EVERY
def test_nothing_but_the_destination_is_left(kind, tmp_path):
    labels = fitting(painted_stack(), kind)
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, labels[0])
    assert [path.name for path in tmp_path.iterdir()] == [DESTINATIONS[kind][0].split("/")[0]]
    assert not list(tmp_path.rglob("*.lock"))


@EVERY
def test_a_destination_of_another_shape_is_not_continued(kind, tmp_path):
    labels = painted_stack(ids=(1, 2))
    writer = opened(tmp_path, kind, labels)
    writer.write(0, labels[0])
    writer.suspend()
    for changed in ({"length": 5}, {"frame_size": (50, 40)}, {"axis": "z" if kind == "ctc" else "t"}):
        if "axis" in changed and kind.startswith("ctc"):
            continue  # another axis is another file there
        with pytest.raises(InvalidInputError, match="cannot be continued"):
            opened(tmp_path, kind, labels, resume=True, **changed)
    with opened(tmp_path, kind, labels, resume=True) as writer:
        assert writer.written == {0}


@EVERY
def test_what_does_not_fit_is_refused(kind, tmp_path):
    labels = painted_stack(ids=(1, 2))
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, labels[0])
        largest = int(np.iinfo(writer.dtype).max)
        refused = [
            (0, labels[0].T),
            (0, labels),
            (4, labels[0]),
            (-1, labels[0]),
            (0, labels[0] - 1),
            (0, np.where(labels[0] > 0, largest + 1, 0)),
        ]
        for index, frame in refused:
            with pytest.raises(InvalidInputError):
                writer.write(index, frame)
        for y, x in ((-1, 0), (0, -1), (39, 0), (0, 49)):
            with pytest.raises(InvalidInputError, match="does not lie in"):
                writer.write_window(0, np.ones((2, 2), int), y, x)
        for index, frame in ((0, labels[0].astype(float)), (1.5, labels[0])):
            with pytest.raises(InvalidTypeError):
                writer.write(index, frame)
        assert np.array_equal(writer.read(0), labels[0])
        assert writer.written == {0}
    with pytest.raises(StateError, match="closed"):
        writer.write(0, labels[0])
    writer.close()


@EVERY
def test_a_second_writer_is_kept_out(kind, tmp_path):
    labels = painted_stack(ids=(1, 2))
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, labels[0])
        with pytest.raises(StateError, match="another process"):
            opened(tmp_path, kind, labels, resume=True)
        with pytest.raises(StateError, match="another process"):
            opened(tmp_path, kind, labels, overwrite=True)
        assert np.array_equal(writer.read(0), labels[0])
    assert np.array_equal(read_back(tmp_path, kind)[0], labels[0])


@EVERY
def test_discarded(kind, tmp_path):
    labels = fitting(painted_stack(), kind)
    with opened(tmp_path, kind, labels) as writer:
        writer.write(0, labels[0])
    before = read_back(tmp_path, kind)
    if not kind.startswith("ome-zarr"):  # there the old one is gone once overwriting begins
        writer = opened(tmp_path, kind, labels, overwrite=True)
        writer.write(0, labels[1])
        writer.discard()
        assert np.array_equal(read_back(tmp_path, kind), before)
        assert not list(tmp_path.rglob("*.part*"))
    writer = opened(tmp_path, kind, labels, resume=True)
    writer.discard()
    assert np.array_equal(read_back(tmp_path, kind), before)


KILLED = """
import os, sys
import numpy as np
from sam2_core.volumes.labels import open_label_writer
from tests.volumes.labels.random_labels import DESTINATIONS, LARGEST, painted_stack
for kind, (name, needed) in DESTINATIONS.items():
    labels = painted_stack(frames=6)
    if kind in LARGEST:
        labels = np.where(labels > 0, labels % 250 + 1, 0)
    writer = open_label_writer(
        f"{sys.argv[1]}/{name}", **{"length": 6, "frame_size": labels.shape[1:], **needed}
    )
    for index in (5, 0, 3):
        writer.write(index, labels[index])
    writer.write_window(2, labels[2, :9], 0, 0, complete=False)
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_continued(tmp_path):
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    for kind in DESTINATIONS:
        continue_killed(tmp_path, kind)
    assert not list(tmp_path.rglob("*.lock"))


def continue_killed(tmp_path, kind):
    labels = fitting(painted_stack(frames=6), kind)
    with unfinished(tmp_path, kind) as so_far:
        assert len(so_far) == 6
        for index in (5, 0, 3):
            assert np.array_equal(so_far.read(index), labels[index])
    with opened(tmp_path, kind, labels, resume=True) as writer:
        assert writer.written == {0, 3, 5}
        for index in sorted(set(range(6)) - writer.written):
            writer.write(index, labels[index])
    assert np.array_equal(read_back(tmp_path, kind), labels)


def unfinished(folder, kind):
    path = Path(folder) / DESTINATIONS[kind][0]
    if kind.startswith("ome-zarr"):
        return open_labels(path)
    if kind == "ctc volume":
        path = path / "mask000.tif"
    part = next(one for one in (path.with_name(path.name + end) for end in (".part", ".part.tif")) if one.exists())
    return open_labels(part)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system (root on Linux)")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@EVERY
def test_disk_full(kind, small_disk):
    generator = np.random.default_rng(1)
    # noise, so that compression does not help
    labels = generator.integers(0, 255, (12, 120, 200))
    writer = opened(small_disk, kind, labels)

    def write_all():
        with writer:
            for index, frame in enumerate(labels):
                writer.write(index, frame)

    with pytest.raises(WriteError, match=r"No space left.*Frames 0.*resume=True") as caught:
        write_all()
    assert isinstance(caught.value, OSError)
    count = len(writer.written)
    assert 1 <= count < 12
    with unfinished(small_disk, kind) as so_far:
        for index in range(count):
            assert np.array_equal(so_far.read(index), labels[index])
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    with opened(small_disk, kind, labels, resume=True) as writer:
        assert writer.written == set(range(count))
        for index in range(count, 12):
            writer.write(index, np.full_like(labels[index], index))
    expected = labels.copy()
    expected[count:] = np.arange(count, 12)[:, None, None]
    assert np.array_equal(read_back(small_disk, kind), expected)
