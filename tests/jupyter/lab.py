"""A real JupyterLab or Notebook 7 with one notebook in it, in Chromium, and a second line to its kernel for tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Literal

import nbformat
from jupyter_client import BlockingKernelClient
from playwright.sync_api import Page

from tests.conftest import REPOSITORY

PATIENCE = 180.0
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


class Lab:
    """JupyterLab, or Notebook 7, in a process of its own, all its files in one folder."""

    def __init__(self, folder: Path, cells: list[str], app: Literal["lab", "notebook"] = "lab") -> None:
        self.folder = folder
        self.place = {"lab": "lab/tree", "notebook": "notebooks"}[app]
        module, name = {"lab": ("jupyterlab", "LabApp"), "notebook": ("notebook", "JupyterNotebookApp")}[app]
        self.page: Page | None = None
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, folder / "book.ipynb")
        for setting, values in SETTINGS.items():
            path = folder / "settings" / "@jupyterlab" / f"{setting}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = (folder / "lab.log").open("w")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", module, "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
                *(f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"),
                *("--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True"),
                *(f"--{name}.expose_app_in_browser=True", f"--{name}.workspaces_dir={folder / 'workspaces'}"),
                f"--{name}.user_settings_dir={folder / 'settings'}",
            ],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
                **{f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")},
                "IPYTHONDIR": str(folder / "ipython"),
                "OMP_NUM_THREADS": "1",
            },
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self._kernel: BlockingKernelClient | None = None

    def open(self, page: Page) -> None:
        """Open the notebook and run all its cells."""
        self._wait_for_server()
        self.page = page
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{self.address}/{self.place}/book.ipynb?reset")
        self.ready()
        self.command("notebook:run-all-cells")

    def ready(self) -> None:
        """Wait until the notebook has its kernel."""
        assert self.page is not None
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
        self.page.evaluate(
            "async () => { await jupyterapp.restored; const panel = jupyterapp.shell.currentWidget;"
            " await panel.context.ready; await panel.sessionContext.ready; }"
        )

    def command(self, name: str) -> None:
        """Execute a command of JupyterLab, without waiting for its end."""
        assert self.page is not None
        self.page.evaluate("name => { jupyterapp.commands.execute(name); }", name)

    def cells(self) -> list[str]:
        """The text of the notebook's cells."""
        assert self.page is not None
        found: list[str] = self.page.evaluate(
            "() => [...jupyterapp.shell.currentWidget.content.model.cells].map((cell) => cell.sharedModel.source)"
        )
        return found

    def ask(self, expression: str) -> Any:
        """The value, as JSON has it, of an expression in the notebook's kernel."""
        heard: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                heard.append(message["content"]["text"])

        reply = self.kernel.execute_interactive(
            f"import json as _json; print(_json.dumps({expression}))",
            store_history=False,
            output_hook=hear,
            timeout=PATIENCE,
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return json.loads("".join(heard))

    def wait_for(self, expression: str) -> None:
        """Wait until an expression in the kernel is true."""
        end = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    @property
    def kernel(self) -> BlockingKernelClient:
        """A second line to the notebook's kernel."""
        if self._kernel is None:
            (file,) = (self.folder / "runtime").glob("kernel-*.json")
            client = BlockingKernelClient(connection_file=str(file))
            client.load_connection_file()
            client.start_channels()
            client.wait_for_ready(timeout=PATIENCE)
            self._kernel = client
        return self._kernel

    def close(self) -> None:
        """End the kernel and the server."""
        if self._kernel is not None:
            self._kernel.shutdown()
            self._kernel.stop_channels()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def _wait_for_server(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/api", timeout=5):
                    return
            except OSError:
                assert self.process.poll() is None, (self.folder / "lab.log").read_text()
                assert time.monotonic() < end, (self.folder / "lab.log").read_text()
                time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
