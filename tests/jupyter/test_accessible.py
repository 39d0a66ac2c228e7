"""axe-core finds nothing to complain of in the view: light, dark, with all panels open, and with the list of keys."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="needs playwright; install the group test")

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.readers import open_volume
from sam2_jupyter import AnnotationWidget
from tests.jupyter.fake_worker import fake_session, give_fake, pictures, until
from tests.jupyter.view_page import ViewPage


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core, which `make test` puts into the environment where npm is."""
    path = Path(os.environ.get("SAM2_AXE", Path(sys.prefix) / "node" / "node_modules" / "axe-core" / "axe.min.js"))
    if not path.is_file():
        pytest.skip("needs axe-core, which make test fetches where npm is")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_to_complain_of(page: Any, axe: str, theme: str) -> None:
    with fake_session() as session:
        widget = AnnotationWidget(session)
        shown = ViewPage(page, widget)
        view = shown.view
        dress(page, theme)
        view.click(40, 50)
        view.settle(masks="1")
        view.press("Shift+s")
        view.settle(jobs=0)
        view.press("Shift+a")
        page.evaluate("() => { for (const part of document.querySelectorAll('details')) part.open = true; }")
        page.evaluate("() => model.send({v: 1, nonsense: true})")
        view.root.locator(".sam2-message", has_text="A request has").wait_for()
        page.evaluate(axe)
        for opens_help in (False, True):
            if opens_help:
                view.press("Shift+?")
            assert complaints(page) == []
        widget.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_to_complain_of_in_a_z_stack_over_time(page: Any, axe: str, theme: str, tmp_path: Path) -> None:
    """With what is there for volumes alone: two sliders, carrying, and what a second opinion found."""
    stack = open_volume(np.stack([pictures(4)] * 3), axes="tzyx").stack("tz")
    with AnnotationSession.create(stack, tmp_path, model="a fake", worker="thread") as session:
        give_fake(session)
        one = session.add_object().id
        for z in (1, 2):
            session.paint(one, session.frame_at(t=1, z=z), np.ones(session.frame_size, bool))
        widget = AnnotationWidget(session, frame=session.frame_at(t=1, z=1), selected=1)
        view = ViewPage(page, widget).view
        dress(page, theme)
        page.evaluate("() => { for (const part of document.querySelectorAll('details')) part.open = true; }")
        view.press("Shift+V")
        until(lambda: len(session.masked_frames(one)) > 2)
        view.settle(jobs=0)
        view.press("Shift+R")
        until(lambda: any(job.kind == "compare" and job.state == "done" for job in session.jobs))
        view.settle(jobs=0)
        assert view.root.get_by_role("group", name="carry volumes").is_visible()
        assert view.root.get_by_role("button", name="compare").is_visible()
        page.evaluate(axe)
        assert complaints(page) == []
        widget.close()


def dress(page: Any, theme: str) -> None:
    """Make the page look as a notebook with this theme does."""
    page.evaluate(
        "dark => { document.body.dataset.jpThemeLight = String(!dark); if (dark) "
        "Object.assign(document.body.style, { background: '#111', color: '#eee' }); }",
        theme == "dark",
    )


def complaints(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core finds: the rule, and each place where it is broken."""
    found = page.evaluate("async () => (await axe.run('.sam2-widget')).violations")
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
