from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import fsspec
import numpy as np
import pytest
import yaozarrs
import zarr

from sam2_core.errors import DestinationExistsError, InvalidInputError, MissingFileError, WriteError
from sam2_core.volumes import open_volume
from sam2_core.volumes.labels import ome_zarr, open_label_writer, open_labels
from sam2_core.volumes.labels.colours import label_colours
from sam2_core.volumes.labels.pyramid import reduced
from tests.volumes.labels.random_labels import painted_stack
from tests.volumes.object_store import object_store

AXES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def make_image(path, letters="zyx", shape=(4, 40, 50), version="0.5", levels=2, consolidated=False):
    """An OME-Zarr image of two levels, made with plain zarr."""
    zarr_format = 2 if version == "0.4" else 3
    group = zarr.create_group(path, zarr_format=zarr_format)
    datasets = []
    for level in range(levels):
        smaller = tuple(
            -(-side // 2**level) if letter in "yx" else side for letter, side in zip(letters, shape, strict=True)
        )
        options = (
            {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
            if zarr_format == 2
            else {"dimension_names": letters}
        )
        group.create_array(str(level), shape=smaller, dtype="uint16", chunks=smaller, **options)
        scale = [0.5 * 2**level if letter in "yx" else 2.0 if letter == "z" else 1.0 for letter in letters]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    axes = [{"name": letter, "type": AXES[letter]} for letter in letters]
    multiscales = [{"axes": axes, "datasets": datasets, "name": "image"}]
    if zarr_format == 2:
        group.attrs["multiscales"] = [{"version": "0.4", **multiscales[0]}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    if consolidated:
        zarr.consolidate_metadata(path, zarr_format=zarr_format)
    return path


def write_all(destination, labels, **options):
    with open_label_writer(destination, length=len(labels), frame_size=labels.shape[1:], **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


def attributes_of(group):
    return group.attrs.asdict().get("ome", group.attrs.asdict())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("consolidated", [False, True])
def test_in_the_store_of_the_image(tmp_path, version, consolidated):
    image = make_image(tmp_path / "image.zarr", version=version, consolidated=consolidated)
    labels = painted_stack()
    metadata = {"model": "sam2.1_hiera_tiny", "properties": {7: {"kind": "nucleus"}}}
    write_all(image / "labels/cells", labels, metadata=metadata)
    write_all(image / "labels/second", labels[:, ::-1])

    yaozarrs.validate_zarr_store(str(image))
    root = zarr.open_group(image, mode="r")  # consolidated, where the image was
    assert (root.metadata.consolidated_metadata is not None) == consolidated
    assert root.metadata.zarr_format == (2 if version == "0.4" else 3)
    assert attributes_of(root["labels"])["labels"] == ["cells", "second"]
    group = root["labels/cells"]
    assert np.array_equal(group["0"][:], labels)
    assert np.array_equal(group["1"][:], reduced(labels.astype(np.uint16), (4, 20, 25)))
    label = attributes_of(group)["image-label"]
    assert label["source"] == {"image": "../../"}
    assert label["metadata"]["model"] == "sam2.1_hiera_tiny"
    assert label["properties"] == [{"label-value": 7, "kind": "nucleus"}]
    ids = [1, 7, 300]
    assert [one["label-value"] for one in label["colors"]] == ids
    assert [one["rgba"][:3] for one in label["colors"]] == label_colours(ids).tolist()
    scales = attributes_of(group)["multiscales"][0]
    assert [axis["name"] for axis in scales["axes"]] == ["z", "y", "x"]
    assert scales["datasets"][1]["coordinateTransformations"][0]["scale"] == [2.0, 1.0, 1.0]
    with open_labels(image / "labels/cells") as stack:
        assert (stack.axis, stack.spacing) == ("z", (2.0, 0.5, 0.5))
        assert stack.metadata["model"] == "sam2.1_hiera_tiny"
        assert np.array_equal(np.stack(list(stack)), labels)
    with pytest.raises(InvalidInputError, match="cells, second"):
        open_labels(image)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_stacks_at_positions_of_an_image_of_five_axes(tmp_path, version):
    image = make_image(tmp_path / "image.zarr", "tczyx", (3, 2, 4, 40, 50), version)
    destination = image / "labels/cells"
    first, second = painted_stack(seed=1), painted_stack(seed=2)
    write_all(destination, first, at={"t": 2})
    with pytest.raises(DestinationExistsError):
        write_all(destination, second, at={"t": 0})
    write_all(destination, second, at={"t": 0}, resume=True)
    over_time = np.stack([second[1], first[0] * 0, first[1]])
    with open_label_writer(destination, length=3, frame_size=(40, 50), axis="t", at={"z": 3}, resume=True) as writer:
        assert writer.written == set()
        writer.write(1, first[3])

    yaozarrs.validate_zarr_store(str(image))
    array = zarr.open_array(destination / "0", mode="r")
    assert array.shape == (3, 4, 40, 50)
    expected = np.stack([second, np.zeros_like(first), first])
    expected[1, 3] = first[3]
    assert np.array_equal(array[:], expected)
    smaller = np.stack([reduced(volume.astype(np.uint16), (4, 20, 25)) for volume in expected])
    assert np.array_equal(zarr.open_array(destination / "1", mode="r")[:], smaller)
    with open_labels(destination, axis="z", at={"t": 2}) as stack:
        assert np.array_equal(np.stack(list(stack)), first)
        assert stack.written == {0, 1, 2, 3}
    with open_labels(destination, axis="t", at={"z": 1}) as stack:
        assert np.array_equal(np.stack(list(stack)), over_time)
    with pytest.raises(InvalidInputError, match="several axes"):
        open_labels(destination)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 5}, "must match"),
        ({"frame_size": (50, 40)}, "must match"),
        ({"at": {}}, "also long along t"),
        ({"at": {"t": 3}}, "positions 0 to 2"),
        ({"at": {"t": 0, "q": 1}}, "no axis 'q'"),
    ],
)
def test_labels_that_do_not_fit_the_image(tmp_path, options, message):
    image = make_image(tmp_path / "image.zarr", "tzyx", (3, 4, 40, 50))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match=message):
        open_label_writer(image / "labels/cells", **{"length": 4, "frame_size": (40, 50), "at": {"t": 0}, **options})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_whose_axes_have_other_names_and_whose_levels_share_a_scale(tmp_path, version):
    path = make_image(tmp_path / "image.zarr", "tczyx", (2, 3, 4, 40, 50), version)
    group = zarr.open_group(path)
    attributes = attributes_of(group)
    scales = attributes["multiscales"][0]
    for axis, name in zip(scales["axes"], ("time", "channel", "Z", "Y", "X"), strict=True):
        axis["name"] = name
    scales["coordinateTransformations"] = [
        {"type": "scale", "scale": [30.0, 1.0, 3.0, 1.0, 1.0]},
        {"type": "translation", "translation": [1.0, 2.0, 3.0, 4.0, 5.0]},
    ]
    group.attrs.update({"multiscales": [scales]} if version == "0.4" else {"ome": attributes})
    labels = painted_stack()
    write_all(f"{path}/labels/cells", labels, at={"t": 1})
    written = attributes_of(zarr.open_group(f"{path}/labels/cells", mode="r"))["multiscales"][0]
    assert [axis["name"] for axis in written["axes"]] == ["time", "Z", "Y", "X"]
    assert written["coordinateTransformations"] == [
        {"type": "scale", "scale": [30.0, 3.0, 1.0, 1.0]},
        {"type": "translation", "translation": [1.0, 3.0, 4.0, 5.0]},
    ]
    with open_volume(path) as image, open_labels(f"{path}/labels/cells", at={"t": 1}) as stack:
        assert stack.spacing == image.stack("z", {"t": 0}).spacing == (6.0, 0.5, 0.5)
        assert stack.axis == "z"
        for index, frame in enumerate(labels):
            assert np.array_equal(stack.read(index), frame)


