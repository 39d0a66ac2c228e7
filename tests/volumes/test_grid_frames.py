"""The frames of a volume along two axes are those along one, one stack after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import open_volume
from sam2_core.volumes.grid_frames import STACKS_AT_HAND
from sam2_core.volumes.volume_frames import VolumeFrames

PIXELS = np.random.default_rng(0).integers(0, 60_000, (5, 2, 4, 12, 16)).astype(np.uint16)
SCALE = {"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.25}


@pytest.fixture(params=["array", "zarr"])
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    if request.param == "array":
        return open_volume(PIXELS, axes="tczyx", scale=SCALE)
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=PIXELS.shape, dtype="u2", chunks=(2, 1, 3, 8, 8))
    array[:] = PIXELS
    return open_volume(str(tmp_path / "a.zarr"), axes="tczyx", scale=SCALE)


def test_frames_in_any_order(volume: object) -> None:
    with volume.stack("tz", channels=[1]) as stack:  # type: ignore[attr-defined]
        assert len(stack) == 20
        assert (stack.axis, stack.grid.axes, stack.grid.sizes) == ("tz", "tz", (5, 4))
        assert stack.grid.steps == (30.0, 2.0)
        assert stack.spacing == (2.0, 0.5, 0.25)
        # more times than are kept at hand
        assert stack.grid.sizes[0] > STACKS_AT_HAND
        for frame in [*range(20), *range(19, -1, -3), *stack.grid.line("t", 2)]:
            t, z = divmod(frame, 4)
            assert np.array_equal(stack.read_raw(frame)[..., 0], PIXELS[t, 1, z])
            part = stack.read_raw_window(frame, slice(2, 9), slice(3, 15))
            assert np.array_equal(part[..., 0], PIXELS[t, 1, z, 2:9, 3:15])


def test_frames_from_many_threads(volume: object) -> None:
    def read(seed: int) -> None:
        for frame in np.random.default_rng(seed).permutation(20).tolist():
            assert np.array_equal(stack.read_raw(frame)[..., 0], PIXELS[frame // 4, 1, frame % 4])

    with volume.stack("tz", channels=[1]) as stack, ThreadPoolExecutor(6) as threads:  # type: ignore[attr-defined]
        for done in [threads.submit(read, seed) for seed in range(24)]:
            done.result()


def test_a_time_that_is_being_read_is_not_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = open_volume(PIXELS, axes="tczyx").stack("tz", channels=[1])
    gone: list[int] = []
    during: list[list[int]] = []
    real = VolumeFrames._read_raw

    def read_raw(self: VolumeFrames, index: int) -> object:
        if self.fixed["t"] == 0:
            # as another thread might meanwhile
            for time in range(1, 5):
                stack.read_raw(4 * time)
            during.append([*gone])
        return real(self, index)

    monkeypatch.setattr(VolumeFrames, "_read_raw", read_raw)
    monkeypatch.setattr(VolumeFrames, "let_go", lambda self: gone.append(self.fixed["t"]))

    assert np.array_equal(stack.read_raw(1)[..., 0], PIXELS[0, 1, 1])
    assert during == [[1, 2]]
    stack.read_raw(4 * 1)
    assert gone == [1, 2, 0]


def test_the_other_order_of_the_axes() -> None:
    stack = open_volume(PIXELS, axes="tczyx").stack("zt", channels=[0])

    assert np.array_equal(stack.read_raw(7)[..., 0], PIXELS[2, 0, 1]), "z 1, t 2"


def test_one_contrast_for_all_times() -> None:
    dim = PIXELS.copy()
    dim[1:] //= 10
    stack = open_volume(dim, axes="tczyx").stack("tz", channels=[0])

    assert stack.read(0).max() > 200
    assert stack.read(4).max() < 40


def test_another_plane() -> None:
    stack = open_volume(PIXELS, axes="tczyx").stack("ty", plane="zx", channels=[0])

    assert stack.frame_size == (4, 16)
    assert np.array_equal(stack.read_raw(15)[..., 0], PIXELS[1, 0, :, 3])


@pytest.mark.parametrize(
    ("along", "at"), [("tq", None), ("tt", None), ("tz", {"t": 0}), ("tz", {"z": 0}), ("tx", None)]
)
def test_axes_that_cannot_be(along: str, at: dict[str, int] | None) -> None:
    with pytest.raises(InvalidInputError):
        open_volume(PIXELS, axes="tczyx").stack(along, at, channels=[0])


def test_files_stay_open_until_it_is_closed(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", PIXELS[:, 0], imagej=True, metadata={"axes": "TZYX"})
    with open_volume(tmp_path / "a.tif") as volume, volume.stack("tz") as stack:
        for frame in range(20):
            assert np.array_equal(stack.read_raw(frame)[..., 0], PIXELS[frame // 4, 0, frame % 4])
        assert stack.source_file(3) != stack.source_file(7)
