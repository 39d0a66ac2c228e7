"""SAM 2 in notebooks: ``from sam2_jupyter import annotate; w = annotate("cells.zarr")``."""

from __future__ import annotations

from sam2_jupyter.annotate import annotate
from sam2_jupyter.widget import AnnotationWidget

__all__ = ["AnnotationWidget", "annotate"]