def test_a_plane_image(tmp_path):
    image = make_image(tmp_path / "image.zarr", "cyx", (2, 40, 50))
    labels = painted_stack(1)
    write_all(image / "labels/cells", labels)
    yaozarrs.validate_zarr_store(str(image))
    assert np.array_equal(zarr.open_array(image / "labels/cells/0")[:], labels[0])
    assert np.array_equal(open_labels(image).read(0), labels[0])


def test_a_store_of_its_own(tmp_path):
    labels = painted_stack(3, (700, 520))
    write_all(tmp_path / "cells.ome.zarr", labels, axis="t", spacing=(30, 0.2, 0.1), unit="µm", dtype="uint32")
    yaozarrs.validate_zarr_store(str(tmp_path / "cells.ome.zarr"))
    group = zarr.open_group(tmp_path / "cells.ome.zarr", mode="r")
    scales = group.attrs["ome"]["multiscales"][0]
    assert [axis["name"] for axis in scales["axes"]] == ["t", "y", "x"]
    assert [axis.get("unit") for axis in scales["axes"]] == [None, "micrometer", "micrometer"]
    assert [group[level["path"]].shape for level in scales["datasets"]] == [(3, 700, 520), (3, 350, 260), (3, 175, 130)]
    assert scales["datasets"][2]["coordinateTransformations"][0]["scale"] == [30, 0.8, 0.4]
    array = group["0"]
    assert array.metadata.dimension_names == ("t", "y", "x")
    assert array.shards[0] == 1
    assert array.dtype == np.uint32
    assert np.array_equal(array[:], labels)
    assert "source" not in group.attrs["ome"]["image-label"]
    with open_labels(tmp_path / "cells.ome.zarr") as stack:
        assert (stack.axis, stack.spacing, stack.unit) == ("t", (30, 0.2, 0.1), "micrometer")


