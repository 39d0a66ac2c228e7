"""The example notebooks run, one after the other in one kernel, and show pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

nbclient = pytest.importorskip("nbclient", reason="needs nbclient; install the group test")
nbformat = pytest.importorskip("nbformat", reason="needs nbformat; install the group test")
pytest.importorskip("ipykernel", reason="needs ipykernel; install the group test")

#: Trains for real.
LONG = {"notebook_7_fine_tuning"}
NOTEBOOKS = sorted((REPOSITORY / "examples").glob("notebook_*.ipynb"))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One kernel for all: torch takes longer to load than most notebooks to run."""
    from jupyter_client import KernelManager

    folder = tmp_path_factory.mktemp("notebooks")
    manager = KernelManager(kernel_name="python3")
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    # what is fine-tuned stays out of the cache of whoever runs the tests
    cache = {"SAM2_LAB_CACHE": str(folder / "cache")}
    manager.start_kernel(cwd=str(folder), env=os.environ | {"PYTHONPATH": path} | cache)
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    "path",
    [pytest.param(one, id=one.stem, marks=[pytest.mark.soak] if one.stem in LONG else []) for one in NOTEBOOKS],
)
def test_notebook_runs(kernel: Any, path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    book.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    client = nbclient.NotebookClient(book, km=kernel, timeout=300, store_widget_state=False)
    try:
        client.execute(reset_kc=False, cleanup_kc=False)
    finally:
        # the kernel goes on, the line to it does not: its sockets would be found open by whichever test comes then
        if client.kc is not None:
            client.kc.stop_channels()
    shown = {kind for cell in book.cells for output in cell.get("outputs", ()) for kind in output.get("data", {})}

    assert "image/png" in shown
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 7
