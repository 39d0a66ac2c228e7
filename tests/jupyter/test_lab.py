"""The widget in a real JupyterLab with a real kernel, in Chromium; one Lab for tests that go on from each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright; install the group test")
pytest.importorskip("jupyterlab", reason="needs jupyterlab; install the group test")

from playwright.sync_api import Page, expect

from tests.jupyter.lab import PATIENCE, Lab

MAKE = """
from sam2_core.hooks import ObjectPrompt, PromptType, get_plugins, hookimpl
from sam2_jupyter import AnnotationWidget
from tests.jupyter.fake_worker import fake_session, worker_of

class Ring:
    @hookimpl
    def sam2_prompt_types(self):
        def ring(drawn, context):
            return [ObjectPrompt(points=[tuple(drawn.points.mean(axis=0))], labels=[1], object_id="new")]
        return [PromptType("ring", "a plugin's lasso: what is in the middle", gesture="path", to_prompts=ring)]

get_plugins().register(Ring(), name="ring")
session = fake_session()
w = AnnotationWidget(session, height=300)
w
"""
expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), [MAKE, "w", "later = 1"])
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        lab.open(page)
        yield lab
        assert errors == []
    except BaseException:
        page.screenshot(path=lab.folder / "failed.png")
        raise
    finally:
        context.close()
        lab.close()


@pytest.fixture
def page(lab: Lab) -> Page:
    assert lab.page is not None
    return lab.page


def view(page: Page, number: int = 0) -> Any:
    return page.locator(".sam2-widget").nth(number)


def settled(page: Page, **state: Any) -> None:
    """Wait until both views show something."""
    for number in (0, 1):
        for name, value in {"state": "idle", **state}.items():
            expect(view(page, number)).to_have_attribute(f"data-{name}", str(value))


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where an image position of the first view is on the page."""
    stage = view(page).locator("canvas.sam2-canvas")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    scale = min(box["width"] / 160, box["height"] / 120)
    left, top = box["x"] + (box["width"] - 160 * scale) / 2, box["y"] + (box["height"] - 120 * scale) / 2
    return left + (x + 0.5) * scale, top + (y + 0.5) * scale


def drag(page: Page, *points: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point), steps=3)
    page.mouse.up()


def test_a_click_gives_a_mask_that_python_sees(lab: Lab, page: Page) -> None:
    settled(page, objects=0, frame=0)
    page.mouse.click(*place(page, 40, 50))
    settled(page, masks="1", selected=1)

    assert lab.ask("bool(w.masks[1][50, 40])")
    assert lab.ask("int(w.masks[1].sum())") == 441
    assert lab.ask("w.selected") == 1


def test_a_drag_gives_a_box_and_a_plugin_its_lasso(lab: Lab, page: Page) -> None:
    page.keyboard.press("c")
    drag(page, (80, 20), (120, 60))
    settled(page, masks="1 2")
    assert [round(value) for value in lab.ask("w.prompts[2][0].box")] == pytest.approx([80, 20, 120, 60], abs=1)

    view(page).get_by_role("button", name=re.compile("a plugin's lasso")).click()
    drag(page, (20, 80), (60, 80), (60, 110), (20, 110))
    settled(page, masks="1 2 3")
    assert lab.ask("list(w.prompts[3][0].labels)") == [1]


def test_keys_do_not_leak(lab: Lab, page: Page) -> None:
    """Keys that delete, add, cut, or change cells in command mode do nothing to the notebook."""
    before = lab.cells()
    view(page).locator(".sam2-stage").focus()
    for key in ("d", "d", "a", "b", "x", "z", "y", "1", "Shift+m", "Enter", "p"):
        page.keyboard.press(key)
    settled(page, objects=7, tool="point")  # in the widget, D says that the chosen object divides
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    settled(page, objects=3)

    assert lab.cells() == before
    assert page.evaluate("() => jupyterapp.shell.currentWidget.content.mode") == "command"


def test_propagation_shows_progress_and_is_cancelled(lab: Lab, page: Page) -> None:
    lab.ask("worker_of(session).gate.clear()")
    page.keyboard.press("Shift+s")
    bar = view(page).locator(".sam2-job")
    bar.wait_for()
    expect(bar).to_contain_text("running")
    view(page, 1).get_by_role("button", name=re.compile("^cancel ")).click()
    settled(page, jobs=0)
    assert lab.ask("session.jobs[-1].state") == "cancelled"
    lab.ask("worker_of(session).gate.set()")
    page.keyboard.press("Shift+a")
    lab.wait_for("len(session.masked_frames(1)) == 8")
    settled(page, jobs=0)


def test_python_changes_what_both_views_show(lab: Lab, page: Page) -> None:
    lab.ask("setattr(w, 'frame', 4)")
    settled(page, frame=4, shown=4, masks="1 2 3")
    lab.ask("session.delete_objects([2])")
    settled(page, masks="1 3", objects=2)
    page.keyboard.press("Control+z")
    settled(page, masks="1 2 3", objects=3)


def test_a_click_is_answered_while_a_cell_runs(lab: Lab, page: Page) -> None:
    """The cell waits for the click, so that it can end only if clicks are taken in meanwhile."""
    lab.ask("setattr(w, 'frame', 0)")
    settled(page, frame=0)
    lab.kernel.execute(
        "import threading; clicked = threading.Event()\n"
        "w.changed.connect(lambda _: clicked.set()); done = clicked.wait(120)"
    )
    view(page).get_by_role("button", name=re.compile("^point")).click()
    page.keyboard.press("c")
    page.mouse.click(*place(page, 130, 90))
    settled(page, masks="1 2 3 4")
    assert lab.ask("done") is True


def test_a_reload_brings_everything_back(lab: Lab, page: Page) -> None:
    lab.command("docmanager:save")
    page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    for _ in range(4):
        page.reload()
        lab.ready()
        # JupyterLab gives a kernel four seconds to tell of its widgets, which is not much on a busy machine
        late = page.get_by_text("Error displaying widget")
        view(page).or_(late).first.wait_for()
        if not late.count():
            break
    settled(page, masks="1 2 3 4", selected=4)
    page.mouse.click(*place(page, 130, 75), button="right")
    settled(page)
    assert lab.ask("list(w.prompts[4][0].labels)") == [1, 0]


def test_a_restarted_kernel_is_told(lab: Lab, page: Page) -> None:
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for number in (0, 1):
        expect(view(page, number).locator(".sam2-link")).to_contain_text("The kernel is gone")
        expect(view(page, number)).to_have_attribute("data-state", "gone")
