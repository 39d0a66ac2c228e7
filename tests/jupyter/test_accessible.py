"""axe-core finds nothing to complain of in the view: light, dark, with all panels open, and with the list of keys."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright; install the group test")

from sam2_jupyter import AnnotationWidget
from tests.jupyter.fake_worker import fake_session
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
        page.evaluate(
            "dark => { document.body.dataset.jpThemeLight = String(!dark); if (dark) "
            "Object.assign(document.body.style, { background: '#111', color: '#eee' }); }",
            theme == "dark",
        )
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
            found = page.evaluate("async () => (await axe.run('.sam2-widget')).violations")
            told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
            assert told == []
        widget.close()
