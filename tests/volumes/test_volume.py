from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes import Volume, open_volume
from sam2_core.volumes.volume import read_channels

PIXELS = np.random.default_rng(3).integers(0, 60000, (2, 3, 4, 5, 6)).astype(np.uint16)


class Counted(Volume):
    """Remembers the regions that were read."""

    def __init__(self, pixels, axes, **described):
        super().__init__(name="counted", axes=axes, shape=pixels.shape, dtype=pixels.dtype, **described)
        self.pixels, self.regions = pixels, []

    def _read_region(self, region):
        self.regions.append(region)
        return self.pixels[region]


index = st.one_of(
    st.integers(0, 1), st.slices(4), st.builds(slice, st.none(), st.integers(-3, 8), st.sampled_from([1, 2, None]))
)


@given(st.dictionaries(st.sampled_from("tczyx"), index))
def test_regions_are_numpy_s(wanted):
    volume = Counted(PIXELS, "tczyx")
    picked = tuple(wanted.get(axis, slice(None)) for axis in "tczyx")
    if any(isinstance(part, slice) and (part.step or 1) < 1 for part in picked):
        with pytest.raises(InvalidInputError, match="forward"):
            volume.read(wanted)
        return
    assert np.array_equal(volume.read(wanted), PIXELS[picked])
    for region in volume.regions:
        assert all(part.start < part.stop for part in region)


def test_positions_outside_and_axes_that_are_not_there():
    volume = Counted(PIXELS, "tczyx")
    for axis, position in (("z", 4), ("z", -1), ("x", 6)):
        with pytest.raises(InvalidInputError, match=f"Axis {axis} of counted has positions 0 to"):
            volume.read({axis: position})
    with pytest.raises(InvalidInputError, match="no axis 'q'"):
        volume.read({"q": 0})
    with pytest.raises(InvalidTypeError, match="integer"):
        volume.read({"z": 0.5})
    assert volume.regions == []


def test_failures_say_where():
    class Failing(Counted):
        def _read_region(self, region):
            raise OSError("the disk is gone")

    with pytest.raises(InvalidInputError, match=r"counted cannot be read at t 1, c 0 to 2, z 0 to 3, .*disk is gone"):
        Failing(PIXELS, "tczyx").read({"t": 1})

    class Short(Counted):
        def _read_region(self, region):
            return self.pixels[region][..., :-1]

    with pytest.raises(InvalidInputError, match="expected"):
        Short(PIXELS, "tczyx").read()


def test_descriptions_are_kept_where_they_fit():
    volume = Counted(
        PIXELS,
        "tczyx",
        scale={"t": 3, "z": 2.0, "y": 0.0, "q": 1.0},
        units={"t": "s", "z": "µm", "x": "pixel"},
        channel_names=("a", "b"),
    )
    assert volume.scale == {"t": 3.0, "z": 2.0}
    assert volume.units == {"t": "second", "z": "micrometer"}
    assert volume.channel_names == ("0", "1", "2")
    assert volume.chunks == (1, 1, 1, 5, 6)
    assert repr(volume) == "<Counted 'counted': t 2, c 3, z 4, y 5, x 6, uint16>"
    with pytest.raises(InvalidInputError, match="is empty: z 0, y 4"):
        Counted(np.zeros((0, 4, 4), np.uint8), "zyx")
    with pytest.raises(InvalidTypeError, match="complex"):
        Counted(np.zeros((4, 4), complex), "yx")


@pytest.mark.parametrize(
    ("channels", "chunk", "reads"),
    [((0, 1, 2), 1, 1), ((1,), 1, 1), ((2, 0), 1, 2), ((2, 0), 3, 1), ((2, 1, 0), 2, 2), ((0, 0), 1, 1)],
)
def test_channels_are_read_once_by_chunks(channels, chunk, reads):
    volume = Counted(PIXELS, "tczyx", chunks=(1, chunk, 1, 5, 6))
    region = (slice(0, 2), slice(0, 1), slice(1, 3), slice(0, 5), slice(2, 4))
    assert np.array_equal(read_channels(volume, region, channels), PIXELS[:, channels, 1:3, :, 2:4])
    assert len(volume.regions) == reads


def test_closing_a_stack_closes_its_volume():
    closed = []

    class Closing(Counted):
        def close(self):
            closed.append(self.name)

    with Closing(PIXELS, "tczyx").stack("z", {"t": 0}):
        assert closed == []
    assert closed == ["counted"]
    with open_volume(PIXELS, axes="tczyx", channels=(0,)) as volume:
        assert volume.read({"t": 0, "c": 0, "z": 0, "y": 0, "x": 0}) == PIXELS[0, 0, 0, 0, 0]
