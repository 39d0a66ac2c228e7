from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_frames, open_volume
from sam2_core.volumes.video_volume import VideoVolume

HEIGHT, WIDTH = 48, 64


def numbered_frame(number):
    """A frame that says its number: eight blocks, black or white."""
    bits = np.array([(number >> bit) & 1 for bit in range(8)], np.uint8) * 255
    return np.repeat(np.repeat(np.repeat(bits.reshape(2, 4), 24, axis=0), 16, axis=1)[..., None], 3, axis=2)


def number_of(frame):
    blocks = frame[..., 1].reshape(2, 24, 4, 16).mean(axis=(1, 3)).reshape(-1)
    return int(sum(1 << bit for bit in range(8) if blocks[bit] > 128))


def encoded(target, count, *, codec="libx264", container_format=None, options=None, gop=12, rate=25, step=1):
    with av.open(target, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.gop_size = gop
        stream.time_base = Fraction(1, rate)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts = number * step
            frame.time_base = Fraction(1, rate)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return encoded(str(tmp_path_factory.mktemp("video") / "a.mp4"), 60, options={"bf": "3"})


def test_every_frame_in_order(movie):
    with open_frames(movie) as stack:
        assert (len(stack), stack.frame_size, stack.axis) == (60, (HEIGHT, WIDTH), "t")
        assert [number_of(frame) for frame in stack] == list(range(60))


@pytest.mark.parametrize("capacity", [2, 100])
def test_frames_in_any_order(movie, capacity):
    volume = VideoVolume(Path(movie).read_bytes(), cache_bytes=capacity * HEIGHT * WIDTH * 3)
    stack = volume.stack(budget_bytes=1)
    order = [59, 0, 30, 29, 28, 31, 32, 5, 59, 58, 11, 12, 13, 12, 23, 24, 25, 0]
    order += list(np.random.default_rng(0).integers(0, 60, 40))
    assert [number_of(stack.read(index)) for index in order] == [int(index) for index in order]
    assert len(volume._cache) <= capacity
    assert [number_of(stack.read(index)) for index in reversed(range(60))] == list(reversed(range(60)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.mov", "mpeg4"), ("a.avi", "mpeg4"), ("a.webm", "libvpx"), ("a.gif", "gif")],
)
def test_other_containers(tmp_path, name, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = encoded(str(tmp_path / name), 30, codec=codec)
    stack = open_frames(path)
    assert len(stack) == 30
    assert [number_of(stack.read(index)) for index in (0, 17, 3, 29, 16)] == [0, 17, 3, 29, 16]


def test_raw_streams_without_timestamps(tmp_path):
    path = encoded(str(tmp_path / "a.h264"), 20, container_format="h264", options={"bf": "0"})
    with pytest.raises(InvalidInputError, match="no timestamps"):
        open_frames(Path(path).read_bytes())


def test_uneven_frame_times(tmp_path):
    path = encoded(str(tmp_path / "a.mp4"), 20, step=3)
    stack = open_frames(path)
    assert [number_of(stack.read(index)) for index in (19, 4, 5)] == [19, 4, 5]


def test_a_frame_handed_out_cannot_spoil_the_cache(movie):
    stack = open_frames(movie)
    frame = stack.read(3)
    if frame.flags.writeable:
        frame[:] = 0
    assert number_of(stack.read(3)) == 3


def test_a_phone_s_rotation_is_applied(movie):
    content = bytearray(Path(movie).read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    # the track header's matrix for "turn by 90 degrees clockwise when showing"
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, HEIGHT << 16, 0, 1 << 30)
    stack = open_frames(bytes(content))
    assert stack.frame_size == (WIDTH, HEIGHT)
    assert number_of(np.rot90(stack.read(37), 1)) == 37


@pytest.mark.parametrize("part", [0.01, 0.5, 0.95])
@pytest.mark.parametrize("fast_start", [False, True])
def test_cut_files_are_refused(tmp_path, part, fast_start):
    path = str(tmp_path / "a.mp4")
    with av.open(path, "w", options={"movflags": "faststart"} if fast_start else {}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(40):
            for packet in stream.encode(av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    content = Path(path).read_bytes()
    with pytest.raises(InvalidInputError):
        list(open_frames(content[: int(len(content) * part)]))


def test_missing_foreign_and_silent_files(tmp_path):
    with pytest.raises(MissingFileError):
        open_frames(tmp_path / "none.mp4")
    (tmp_path / "a.mp4").write_text("not a video")
    with pytest.raises(InvalidInputError, match="not a video"):
        open_frames(tmp_path / "a.mp4")
    sound = io.BytesIO()
    with av.open(sound, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 48000
        for packet in [*stream.encode(samples), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(InvalidInputError, match="holds no pictures"):
        open_frames(sound.getvalue())


def test_one_colour_can_be_chosen(movie):
    stack = open_frames(movie, channels=("green",))
    assert stack.channel_count == 1
    assert number_of(stack.read(21)) == 21
    with pytest.raises(InvalidInputError, match="channels 0 to 2"):
        open_frames(movie, channels=(3,))


def test_time_has_the_scale_of_the_frame_rate(movie):
    with open_volume(movie) as volume:
        assert volume.axes == "tcyx"
        assert volume.scale == {"t": 1 / 25}
        assert volume.units == {"t": "second"}
        assert volume.stack().spacing == (1 / 25, 1.0, 1.0)


def test_frames_scaled_by_the_decoder_keep_the_contrast(movie):
    stack = open_frames(movie, contrast=(0, 100))
    scaled = stack.scaled_to((24, 32))
    assert scaled.frame_size == (24, 32)
    assert scaled.contrast_limits == stack.contrast_limits
    assert open_frames(movie, channels=(0,)).scaled_to((24, 32)) is None


def test_slices_across_time(movie):
    with open_volume(movie) as volume:
        whole = volume.read()
        stack = volume.stack(along="y", plane="tx", channels=(1,))
        assert np.array_equal(stack.read_raw(5)[..., 0], whole[:, 1, 5, :])


def test_a_video_that_is_replaced_while_read_is_noticed(movie, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(Path(movie).read_bytes())
    stack = open_frames(path)
    stack.read(0)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InvalidInputError, match="changed since it was opened"):
        stack.read(30)