def test_readable_while_it_is_written_and_pyramid_follows_later_changes(tmp_path):
    labels = painted_stack(4, (300, 280))
    destination = tmp_path / "cells.zarr"
    with open_label_writer(destination, length=4, frame_size=(300, 280)) as writer:
        writer.write(2, labels[2])
        writer.write(1, labels[1])
        yaozarrs.validate_zarr_store(str(destination))
        assert np.array_equal(zarr.open_array(destination / "0", mode="r")[1], labels[1])
        with open_labels(destination) as stack:
            assert stack.written == {1, 2}
        assert not zarr.open_array(destination / "1", mode="r")[:].any()
    expected = labels.astype(np.uint16)
    expected[[0, 3]] = 0
    assert np.array_equal(zarr.open_array(destination / "1")[:], reduced(expected, (4, 150, 140)))
    # a frame that was finished is changed, and that run is stopped before it ends
    writer = open_label_writer(destination, length=4, frame_size=(300, 280), resume=True)
    writer.write_window(1, np.full((50, 60), 9), 100, 100)
    writer.suspend()
    with open_label_writer(destination, length=4, frame_size=(300, 280), resume=True):
        pass
    expected[1, 100:150, 100:160] = 9
    assert np.array_equal(zarr.open_array(destination / "0")[:], expected)
    assert np.array_equal(zarr.open_array(destination / "1")[:], reduced(expected, (4, 150, 140)))
    colours = zarr.open_group(destination).attrs["ome"]["image-label"]["colors"]
    assert [one["label-value"] for one in colours] == sorted({9, *np.unique(expected[expected > 0]).tolist()})


def test_frames_written_from_several_threads(tmp_path):
    labels = painted_stack(12)
    with open_label_writer(tmp_path / "a.zarr", length=12, frame_size=(40, 50)) as writer:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(writer.write, range(12), labels))
        assert writer.written == set(range(12))
    assert np.array_equal(zarr.open_array(tmp_path / "a.zarr/0")[:], labels)


def test_no_two_frames_share_a_file(tmp_path):
    labels = np.ones((3, 2500, 30), int)
    write_all(tmp_path / "a.zarr", labels)
    files = [path for path in (tmp_path / "a.zarr/0").rglob("*") if path.is_file() and path.name != "zarr.json"]
    # three frames of two shards each
    assert len(files) == 6


def test_another_process_that_was_quicker(tmp_path, monkeypatch):
    labels = painted_stack()
    acquire = ome_zarr.DestinationLock.__init__

    def slow(self, path, subject, wait=0.0):
        monkeypatch.undo()
        write_all(tmp_path / "a.zarr", labels)  # between the look and the lock
        acquire(self, path, subject, wait)

    monkeypatch.setattr(ome_zarr.DestinationLock, "__init__", slow)
    with pytest.raises(DestinationExistsError, match="another process"):
        open_label_writer(tmp_path / "a.zarr", length=4, frame_size=(40, 50))
    with open_labels(tmp_path / "a.zarr") as stack:
        assert np.array_equal(stack.read(0), labels[0])
    write_all(tmp_path / "a.zarr", labels, overwrite=True)  # nothing holds the lock


