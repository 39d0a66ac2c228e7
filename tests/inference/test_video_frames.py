"""Frames reach the model as the official loaders bring them, a few at a time."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD, FrameTransform
from sam2_core.inference.video_frames import PreparedFrames, open_prepared_frames
from sam2_core.volumes import open_frames
from tests.inference.counting_frames import CountingFrames
from tests.inference.video_scene import FRAME_COUNT, HEIGHT, WIDTH, stack

SIZE = (64, 96)
CPU = torch.device("cpu")


def prepared(source: object, **options: int) -> PreparedFrames:
    return open_prepared_frames(source, input_size=SIZE, device=CPU, **options)  # type: ignore[arg-type]


def normalised(pixels: np.ndarray) -> torch.Tensor:
    """The official arithmetic: 8-bit values over 255, less the mean, over the deviation."""
    values = torch.from_numpy(pixels / 255.0).permute(2, 0, 1).float()
    return (values - torch.tensor(IMAGE_MEAN)[:, None, None]) / torch.tensor(IMAGE_STD)[:, None, None]


def write_folder(folder: Path, ending: str) -> None:
    folder.mkdir()
    for index, frame in enumerate(stack()):
        Image.fromarray(frame).save(folder / f"{index}.{ending}", quality=95)


def video_bytes(frames: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = *frames.shape[1:3], "yuv420p", 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def test_jpeg_folders_are_resized_at_8_bits_with_the_default_filter_of_pillow(tmp_path: Path) -> None:
    write_folder(tmp_path / "frames", "jpg")
    frames = prepared(str(tmp_path / "frames"))

    assert (len(frames), frames.frame_size) == (FRAME_COUNT, (HEIGHT, WIDTH))
    for index in (0, 5):
        with Image.open(tmp_path / "frames" / f"{index}.jpg") as picture:
            expected = normalised(np.array(picture.convert("RGB").resize((SIZE[1], SIZE[0]))))
        torch.testing.assert_close(frames[index], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["png folder", "tiff folder", "tiff stack", "array", "list", "list of pictures"])
def test_every_kind_of_stack_gives_the_same_frames(kind: str, tmp_path: Path) -> None:
    sources = {
        "tiff stack": lambda: tmp_path / "stack.tif",
        "array": stack,
        "list": lambda: list(stack()),
        "list of pictures": lambda: [Image.fromarray(frame) for frame in stack()],
    }
    tifffile.imwrite(tmp_path / "stack.tif", stack(), photometric="rgb")
    if kind.endswith("folder"):
        (tmp_path / "frames").mkdir()
        for index, frame in enumerate(stack()):
            if kind.startswith("png"):
                Image.fromarray(frame).save(tmp_path / "frames" / f"{index}.png")
            else:
                tifffile.imwrite(tmp_path / "frames" / f"{index}.tif", frame, photometric="rgb")
    frames = prepared(sources[kind]() if kind in sources else tmp_path / "frames")

    expected = prepared(stack())
    assert len(frames) == FRAME_COUNT
    assert all(torch.equal(frame, other) for frame, other in zip(frames, expected, strict=True))


def test_videos_are_scaled_as_a_decoder_scales_them(tmp_path: Path) -> None:
    frames = stack()
    content = video_bytes(frames)
    (tmp_path / "video.mp4").write_bytes(content)

    from_file, from_bytes = prepared(tmp_path / "video.mp4"), prepared(content)

    assert len(from_file) == FRAME_COUNT
    assert torch.equal(from_file[3], from_bytes[3])
    assert from_file.transform.resampling == "decoder"
    with av.open(io.BytesIO(content)) as container:
        decoded = [
            frame.reformat(width=SIZE[1], height=SIZE[0], format="rgb24", interpolation="BILINEAR").to_ndarray()
            for frame in container.decode(video=0)
        ]
    torch.testing.assert_close(from_file[3], normalised(decoded[3]), rtol=0, atol=1e-6)
    assert from_file.frame_size == (HEIGHT, WIDTH)


def test_few_frames_are_kept() -> None:
    source = CountingFrames(stack())
    frames = PreparedFrames(source, FrameTransform(SIZE, "frame"), CPU, cached_frames=2)
    for index in range(FRAME_COUNT):
        frames[index]
    frames[FRAME_COUNT - 1]
    frames[0]

    assert source.reads == [*range(FRAME_COUNT), 0]
    assert len(frames._cache) == 2


def test_frames_are_read_ahead_in_the_direction_of_travel() -> None:
    source = CountingFrames(stack())
    frames = PreparedFrames(source, FrameTransform(SIZE, "frame"), CPU, cached_frames=2, frames_ahead=2)
    expected = PreparedFrames(open_frames(stack()), FrameTransform(SIZE, "frame"), CPU)
    for index in [*range(FRAME_COUNT), *reversed(range(FRAME_COUNT))]:
        assert torch.equal(frames[index], expected[index])
        assert len(frames._upcoming) <= 2
    frames[6]
    frames[5]

    assert set(frames._upcoming) <= {3, 4}
    frames.close()


def test_an_error_of_the_background_is_raised_where_its_frame_is_asked_for() -> None:
    source = CountingFrames(stack(), failing=2)
    frames = PreparedFrames(source, FrameTransform(SIZE, "frame"), CPU, frames_ahead=4)
    frames[0]
    frames[1]

    with pytest.raises(OSError, match="gone at frame 2"):
        frames[2]
    source.failing = None
    assert frames[2].shape == (3, *SIZE)
    assert frames[3].shape == (3, *SIZE)
    frames.close()


def test_frames_are_counted_from_the_end_too_and_iteration_stops() -> None:
    frames = prepared(stack())

    assert torch.equal(frames[-1], frames[FRAME_COUNT - 1])
    assert len(list(frames)) == FRAME_COUNT
    with pytest.raises(IndexError, match="8 frames"):
        frames[FRAME_COUNT]


def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG not at all")
    with pytest.raises(MissingFileError, match="nowhere"):
        prepared(tmp_path / "nowhere.mp4")
    with pytest.raises(InvalidInputError, match="holds no pictures"):
        prepared(tmp_path / "empty")
    with pytest.raises(InvalidInputError, match=r"broken\.png"):
        prepared(tmp_path / "broken.png")
    with pytest.raises(InvalidInputError, match="cached_frames"):
        prepared(stack(), cached_frames=0)
