"""Stacks in, labels out: pictures, TIFF stacks, folders of frames, videos and arrays, each read only when looked at."""

from __future__ import annotations

from sam2_core.volumes.contrast import ContrastLimits
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames
from sam2_core.volumes.labels import LabelStack, LabelWriter, convert_labels, open_label_writer, open_labels

__all__ = [
    "ContrastLimits",
    "FrameStack",
    "LabelStack",
    "LabelWriter",
    "convert_labels",
    "open_frames",
    "open_label_writer",
    "open_labels",
]
