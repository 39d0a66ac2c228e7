"""What every test runs under: no network, no cache of the user's, no silent skips in CI."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Set before anything is imported, so that the processes that tests start inherit them too.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["SAM2_LAB_CACHE"] = os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="sam2-lab-tests-")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers of all cores times threads of all cores would thrash


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture
def bf16_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's processor is one that is fast at bf16, as far as "auto" can tell."""
    from sam2_core.checkpoints import precision

    monkeypatch.setattr(precision, "_cpu_has_bf16_units", lambda: True)


def _is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine: a Unix socket, or the loopback interface."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse connections to other machines: the library promises to download only when asked."""
    patch = pytest.MonkeyPatch()
    real = {"connect": socket.socket.connect, "connect_ex": socket.socket.connect_ex}

    def guard(name: str) -> Any:
        def guarded(self: socket.socket, address: Any) -> Any:
            if not _is_local(address):
                raise OSError(f"a test tried to reach {address}; tests work without a network")
            return real[name](self, address)

        return guarded

    for name in real:
        patch.setattr(socket.socket, name, guard(name))
    yield
    patch.undo()


def _forbidden_skip(reason: str) -> bool:
    """Whether CI must not accept a skip: its reason names something that could have been installed.

    Skips say ``needs <what>; install <how>`` where that is so, and only ``needs <what>`` where it is not (a GPU).
    """
    return bool(os.environ.get("CI")) and ("install" in reason.lower() or "could not import" in reason.lower())


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if _forbidden_skip(reason):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(CI=true: what can be installed has to be there, so this skip is a failure)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    _refuse_skip(report)
    return report
