from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes.labels import convert_labels, open_labels
from tests.conftest import REPOSITORY
from tests.volumes.labels.random_labels import DESTINATIONS, painted_stack

DATA = REPOSITORY.parent / "shared" / "data"
NAMES = {kind: (name, needed.get("format")) for kind, (name, needed) in DESTINATIONS.items() if kind != "png 16"}


def read_all(path, **options):
    with open_labels(path, **options) as stack:
        return np.stack(list(stack))


def there_and_back(truth, source, folder):
    """Each format from the one before it, and the first again from the last."""
    previous = source
    for name, file_format in NAMES.values():
        assert convert_labels(previous, folder / name, format=file_format) == folder / name
        assert np.array_equal(read_all(folder / name), truth), name
        previous = folder / name
    convert_labels(previous, folder / "end.tif")
    assert np.array_equal(read_all(folder / "end.tif"), truth)


@pytest.mark.parametrize("ids", [(1, 7, 9), (1, 7, 300)])
def test_from_format_to_format(tmp_path, ids):
    labels = painted_stack(3, ids=ids)
    there_and_back(labels, labels, tmp_path)


@pytest.mark.parametrize("name", ["nuclei_2d", "nuclei_3d"])
def test_real_nuclei(tmp_path, name):
    source = DATA / name / "labels.tif"
    if not source.exists():
        pytest.skip("needs the microscopy samples in ../shared/data, which are no part of the repository")
    truth = tifffile.imread(source)
    there_and_back(truth if truth.ndim == 3 else truth[None], source, tmp_path)


def test_dtype_is_the_smallest_that_holds_all_ids(tmp_path):
    for largest, dtypes in ((200, ("uint8", "uint16")), (300, ("uint16", "uint16")), (70_000, (None, "uint32"))):
        labels = np.full((2, 3, 4), largest)
        folder = tmp_path / str(largest)
        folder.mkdir()
        for (destination, file_format), dtype in zip((("masks", "png"), ("a.tif", None)), dtypes, strict=True):
            if dtype is None:
                with pytest.raises(InvalidInputError, match="does not fit"):
                    convert_labels(labels, folder / destination, format=file_format)
                continue
            convert_labels(labels, folder / destination, format=file_format)
            assert open_labels(folder / destination).dtype == dtype
    convert_labels(np.ones((2, 3, 4), int), tmp_path / "wide.tif", dtype="uint32")
    assert open_labels(tmp_path / "wide.tif").dtype == np.uint32


def test_a_range_of_frames_with_progress(tmp_path):
    labels = painted_stack(6)
    calls = []
    convert_labels(labels, tmp_path / "a.zarr", frames=(2, 5), progress=lambda done, total: calls.append((done, total)))
    assert np.array_equal(read_all(tmp_path / "a.zarr"), labels[2:5])
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for wrong in ((3, 3), (-1, 2), (0, 7), (5, 2)):
        with pytest.raises(InvalidInputError, match="frames 0 to 5"):
            convert_labels(labels, tmp_path / "b.tif", frames=wrong)
    assert not list(tmp_path.glob("b.tif*"))


def test_stopped_and_continued(tmp_path):
    labels = painted_stack(4)
    read = []

    class Watched:
        shape, dtype = labels.shape, labels.dtype

        def __getitem__(self, index):
            read.append(index)
            return labels[index]

    def stop_after_two(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_labels(Watched(), tmp_path / "a.tif", dtype="uint16", progress=stop_after_two)
    with pytest.raises(DestinationExistsError):
        convert_labels(Watched(), tmp_path / "a.tif")
    read.clear()
    convert_labels(Watched(), tmp_path / "a.tif", resume=True)
    assert read == [2, 3]
    assert np.array_equal(read_all(tmp_path / "a.tif"), labels)
    convert_labels(labels[::-1], tmp_path / "a.tif", overwrite=True)
    assert np.array_equal(read_all(tmp_path / "a.tif"), labels[::-1])


def test_onto_itself(tmp_path):
    convert_labels(painted_stack(), tmp_path / "a.tif")
    with pytest.raises(InvalidInputError, match="the same"):
        convert_labels(tmp_path / "a.tif", tmp_path / "x/../a.tif", overwrite=True)


def test_spacing_axis_and_metadata_are_kept(tmp_path):
    from sam2_core.volumes.labels import open_label_writer

    with open_label_writer(
        tmp_path / "a.zarr",
        length=2,
        frame_size=(4, 5),
        axis="t",
        spacing=(3, 0.5, 0.25),
        unit="micrometer",
        metadata={"model": "tiny"},
    ) as writer:
        writer.write(0, np.ones((4, 5), int))
    for name in ("b.tif", "c.json", "d.ome.tif", "e.zip", "f.zarr"):
        with open_labels(convert_labels(tmp_path / "a.zarr", tmp_path / name)) as stack:
            assert (stack.axis, stack.unit, stack.metadata) == ("t", "micrometer", {"model": "tiny"})
            assert stack.spacing == pytest.approx((3, 0.5, 0.25))
