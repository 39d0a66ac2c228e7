"""``sam2 open STACK --in jupyter``: a notebook that shows the stack, in JupyterLab."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from sam2_core.errors import DestinationExistsError, MissingDependencyError
from sam2_core.hooks import FrontEnd, hookimpl


def open_in_lab(source: str, *, notebook: str = "annotate.ipynb", folder: str = "", start: bool = True) -> None:
    """Write a notebook that shows a stack, and open it in JupyterLab.

    Parameters
    ----------
    source : str
        Path or URL of an image.
    notebook : str
        Where the notebook is written.
    folder : str
        Where the session is kept; by default beside the notebook, under its name.
    start : bool
        Start JupyterLab; otherwise the notebook is written only.

    Raises
    ------
    DestinationExistsError
        There is such a notebook, which shows something else.
    MissingDependencyError
        JupyterLab is not installed.
    """
    path = Path(notebook)
    kept = folder or str(path.with_suffix("")) + "_session"
    text = notebook_text(source, kept)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DestinationExistsError(f"{path} exists already. Open it in JupyterLab, or name another with notebook=.")
    path.write_text(text, encoding="utf-8")
    if not start:
        return
    if find_spec("jupyterlab") is None:
        raise MissingDependencyError(
            f"{path} is written, but JupyterLab is not installed: pip install jupyterlab, or open it elsewhere."
        )
    subprocess.run([sys.executable, "-m", "jupyterlab", str(path)], check=False)


def notebook_text(source: str, folder: str) -> str:
    """A notebook of one cell, as JSON."""
    local = Path(source)
    place = str(local.resolve()) if local.exists() else source
    code = f"from sam2_jupyter import annotate\n\nw = annotate({place!r}, {folder!r})\nw"
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "annotate",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1) + "\n"


@hookimpl
def sam2_front_ends() -> Iterable[FrontEnd]:
    """List it."""
    return [FrontEnd("jupyter", "a notebook in JupyterLab, with the stack to click on", open=open_in_lab)]
