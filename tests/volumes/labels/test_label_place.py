from __future__ import annotations

import fsspec
import pytest
import zarr

from sam2_core.errors import InvalidInputError, MissingDependencyError
from sam2_core.volumes.labels.label_place import LabelPlace


@pytest.mark.parametrize(
    ("address", "store", "name"),
    [
        ("image.zarr/labels/cells", "image.zarr", "cells"),
        ("a/image.zarr/labels/cells/", "a/image.zarr", "cells"),
        ("cells.zarr", "cells.zarr", None),
        ("s3://bucket/image.zarr/labels/cells", "s3://bucket/image.zarr", "cells"),
        ("memory://cells.zarr", "memory://cells.zarr", None),
        ("folder/0/labels/cells", "folder/0", "cells"),
    ],
)
def test_addresses(address, store, name):
    place = LabelPlace.parsed(address)
    assert (place.store.replace("\\", "/"), place.name) == (store, name)


def test_an_address_that_leads_elsewhere():
    with pytest.raises(InvalidInputError, match=r"image\.zarr/labels/cells"):
        LabelPlace.parsed("image.zarr/0")


@pytest.mark.parametrize("kind", ["disk", "url"])
def test_whether_anything_is_there(tmp_path, kind):
    base = tmp_path.as_posix() if kind == "disk" else f"memory://{tmp_path.name}"
    files, root = fsspec.url_to_fs(base)
    places = {name: LabelPlace.parsed(f"{base}/{name}") for name in ("a.zarr", "b.zarr", "a.zarr/labels/cells")}
    assert not any(place.is_occupied() for place in places.values())

    files.makedirs(f"{root}/a.zarr")
    files.pipe_file(f"{root}/a.zarr/notes.txt", b"mine")
    assert [place.is_occupied() for place in places.values()] == [True, False, False]
    zarr.create_array(f"{base}/a.zarr/labels/cells", shape=(2, 2), dtype="u1")
    assert [place.is_occupied() for place in places.values()] == [True, False, True]
    assert places["a.zarr/labels/cells"].group("labels/cells") is None  # an array is no group

    places["a.zarr"].remove_store()
    assert not any(place.is_occupied() for place in places.values())


def test_a_scheme_without_its_package_says_what_to_install(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(zarr, "open_group", refuse)
    with pytest.raises(MissingDependencyError, match="s3fs"):
        LabelPlace.parsed("s3://bucket/a.zarr").group("")
