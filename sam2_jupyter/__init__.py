"""SAM 2 in notebooks: ``from sam2_jupyter import annotate; w = annotate("cells.zarr")``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sam2_core.errors import MissingDependencyError

# Public name -> the module that defines it. The front-end is listed as a plugin wherever the package is installed, also
# where the libraries of notebooks are not.
_HOMES = {
    "AnnotationWidget": "sam2_jupyter.widget",
    "OptionsForm": "sam2_jupyter.forms",
    "annotate": "sam2_jupyter.annotation",
    "fine_tune_form": "sam2_jupyter.forms",
    "picture": "sam2_jupyter.frame_picture",
    "propagation_form": "sam2_jupyter.forms",
    "sample": "sam2_jupyter.sample",
}

__all__ = ["AnnotationWidget", "OptionsForm", "annotate", "fine_tune_form", "picture", "propagation_form", "sample"]

if TYPE_CHECKING:
    from sam2_jupyter.annotation import annotate
    from sam2_jupyter.forms import OptionsForm, fine_tune_form, propagation_form
    from sam2_jupyter.frame_picture import picture
    from sam2_jupyter.sample import sample
    from sam2_jupyter.widget import AnnotationWidget


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562) and keep it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("anywidget", "ipywidgets", "magicgui", "traitlets"):
            raise
        raise MissingDependencyError(
            f"The notebook widget needs {error.name}, which is not installed: pip install 'sam2-lab[jupyter]'."
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value
