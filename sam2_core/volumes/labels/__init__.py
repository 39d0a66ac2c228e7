"""Labels out and in: OME-Zarr, TIFF, PNG palettes, Cell Tracking Challenge folders, COCO JSON and ImageJ ROIs."""

from __future__ import annotations

from sam2_core.volumes.labels.conversion import convert_labels
from sam2_core.volumes.labels.formats import label_formats
from sam2_core.volumes.labels.label_stack import ArrayLabels, LabelStack
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import MAX_LABEL, LabelLayout
from sam2_core.volumes.labels.opening import open_label_writer, open_labels

__all__ = [
    "MAX_LABEL",
    "ArrayLabels",
    "LabelLayout",
    "LabelStack",
    "LabelWriter",
    "convert_labels",
    "label_formats",
    "open_label_writer",
    "open_labels",
]
