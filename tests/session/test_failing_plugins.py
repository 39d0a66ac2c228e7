"""Plugins that fail in each way there is: the session goes on, and each is named."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_core.errors import PluginError, WorkerError
from sam2_core.hooks import Plugins, PluginWarning, using_plugins
from tests.hooks.distributions import install
from tests.session.job_scene import PATIENCE, new_session

RAISES_AT_IMPORT = "raise OSError('a library of mine is missing')"
RAISES_WHEN_IT_HEARS = """
    from sam2_core.hooks import hookimpl

    @hookimpl
    def sam2_session_event(event):
        if event.kind == "changed":
            raise ZeroDivisionError("a defect")
"""
PROPAGATORS = """
    import time
    from sam2_core.hooks import FrameDone, Propagator, hookimpl

    def nonsense(tracking):
        yield "a frame"

    def breaks(tracking):
        yield from tracking.sweep(tracking.passes("forward")[0][:2])
        raise KeyError("a defect")

    def hangs(tracking):
        yield from tracking.sweep(tracking.passes("forward")[0][:2])
        time.sleep(10**6)

    @hookimpl
    def sam2_propagators():
        return [
            Propagator(one.__name__, "", propagate=one) for one in (nonsense, breaks, hangs)
        ]
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "wave-raises", RAISES_AT_IMPORT)
    install(site, "wave-hears", RAISES_WHEN_IT_HEARS)
    install(site, "wave-propagators", textwrap.dedent(PROPAGATORS))
    monkeypatch.syspath_prepend(site)
    made = Plugins()
    with pytest.warns(PluginWarning, match=r"wave-raises 1\.2\) failed in phase import"):
        made.load_installed()
    with using_plugins(made):
        yield made


def test_the_session_goes_on_and_each_is_named(plugins: Plugins) -> None:
    with new_session(worker="thread") as session:
        with pytest.warns(PluginWarning, match=r"wave-hears 1\.2\) failed in phase call, sam2_session_event"):
            one = session.add_object().id
        session.add_points(one, 0, (30, 20))
        for name, words in (("nonsense", "yields FrameDone"), ("breaks", "a defect")):
            with pytest.raises(PluginError, match=f"'{name}' failed.*wave-propagators 1.2.*{words}"):
                session.start_propagate([one], propagator=name).wait(PATIENCE)
        assert session.masked_frames(one) == [0, 1]

        assert session.start_propagate([one]).wait(PATIENCE)

    assert {failure.plugin for failure in plugins.failures} == {"wave-raises", "wave-hears", "wave-propagators"}


@pytest.mark.filterwarnings("ignore::sam2_core.hooks.PluginWarning")
def test_one_that_hangs_the_worker_is_named_and_the_worker_replaced(plugins: Plugins) -> None:
    with new_session(worker="process") as session:
        session.worker_patience = 20.0
        one = session.add_object().id
        session.add_points(one, 0, (30, 20))
        with pytest.raises(WorkerError, match=r"'hangs' of plugin wave-propagators 1\.2"):
            session.start_propagate([one], propagator="hangs").wait(PATIENCE)
        assert session.masked_frames(one) == [0, 1]

        assert session.start_segment(one, 0).wait(PATIENCE)
