"""A real viewer on a virtual display, one for each module; see scripts/install-system-packages.sh."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.napari.scene import MANIFEST

pytest.importorskip("napari", reason="needs napari: uv pip install --group test")
pytest.importorskip("pytestqt", reason="needs pytest-qt: uv pip install --group test")


@pytest.fixture(scope="session")
def display() -> Iterator[None]:
    """A screen; a virtual one on Linux where there is none."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        yield
        return
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("needs a screen, or Xvfb: scripts/install-system-packages.sh")
    reading, writing = os.pipe()
    command = [server, "-displayfd", str(writing), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL) as process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            os.environ["DISPLAY"] = f":{pipe.readline().strip()}"
        yield
        process.terminate()


@pytest.fixture(scope="session", autouse=True)
def _built_in_plugins() -> None:
    """Everything built in is there, also where the installed metadata is older than the source."""
    from sam2_core.hooks import get_plugins

    plugins = get_plugins()
    project = tomllib.loads((MANIFEST.parents[1] / "pyproject.toml").read_text())["project"]
    for name, module in project["entry-points"]["sam2.plugins"].items():
        if name not in {one.name for one in plugins.loaded}:
            plugins.register(importlib.import_module(module), name=name)


@pytest.fixture(scope="session", autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither the settings nor the sessions of whoever runs the tests are touched."""
    import napari.settings
    from npe2 import PluginManager, PluginManifest

    folder = tmp_path_factory.mktemp("napari")
    manager = PluginManager.instance()
    if "sam2-lab" not in manager:
        manager.register(PluginManifest.from_file(MANIFEST))
    napari.settings._SETTINGS = napari.settings.NapariSettings(config_path=None)
    with pytest.MonkeyPatch.context() as patch:
        import sam2_napari.session_folders as folders

        patch.setattr(folders, "sessions_folder", lambda: folder / "sessions")
        yield


@pytest.fixture(scope="module")
def viewer(display: None, qapp: Any) -> Iterator[Any]:
    """A viewer with a window; the tests of a module share it."""
    import napari

    made = napari.Viewer(show=True)
    made.window._qt_window.resize(1100, 800)
    qapp.processEvents()
    yield made
    made.close()
    qapp.processEvents()
