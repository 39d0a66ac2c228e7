"""Volumes in, frames and labels out: images of named axes, far larger than memory, read only where looked at."""

from __future__ import annotations

from sam2_core.volumes.contrast import ContrastLimits
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames
from sam2_core.volumes.labels import LabelStack, LabelWriter, convert_labels, open_label_writer, open_labels
from sam2_core.volumes.reader import OpenOptions, Reader
from sam2_core.volumes.readers import open_volume
from sam2_core.volumes.volume import Volume

__all__ = [
    "ContrastLimits",
    "FrameStack",
    "LabelStack",
    "LabelWriter",
    "OpenOptions",
    "Reader",
    "Volume",
    "convert_labels",
    "open_frames",
    "open_label_writer",
    "open_labels",
    "open_volume",
]
