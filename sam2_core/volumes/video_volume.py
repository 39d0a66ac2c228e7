"""Video files as volumes, decoded with PyAV: every frame exactly, in bounded memory."""

from __future__ import annotations

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.volume import Volume

CACHE_BYTES = 128 * 2**20


class VideoVolume(Volume):
    """A video (mp4, mov, avi, mkv, webm, gif, …): axes t, c, y, x, frames in the order they are shown.

    Frames are found by their timestamps, so that frame `index` is always the same picture, however it was reached.
    Reading in order decodes each frame once; a jump decodes from the nearest key frame before it. Recently decoded
    frames are kept (128 MiB of them), so that reading backwards does not decode a whole group of pictures each time.

    Parameters
    ----------
    source : Path or bytes
    name : str, optional
        What messages call it.
    frame_size : (int, int), optional
        (height, width) to scale frames to while they are converted to RGB: bilinear, in the video's own colour planes,
        as decord does it for the official predictor. Their own size by default.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidInputError
        Not a video, no pictures in it, or cut short.
    """

    def __init__(
        self,
        source: Path | bytes,
        *,
        name: str | None = None,
        cache_bytes: int = CACHE_BYTES,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        self._scaled_size = frame_size
        label = name or (source.name if isinstance(source, Path) else "video")
        self._lock = threading.Lock()
        self._source = source
        self._stamp = FileStamp.of(source) if isinstance(source, Path) else None
        self._container = _opened(source, label)
        try:
            self._stream = self._video_stream(label)
            self._timestamps, self._keyframe_timestamps = self._indexed_packets(label)
            first = self._first_frame(label)
            self._position = -1
            self._decoder: Iterator[VideoFrame] | None = None
            height, width = first.shape[:2]
            rate = self._stream.average_rate
            super().__init__(
                name=label,
                axes="tcyx",
                shape=(len(self._timestamps), 3, height, width),
                dtype=np.dtype(np.uint8),
                chunks=(1, 3, height, width),
                scale={"t": float(1 / rate)} if rate else None,
                units={"t": "second"} if rate else None,
                address=str(source) if isinstance(source, Path) else None,
                colour=True,
            )
        except BaseException:
            self._container.close()
            raise
        self._capacity = max(2, cache_bytes // max(1, first.nbytes))
        self._cache: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._decoder = None
            self._cache.clear()
            self._container.close()

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the file; see :meth:`Volume.source_file`."""
        return None if self._stamp is None else (self._stamp.path, str(self._scaled_size))

    def scaled_to(self, frame_size: tuple[int, int]) -> Volume:
        """Open the same video with its frames scaled to (height, width) by the decoder."""
        return VideoVolume(self._source, name=self.name, frame_size=frame_size)

    def _video_stream(self, label: str) -> VideoStream:
        streams = self._container.streams.video
        if not streams:
            raise InvalidInputError(
                f"{label} holds no pictures (only sound or data). A file with a video track is needed."
            )
        stream = streams[0]
        stream.thread_type = "AUTO"
        return stream

    def _indexed_packets(self, label: str) -> tuple[list[int], list[int]]:
        """Timestamps of all frames in showing order and of the key frames among them, without decoding."""
        timestamps: list[int] = []
        keyframes: list[int] = []
        packet_count, is_complete = 0, True
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:
                    continue  # the marker that ends the stream
                packet_count += 1
                if packet.is_discard:
                    continue  # outside the file's edit list: decoded for later frames, never shown
                if packet.pts is None:
                    is_complete = False
                    continue
                timestamps.append(packet.pts)
                if packet.is_keyframe:
                    keyframes.append(packet.pts)
        except av.error.FFmpegError as error:
            raise _cut_short(label, str(error)) from error
        if self._stream.frames > packet_count:
            raise _cut_short(label, f"{self._stream.frames} frames are announced, {packet_count} are there")
        if not is_complete or len(set(timestamps)) != len(timestamps) or not keyframes:
            # some containers (raw streams, old AVI) leave timestamps to the decoder: ask it, once
            return self._indexed_frames(label)
        return sorted(timestamps), sorted(keyframes)

    def _indexed_frames(self, label: str) -> tuple[list[int], list[int]]:
        timestamps: list[int] = []
        keyframes: list[int] = []
        try:
            self._rewind(0)
            for frame in self._container.decode(self._stream):
                if frame.pts is None:
                    raise InvalidInputError(
                        f"The frames of {label} carry no timestamps, so that none can be found again. Put them into a "
                        "container such as mp4 (ffmpeg -i IN -c copy OUT.mp4)."
                    )
                timestamps.append(frame.pts)
                if frame.key_frame:
                    keyframes.append(frame.pts)
        except av.error.FFmpegError as error:
            raise _cut_short(label, str(error)) from error
        if not timestamps:
            raise InvalidInputError(f"{label} holds no frame that can be decoded.")
        return sorted(set(timestamps)), sorted(keyframes)

    def _first_frame(self, label: str) -> NDArray[np.uint8]:
        if not self._timestamps:
            raise InvalidInputError(f"{label} holds no frames.")
        self._rewind(self._timestamps[0])
        try:
            return _as_array(next(self._container.decode(self._stream)), self._scaled_size)
        except (StopIteration, av.error.FFmpegError) as error:
            raise InvalidInputError(
                f"{label} cannot be decoded ({error}). It may be damaged, or in a format this FFmpeg lacks."
            ) from error

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        frames, channels, rows, columns = region
        if self._stamp is not None:
            self._stamp.check()
        lengths = [part.stop - part.start for part in region]
        pixels = np.empty((lengths[0], lengths[2], lengths[3], lengths[1]), dtype=np.uint8)
        for place, index in enumerate(range(frames.start, frames.stop)):
            pixels[place] = self._frame(index)[rows, columns, channels]
        return pixels.transpose(0, 3, 1, 2)

    def _frame(self, index: int) -> NDArray[np.uint8]:
        with self._lock:
            cached = self._cache.get(index)
            if cached is not None:
                self._cache.move_to_end(index)
                return cached
            return self._decoded(index)

    def _decoded(self, index: int) -> NDArray[np.uint8]:
        target = self._timestamps[index]
        starts = self._starts(index)
        for start in starts:
            if start is not None:
                self._rewind(start)
                self._decoder = None
            if self._decoder is None:
                self._decoder = self._container.decode(self._stream)
                self._position = -1
            found = self._decode_until(index, target)
            if found is not None:
                return found
            self._decoder = None
        raise InvalidInputError(
            f"Frame {index} of {self.name} is announced but cannot be decoded. The file is damaged; convert it anew "
            "(ffmpeg -i IN OUT.mp4)."
        )

    def _starts(self, index: int) -> list[int | None]:
        """Where decoding may start for this frame, best first; None: go on where the decoder stands."""
        target = self._timestamps[index]
        number = bisect_right(self._keyframe_timestamps, target) - 1
        keyframe = self._keyframe_timestamps[max(0, number)]
        earlier = self._keyframe_timestamps[max(0, number - 1)]
        # a container may seek a little late, so an earlier key frame and then the very beginning come after
        starts: list[int | None] = [keyframe, earlier, self._timestamps[0]]
        is_ahead = self._decoder is not None and self._position < index
        if is_ahead and (self._position < 0 or self._timestamps[self._position] >= keyframe):
            starts.insert(0, None)
        return starts

    def _decode_until(self, index: int, target: int) -> NDArray[np.uint8] | None:
        if self._decoder is None:
            return None
        positions = {self._timestamps[place]: place for place in range(max(0, index - self._capacity + 1), index)}
        try:
            for frame in self._decoder:
                if frame.pts == target:
                    self._position = index
                    return self._kept(index, _as_array(frame, self._scaled_size))
                if frame.pts is not None and frame.pts > target:
                    return None
                # frames on the way are kept too, as many as fit: going backwards will want them
                place = positions.get(frame.pts) if frame.pts is not None else None
                if place is not None and place not in self._cache:
                    self._kept(place, _as_array(frame, self._scaled_size))
        except (av.error.EOFError, StopIteration):
            return None
        except av.error.FFmpegError as error:
            raise InvalidInputError(
                f"{self.name} cannot be decoded up to frame {index} ({error}). The file is damaged; convert it anew "
                "(ffmpeg -i IN OUT.mp4)."
            ) from error
        return None

    def _kept(self, index: int, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        frame.setflags(write=False)
        self._cache[index] = frame
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)
        return frame

    def _rewind(self, timestamp: int) -> None:
        try:
            self._container.seek(timestamp, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            # raw streams cannot seek at all: begin anew
            self._container.close()
            self._container = _opened(self._source, "video")
            self._stream = self._video_stream("video")


def _opened(source: Path | bytes, label: str) -> InputContainer:
    try:
        return av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), mode="r")
    except (FileNotFoundError, av.error.FileNotFoundError):
        raise MissingFileError(f"There is no file {source!s}.") from None
    except av.error.FFmpegError as error:
        raise InvalidInputError(
            f"{label} is not a video that can be read ({error}). It may be cut short, or another kind of file."
        ) from error


def _as_array(frame: VideoFrame, frame_size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """RGB, turned upright as the file says, scaled if a size is given: (y, x, 3)."""
    quarter_turns = round(frame.rotation / 90) % 4
    if frame_size is None:
        pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    else:
        # scaled as it is stored, which may be lying on its side
        height, width = frame_size[::-1] if quarter_turns % 2 else frame_size
        scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation="BILINEAR")
        pixels = scaled.to_ndarray().astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _cut_short(label: str, detail: str) -> InvalidInputError:
    return InvalidInputError(f"{label} is cut short or damaged: {detail}. Copy or download it again.")
