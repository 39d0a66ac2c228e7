"""The widget in a real Notebook 7 with a real kernel, in Chromium: what a person does first, and keys above all."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright; install the group test")
pytest.importorskip("notebook", reason="needs notebook; install the group test")

from playwright.sync_api import expect

from tests.jupyter.lab import PATIENCE, Lab

MAKE = """
from sam2_jupyter import AnnotationWidget
from tests.jupyter.fake_worker import fake_session

session = fake_session()
w = AnnotationWidget(session, height=300)
w
"""


def test_a_click_gives_a_mask_keys_do_not_leak_and_a_restart_is_told(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unlike JupyterLab it acts on keys before anything else hears of them: "d d" would delete the cell."""
    lab = Lab(tmp_path_factory.mktemp("notebook"), [MAKE, "later = 1"], "notebook")
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = context.new_page()
    errors: list[str] = []
    # Notebook 7 has errors of its own; the widget's code comes from a blob
    page.on("pageerror", lambda error: "blob:" in (error.stack or "") and errors.append(str(error)))
    view = page.locator(".sam2-widget")

    def settled(**state: Any) -> None:
        for name, value in {"state": "idle", **state}.items():
            expect(view).to_have_attribute(f"data-{name}", str(value), timeout=PATIENCE * 1000)

    try:
        lab.open(page)
        settled(objects=0)
        view.locator("canvas.sam2-canvas").click()
        settled(masks="1", selected=1)
        assert lab.ask("bool(w.masks[1].any())")

        before = lab.cells()
        for key in ("d", "d", "a", "b", "x", "z", "y", "Shift+m", "Enter", "p"):
            page.keyboard.press(key)
        settled(objects=5, tool="point")  # in the widget, D says that the chosen object divides
        view.get_by_role("button", name="fit").focus()
        for key in ("d", "d"):
            page.keyboard.press(key)
        settled(objects=9)
        assert lab.cells() == before

        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        expect(view.locator(".sam2-link")).to_contain_text("The kernel is gone", timeout=PATIENCE * 1000)
        settled(state="gone")
        assert errors == []
    except BaseException:
        page.screenshot(path=lab.folder / "failed.png")
        raise
    finally:
        context.close()
        lab.close()