@pytest.fixture(params=["memory", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "memory":
        yield f"memory://{tmp_path.name}"
        return
    with object_store(monkeypatch) as bucket:
        yield bucket


def test_behind_a_url(url):
    labels = painted_stack()
    write_all(f"{url}/cells.zarr", labels)
    with open_labels(f"{url}/cells.zarr") as stack:
        assert np.array_equal(np.stack(list(stack)), labels)
    with pytest.raises(DestinationExistsError):
        write_all(f"{url}/cells.zarr", labels)
    write_all(f"{url}/cells.zarr", labels[:2], overwrite=True)
    with open_volume(f"{url}/cells.zarr") as volume:
        assert volume.sizes == {"z": 2, "y": 40, "x": 50}
        assert np.array_equal(volume.read({"z": 1}), labels[1])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_in_an_image_behind_a_url(url, version):
    labels = painted_stack()
    image = make_image(f"{url}/image.zarr", version=version, consolidated=True)
    destination = f"{image}/labels/cells"
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_label_writer(destination, length=4, frame_size=(40, 50)) as writer,
    ):
        writer.write(2, labels[2])
        raise KeyboardInterrupt
    with open_label_writer(destination, length=4, frame_size=(40, 50), resume=True) as writer:
        assert writer.written == {2}
        for index in (0, 1, 3):
            writer.write(index, labels[index])
    for source in (destination, image):
        with open_labels(source) as stack:
            assert np.array_equal(np.stack(list(stack)), labels)


def test_what_is_no_label_image_behind_a_url_is_not_touched(url):
    files, root = fsspec.url_to_fs(url)
    array = zarr.create_array(f"{url}/array.zarr", data=painted_stack())
    files.pipe_file(f"{root}/folder.zarr/notes.txt", b"mine")
    make_image(f"{url}/image.zarr")
    for name in ("array.zarr", "folder.zarr", "image.zarr"):
        for options in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(InvalidInputError, match="not touched"):
                open_label_writer(f"{url}/{name}", length=4, frame_size=(40, 50), **options)
    assert np.array_equal(array[:], painted_stack())
    assert files.cat_file(f"{root}/folder.zarr/notes.txt") == b"mine"


def test_nothing_is_left_behind_a_url_of_what_was_not_begun(url):
    with pytest.raises(ZeroDivisionError), open_label_writer(f"{url}/cells.zarr", length=4, frame_size=(40, 50)):
        raise ZeroDivisionError
    with pytest.raises(MissingFileError, match=r"cells\.zarr"):
        open_labels(f"{url}/cells.zarr")


def test_a_bucket_that_is_not_there(monkeypatch):
    with object_store(monkeypatch), pytest.raises(WriteError, match="bucket"):
        open_label_writer("s3://nowhere/cells.zarr", length=4, frame_size=(40, 50))


def test_what_is_no_label_image_is_not_touched(tmp_path):
    image = make_image(tmp_path / "image.zarr")
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr/notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for destination in (image, tmp_path / "folder.zarr"):
        for options in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(InvalidInputError, match="not touched"):
                open_label_writer(destination, length=4, frame_size=(40, 50), **options)
    for destination in (image / "elsewhere", image / "labels/.hidden", image / "labels/a/b"):
        with pytest.raises(InvalidInputError):
            open_label_writer(destination, length=4, frame_size=(40, 50))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_labels_of_another_program_are_read_but_not_continued(tmp_path):
    labels = painted_stack().astype(np.int32)
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("full", data=labels)
    group.attrs["ome"] = {
        "version": "0.5",
        "image-label": {},
        "multiscales": [{"axes": [{"name": letter} for letter in "zyx"], "datasets": [{"path": "full"}]}],
    }
    assert np.array_equal(np.stack(list(open_labels(tmp_path / "a.zarr"))), labels)
    with pytest.raises(InvalidInputError, match="another program"):
        open_label_writer(tmp_path / "a.zarr", length=4, frame_size=(40, 50), resume=True)
    write_all(tmp_path / "a.zarr", labels[:2], overwrite=True)
    assert np.array_equal(np.stack(list(open_labels(tmp_path / "a.zarr"))), labels[:2])


def test_stopped_between_its_metadata_and_its_arrays(tmp_path):
    labels = painted_stack()
    write_all(tmp_path / "image.zarr/labels/cells", labels)
    for leftover in (tmp_path / "image.zarr/labels/cells").iterdir():
        if leftover.is_dir():
            for path in sorted(leftover.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            leftover.rmdir()
    content = json.loads((tmp_path / "image.zarr/labels/cells/zarr.json").read_text())
    content["attributes"]["sam2_lab"] = {"finished": False, "written": {}, "pending": {}}
    (tmp_path / "image.zarr/labels/cells/zarr.json").write_text(json.dumps(content))
    (tmp_path / "image.zarr/labels/cells/0.abc.partial").write_text("half a file")
    write_all(tmp_path / "image.zarr/labels/cells", labels, resume=True)
    assert np.array_equal(zarr.open_array(tmp_path / "image.zarr/labels/cells/0")[:], labels)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("properties", [{0: {}}, {"1": {}, 1: {}}, {"one": {}}, [3], {1: 5}])
def test_properties_that_make_no_sense(tmp_path, properties):
    with pytest.raises(InvalidInputError, match="properties"):
        open_label_writer(tmp_path / "a.zarr", length=1, frame_size=(4, 4), metadata={"properties": properties})
    assert list(tmp_path.iterdir()) == []
