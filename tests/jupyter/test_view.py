"""The view in a real browser, connected to a real session whose model is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import DivergedError, WorkerError
from sam2_core.hooks import Drawn, ObjectPrompt, Plugins, PromptContext, PromptType, hookimpl, using_plugins
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.volumes import open_volume
from sam2_jupyter import AnnotationWidget, annotate
from tests.fake_training import accept_some, fake_training
from tests.jupyter.fake_worker import FRAMES, fake_session, give_fake, pictures, worker_of

pytest.importorskip("playwright", reason="needs playwright; install the group test")

from tests.jupyter.view_page import View, ViewPage


class TwoDots:
    """A plugin: a line makes an object at each end; and a tool that fails."""

    @hookimpl
    def sam2_prompt_types(self) -> list[PromptType]:
        def ends(drawn: Drawn, context: PromptContext, *, both: bool = True) -> list[ObjectPrompt]:
            assert drawn.points is not None
            chosen = [drawn.points[0], drawn.points[-1]] if both else [drawn.points[0]]
            return [ObjectPrompt(points=[(float(x), float(y))], labels=[1], object_id="new") for x, y in chosen]

        def fails(drawn: Drawn, context: PromptContext) -> list[ObjectPrompt]:
            raise ZeroDivisionError("the plugin is broken")

        return [
            PromptType("ends", "an object at each end", gesture="path", to_prompts=ends, key="e"),
            PromptType("broken", "never works", gesture="point", to_prompts=fails),
        ]


@pytest.fixture(scope="module")
def plugins() -> Iterator[None]:
    with using_plugins(Plugins()) as plugins:
        plugins.load_installed()
        plugins.register(TwoDots(), name="two-dots", distribution="two-dots", version="1.2")
        yield


@pytest.fixture
def session(plugins: None) -> Iterator[AnnotationSession]:
    with fake_session() as session:
        yield session


@pytest.fixture
def widget(session: AnnotationSession) -> Iterator[AnnotationWidget]:
    widget = AnnotationWidget(session)
    yield widget
    widget.close()


@pytest.fixture
def shown(page: Any, widget: AnnotationWidget) -> Iterator[ViewPage]:
    shown = ViewPage(page, widget)
    yield shown
    assert shown.errors == []


def clicked(view: View, x: float = 40, y: float = 50) -> None:
    view.click(x, y)
    view.settle(masks="1")


def test_clicks_masks_undo_and_redo(shown: ViewPage, widget: AnnotationWidget) -> None:
    """A click gives a mask that Python sees; a second one takes a part away; undo and redo show what they do."""
    view = shown.view
    assert view.pixel(100, 100) == (20, 20, 20)
    clicked(view)
    assert widget.selected == 1
    assert widget.masks[1][50, 40]
    assert not widget.masks[1][50, 60]
    before = view.pixel(48, 50)
    assert before != (220, 220, 220)

    view.click(48, 50, button="right")
    view.settle()
    assert widget.prompts[1][0].labels == (1, 0)
    assert not widget.masks[1][50, 48]
    view.press("Control+z")
    view.settle()
    assert widget.prompts[1][0].labels == (1,)
    assert widget.masks[1][50, 48]
    assert view.pixel(48, 50) == before
    view.press("Control+Shift+z")
    view.settle()
    assert widget.prompts[1][0].labels == (1, 0)

    view.press("Shift+c")
    view.settle(masks="")
    assert widget.prompts == {1: {}}


def test_every_gesture(shown: ViewPage, widget: AnnotationWidget) -> None:
    """Drag with the point tool, box, path of a plugin, polygon by clicks, brush; each by its key where it has one."""
    view = shown.view
    view.drag((20, 20), (60, 50))
    view.settle(masks="1")
    x0, y0, x1, y1 = widget.prompts[1][0].box or ()
    assert np.allclose([x0, y0, x1, y1], [20, 20, 60, 50], atol=1)

    view.press("c", "e")
    assert view.data("tool") == "ends"
    view.drag((80, 20), (100, 40), (130, 90))
    view.settle(masks="1 2 3")
    assert np.allclose(widget.prompts[3][0].points[0], (130, 90), atol=1)

    view.press("c")
    view.root.get_by_role("button", name="polygon").click()
    for corner in ((10, 80), (50, 80), (50, 110)):
        view.click(*corner)
    view.press("Enter")
    view.settle(masks="1 2 3 4")
    assert 350 < widget.masks[4].sum() < 850

    view.press("c", "m")
    view.drag((120, 20), (150, 20))
    view.settle(masks="1 2 3 4 5")
    assert widget.masks[5][20, 135]
    assert not widget.masks[5][40, 135]


def test_everything_by_keyboard(shown: ViewPage, widget: AnnotationWidget) -> None:
    """A cross is moved and clicks; frames and objects are gone through; the help opens and closes; Escape leaves."""
    view = shown.view
    view.press("Space", "Alt+ArrowLeft", "Alt+Shift+ArrowUp", "Space")
    view.settle(masks="1")
    (point,) = widget.prompts[1][0].points
    assert point == (79.0, 50.0)  # from the middle (80, 60): one to the left, ten up

    view.press("b", "Alt+Shift+ArrowDown", "c", "Space", "Alt+Shift+ArrowRight", "Alt+Shift+ArrowDown", "Space")
    view.settle(masks="1 2")
    assert widget.prompts[2][0].box == (79.0, 60.0, 89.0, 70.0)
    view.press("ArrowUp")
    view.settle(selected=1)
    view.press("2")
    view.settle(selected=2)
    view.press("ArrowRight", "Shift+ArrowRight")
    view.settle(frame=FRAMES - 1, shown=FRAMES - 1)
    view.press("Home")
    view.settle(frame=0, shown=0)

    view.press("Shift+?")
    assert view.root.get_by_role("dialog").is_visible()
    assert "lock the object's mask" in view.root.get_by_role("dialog").inner_text()
    shown.page.keyboard.press("Escape")
    assert not view.root.get_by_role("dialog").is_visible()
    assert view.stage.evaluate("e => document.activeElement === e")
    view.press("Delete")
    view.settle(masks="1")
    view.press("Escape")
    assert view.stage.evaluate("e => document.activeElement !== e")


def test_keys_do_not_leak(shown: ViewPage, session: AnnotationSession) -> None:
    """Nothing that is typed in the view reaches what is around it, wherever in it the focus is."""
    shown.page.evaluate(
        "() => { window.leaked = []; for (const name of ['keydown', 'keyup', 'keypress']) "
        "document.addEventListener(name, (event) => leaked.push(`${name} ${event.key}`)); "
        # Notebook 7 hears of keys first, and asks the element with the focus whether they are its own
        "document.addEventListener('keydown', (event) => event.target.dataset.lmSuppressShortcuts === 'true' || "
        "leaked.push(`shortcut ${event.key} at ${event.target.className}`), true); }"
    )
    view = shown.view
    assert view.root.get_attribute("data-lm-suppress-shortcuts") == "true"
    view.press("d", "d", "a", "b", "x", "z", "1", "Shift+M", "Escape")
    view.root.get_by_role("button", name="new object").focus()
    for key in ("d", "d", "Enter", "Escape"):
        shown.page.keyboard.press(key)
    view.root.locator("summary", has_text="Save").click()
    path = view.root.get_by_label("file or folder")
    path.fill("")
    path.press_sequentially("dd n.tif")
    assert path.input_value() == "dd n.tif"
    # a button that goes away leaves the focus in the view
    view.press("p")
    clicked(view)
    view.root.get_by_role("button", name="delete object 1").click()
    view.settle(objects=0)
    shown.page.keyboard.press("d")
    # Escape leaves the view, so that it is let go outside
    assert set(shown.page.evaluate("leaked")) <= {"keyup Escape"}
    assert session.objects == []


def test_propagation_shows_progress_and_is_cancelled(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession
) -> None:
    """Masks come frame by frame; Escape cancels, and what came stays; all of it is one step."""
    view = shown.view
    clicked(view)
    worker = worker_of(session)
    worker.gate.clear()
    view.press("Shift+s")
    view.root.locator(".sam2-job[data-state=running]").wait_for()
    view.root.locator(".sam2-job", has_text="left").wait_for()
    worker.gate.set()
    shown.wait(lambda: len(session.masked_frames(1)) == FRAMES)
    view.settle(jobs=0)
    assert view.root.locator(".sam2-frame-row").get_attribute("data-masked") == str(FRAMES)
    view.press("End")
    view.settle(frame=FRAMES - 1, shown=FRAMES - 1, masks="1")
    view.press("Control+z")
    view.settle(masks="")
    assert session.masked_frames(1) == [0]

    worker.gate.clear()
    view.press("Shift+s")
    view.root.locator(".sam2-job").wait_for()
    view.press("Escape")
    view.settle(jobs=0)
    assert session.jobs[-1].state == "cancelled"
    assert session.masked_frames(1) == [0]
    assert worker.options[0] == {"propagator": "both", "count": None}


def test_close_ups_are_chosen_after_hearing_how_long_it_takes(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession
) -> None:
    """The time of both ways is told; the choice is the session's, in all views; what is refused is taken back."""
    view = shown.view
    clicked(view)
    other = shown.show()
    for one in (view, other):
        one.root.locator("summary", has_text="Propagation").click()
    choice = view.root.get_by_label("look at")
    view.root.get_by_role("button", name="how long").click()
    told = other.root.locator(".sam2-estimate")
    told.filter(has_text="whole frames: about 12 s; a close-up of each object: up to 4 min").wait_for()

    choice.select_option(label="a close-up of each object")
    shown.wait(lambda: session.preset == "crops")
    other.root.locator("select:has(option[value=crops]):has(option:checked[value=crops])").wait_for()
    session.preset = "exact"
    view.root.locator("select:has(option:checked[value=exact])").wait_for()
    other.root.locator("select:has(option:checked[value=exact])").wait_for()

    session._model = SimpleNamespace(joint_objects=True)
    choice.select_option(label="a close-up of each object")
    view.root.locator(".sam2-message", has_text="exact").wait_for()
    view.root.locator("select:has(option:checked[value=exact])").wait_for()
    assert session.preset == "exact"


def test_two_views_and_python_agree(shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession) -> None:
    """What one view or Python does, the other view shows; a view that is closed leaves the rest alone."""
    first, second = shown.view, shown.show("620px")
    first.click(40, 50)
    for view in (first, second):
        view.settle(masks="1", selected=1)
    widget.frame = 3
    second.settle(frame=3, shown=3, masks="")
    one = session.add_object("from Python", colour="#ff0000")
    session.paint(one.id, 3, np.ones(session.frame_size, bool))
    for view in (first, second):
        view.settle(masks="2", objects=2)
    assert second.root.get_by_role("button", name="from Python", exact=True).is_visible()
    widget.opacity = 0.25
    first.settle()
    assert float(first.root.get_by_label("opacity of masks").input_value()) == 0.25
    shown.page.evaluate("() => document.querySelector('#views > div').end()")
    session.undo()
    second = shown.view
    second.settle(masks="")


def test_two_widgets_on_one_session(page: Any, widget: AnnotationWidget, session: AnnotationSession) -> None:
    """Each shows what the other does, and has a frame of its own."""
    other = AnnotationWidget(session, frame=2)
    shown = ViewPage(page, other)
    one = session.add_object()
    widget.frame = 5
    session.paint(one.id, 2, np.ones(session.frame_size, bool))
    shown.view.settle(masks="1", frame=2)
    other.close()
    session.delete_objects([one.id])
    assert widget.masks == {}


def test_points_are_dragged_and_taken_away(shown: ViewPage, widget: AnnotationWidget) -> None:
    view = shown.view
    clicked(view)
    view.drag((40, 50), (50, 55), (70, 60))
    view.settle()
    assert np.allclose(widget.prompts[1][0].points, [(70, 60)], atol=1)
    assert widget.masks[1][60, 75]
    view.click(70, 60, modifiers=["Shift"])
    view.settle(masks="")
    assert widget.prompts == {1: {}}


def test_objects_are_renamed_hidden_accepted_and_reviewed(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession
) -> None:
    view = shown.view
    clicked(view)
    view.root.get_by_role("button", name="rename object 1").click()
    view.root.get_by_label("new name").fill("big cell")
    shown.page.keyboard.press("Enter")
    view.root.get_by_role("button", name="hide big cell").or_(
        view.root.get_by_role("button", name="show big cell")
    ).click()
    view.settle(masks="")
    assert widget.hidden == [1]
    assert session.object(1).name == "big cell"
    view.root.get_by_role("button", name="show big cell").click()
    view.settle(masks="1")
    view.press("k")
    view.settle()
    assert session.locked_frames(1) == [0]
    view.root.locator("[data-object='1']", has_text="locked").wait_for()
    view.press("k")
    shown.wait(lambda: session.locked_frames(1) == [])
    view.settle()
    view.press("k")
    shown.wait(lambda: session.locked_frames(1) == [0])
    view.settle()

    view.press("Shift+s")
    view.settle(jobs=0)
    step = session.begin_results("a jump")
    small = np.zeros(session.frame_size, bool)
    small[100:103, 150:153] = True
    session.add_results(step, 4, {1: (MaskPixels.cut(small), 0.2, -1.0)}, "track")
    session.finish_results(step)
    view.press("r")
    view.settle(frame=4, selected=1)
    view.root.locator("summary", has_text="Review").click()
    view.root.locator(".sam2-review", has_text="jumps").wait_for()
    view.press("a")
    shown.wait(lambda: session.locked_frames(1) == [0, 4])
    view.settle()


def test_a_second_opinion_lists_where_the_ways_differ(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession
) -> None:
    """Compare by button and by key; what is found is listed, and no mask is changed."""
    view = shown.view
    clicked(view)
    view.press("Shift+s")
    view.settle(jobs=0)
    step = session.begin_results("another way")
    session.add_results(step, 5, {1: (MaskPixels.cut(session.mask(1, 5) & (np.arange(160) < 46)), 0.875, 5.0)}, "track")
    session.finish_results(step)
    before = [int(session.mask(1, frame).sum()) for frame in range(FRAMES)]
    view.root.locator("summary", has_text="Review").click()
    second = view.root.get_by_label("second opinion")
    assert second.input_value() == "inward"
    second.select_option("forward")
    view.root.get_by_role("button", name="compare: track all").click()
    view.root.locator(".sam2-review", has_text="t 5: propagators disagree").wait_for()
    assert worker_of(session).options[-1]["propagator"] == "forward"
    second.select_option("inward")
    view.press("Shift+r")
    shown.wait(lambda: worker_of(session).options[-1]["propagator"] == "inward" and not session.jobs.active)
    assert [int(session.mask(1, frame).sum()) for frame in range(FRAMES)] == before
    view.settle(jobs=0)


def test_segment_everything_and_save(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession, tmp_path: Path
) -> None:
    view = shown.view
    view.root.locator("summary", has_text="Segment everything").click()
    view.root.get_by_label("points per side").fill("8")
    view.press("Shift+e")
    view.settle(masks="1 2", jobs=0)
    assert worker_of(session).options == [{"points_per_side": 8}]

    view.root.locator("summary", has_text="Save").click()
    view.root.get_by_label("file or folder").fill(str(tmp_path / "labels.tif"))
    view.root.get_by_role("button", name="Save labels").click()
    shown.wait(lambda: any(job.kind == "export" and job.state == "done" for job in session.jobs))
    import tifffile

    assert np.array_equal(tifffile.imread(tmp_path / "labels.tif"), widget.to_labels())
    view.root.get_by_role("button", name="Save labels").click()
    view.root.locator(".sam2-message", has_text="exists").wait_for()


def test_fine_tuning_shows_its_curves_and_the_new_model_is_used(
    shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curves and preview come while it learns; stopped, the best is kept, is in use, and answers the next click."""
    training = fake_training(monkeypatch)
    view = shown.view
    view.root.locator("summary", has_text="Fine-tuning").click()
    panel = view.root.locator(".sam2-training")
    panel.get_by_text("model in use: a fake").first.wait_for()
    panel.get_by_role("button", name="fine-tune the model").click()
    view.root.locator(".sam2-message", has_text="no accepted masks").wait_for()
    accept_some(session)
    panel.get_by_label("recipe").select_option("memory")
    panel.get_by_label("learning rate").fill("0.01")
    panel.get_by_label("learning rate").blur()
    panel.get_by_label("time budget").fill("30 s")
    panel.get_by_label("learn from").select_option("all masks")
    panel.get_by_label("hold frames back").uncheck()
    before = worker_of(session)
    view.press("Shift+T")
    curve = panel.locator("canvas.sam2-curve[data-ious='2']")
    curve.wait_for()
    panel.locator("canvas[aria-label='step 5, loss 0.200, validation IoU 0.750']").wait_for()
    assert int(curve.get_attribute("data-losses") or 0) >= 5
    drawn = (
        "c => { const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return p.some((v) => v > 0); }"
    )
    assert curve.evaluate(drawn)
    panel.locator("canvas.sam2-preview[data-number='2']").wait_for()
    green = panel.locator("canvas.sam2-preview").evaluate("c => [...c.getContext('2d').getImageData(5, 5, 1, 1).data]")
    assert green[1] > 150
    assert green[0] < 60
    view.root.locator(".sam2-job", has_text="5 of 30 s").wait_for()
    panel.get_by_text("learning, from a fake").first.wait_for()
    second = shown.show("620px")  # one that comes later knows all of it
    second.root.locator("canvas.sam2-curve[data-ious='2']").wait_for(state="attached")

    panel.get_by_role("button", name="stop fine-tuning").click()
    panel.get_by_text("cells-memory is ready, and is used from now on").wait_for()
    panel.get_by_text("one-click IoU 0.500 before, 0.750 now").first.wait_for()
    for one in (view, second):
        one.root.locator(".sam2-training[data-model=cells-memory]").wait_for(state="attached")
        one.settle(jobs=0)
    assert view.stage.evaluate("e => document.activeElement === e")
    (options,) = training.options
    assert (options["recipe"], options["budget"], options["learning_rate"]) == ("memory", 30.0, 0.01)
    assert options["validation_frames"] == ()
    view.press("c")
    view.click(120, 80)
    view.settle(masks="1 2")
    assert worker_of(session) is not before


def test_fine_tuning_that_is_given_up_or_fails(
    shown: ViewPage, session: AnnotationSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escape stops it with what it has; its Cancel keeps nothing; what goes wrong is said."""
    training = fake_training(monkeypatch)
    accept_some(session)
    view = shown.view
    view.root.locator("summary", has_text="Fine-tuning").click()
    panel = view.root.locator(".sam2-training")
    view.press("Shift+T")
    view.root.locator(".sam2-job[data-state=running]").wait_for()
    view.root.get_by_role("button", name="cancel fine-tune").click()
    panel.get_by_text("cancelled; nothing was kept").wait_for()
    assert session.model == "a fake"

    view.press("Shift+T")
    panel.locator("canvas[data-ious='2']").wait_for()
    view.press("Escape")
    panel.get_by_text("is used from now on").wait_for()

    training.error = DivergedError("the loss became infinite")
    training.gate.set()
    view.press("Shift+T")
    view.root.locator(".sam2-message", has_text="became infinite").wait_for()
    panel.get_by_text("the model in use is the one from before").wait_for()
    assert session.model == "cells-decoder"


def test_what_goes_wrong_is_said(shown: ViewPage, widget: AnnotationWidget, session: AnnotationSession) -> None:
    """A plugin that raises, a worker that fails, an order that makes no sense: each is told, and all goes on."""
    view = shown.view
    view.root.get_by_role("button", name="broken").click()
    view.click(40, 50)
    view.root.locator(".sam2-message", has_text="two-dots 1.2").wait_for()
    assert "'broken' failed" in view.message
    view.settle(objects=0)

    view.press("p", "Shift+s")
    assert "Choose an object first" in view.message
    view.press("Shift+a")
    view.root.locator(".sam2-message", has_text="nothing to track").wait_for()
    worker_of(session).next_failure = WorkerError("the worker is out of sorts")
    view.click(40, 50)
    view.root.locator(".sam2-message", has_text="out of sorts").wait_for()
    view.press("s")
    view.settle(masks="1")

    shown.page.evaluate("() => model.send({v: 1, nonsense: true})")
    view.root.locator(".sam2-message", has_text="A request has a view").wait_for()


def test_a_kernel_that_is_busy_or_gone(shown: ViewPage, widget: AnnotationWidget) -> None:
    """Silence is told, and ends when there is an answer; after a restart it is final, and nothing can be drawn."""
    view = shown.view
    page = shown.page
    page.evaluate("() => { model.isLive = false; }")
    view.click(40, 50)
    view.root.locator(".sam2-link", has_text="busy, or gone").wait_for()
    # the kernel takes what was sent once it is free
    page.evaluate("() => { model.isLive = true; model.post({method: 'custom', content: model.sent.at(-1)}); }")
    view.settle(link="ok", masks="1")
    page.evaluate("() => { model.isLive = false; model.emit('comm_live_update'); }")
    view.root.locator(".sam2-link", has_text="run the cell").wait_for()
    assert view.data("state") == "gone"


def test_a_view_that_was_never_answered_says_what_to_do(shown: ViewPage, widget: AnnotationWidget) -> None:
    """As where a notebook is opened that was saved with its widgets; it goes on if there is an answer after all."""
    page = shown.page
    page.evaluate("() => { model.isLive = false; show('620px'); }")
    last = page.locator(".sam2-widget").last
    last.locator(".sam2-link", has_text="run the cell that made this widget").wait_for()
    page.evaluate(
        "() => { model.isLive = true; model.post({ method: 'custom', "
        "content: model.sent.filter((one) => one.kind === 'hello').at(-1) }); }"
    )
    View(shown, last).settle(link="ok", objects=0)


def test_contrast_zoom_and_channels(page: Any, plugins: None) -> None:
    """16-bit stains: limits are the model's at first; sliders change what is seen, zoom shows whole pixels."""
    stack = np.zeros((2, 2, 60, 80), np.uint16)
    stack[:, 0, :, :40] = 4000
    stack[:, 1, 30:, :] = 900
    with fake_session(stack=stack, contrast=((0, 4000), (0, 1000))) as session:
        widget = AnnotationWidget(session)
        shown = ViewPage(page, widget)
        view = shown.view
        assert view.pixel(10, 10) == (255, 0, 0)
        assert view.pixel(10, 50) == (255, 230, 0)
        widget.contrast = [[0, 8000], [0, 1000]]
        view.settle()
        assert view.pixel(10, 10) == (128, 0, 0)
        widget.channels = [False, True]
        view.settle()
        assert view.pixel(10, 50) == (230, 230, 230)
        widget.channels, widget.contrast = [], []
        view.settle()
        assert view.pixel(10, 10) == (255, 0, 0)
        before = view.pixel(39, 29), view.pixel(40, 30)
        view.press("Equal", "Equal", "Minus", "Minus")
        view.settle()
        assert (view.pixel(39, 29), view.pixel(40, 30)) == before
        assert shown.errors == []
        widget.close()


def test_another_axis_has_a_slider(page: Any, plugins: None) -> None:
    """A z-stack at each time: the slider goes to another time, where nothing is marked yet, and back."""
    movie = np.stack([pictures(4), pictures(4) // 2])
    widget = annotate(movie, axes="tzyx", axis="z", model=None)
    one = widget.session.add_object()
    widget.session.paint(one.id, 0, np.ones(widget.session.frame_size, bool))
    shown = ViewPage(page, widget)
    view = shown.view
    view.settle(masks="1")
    view.press("PageUp")
    view.settle(masks="", objects=0, shown=0)
    assert view.pixel(100, 100) == (10, 10, 10)
    view.root.locator("summary", has_text="Display").click()
    assert view.root.get_by_label("t (0 to 1)").input_value() == "1"
    view.root.get_by_label("t (0 to 1)").fill("0")
    view.settle(masks="1")
    assert shown.errors == []
    widget.close()


def test_z_stacks_over_time_have_a_slider_for_each_axis(page: Any, plugins: None) -> None:
    """One session: sliders, strips, marks and keys for t and z; a plane is shown where both stand."""
    film = np.stack([pictures(4), pictures(4) // 2, pictures(4) // 4])
    widget = annotate(film, axes="tzyx", axis="tz", model=None)
    session = widget.session
    one = session.add_object()
    session.add_points(one.id, session.frame_at(t=1, z=2), (40, 50))
    for z in (1, 2):
        session.paint(one.id, session.frame_at(t=1, z=z), np.ones(session.frame_size, bool))
    shown = ViewPage(page, widget)
    view = shown.view
    over_t, over_z = (view.root.locator(f".sam2-frame-row[data-axis={axis}]") for axis in "tz")

    def strips() -> list[tuple[str | None, str | None]]:
        return [(row.get_attribute("data-masked"), row.get_attribute("data-prompts")) for row in (over_t, over_z)]

    # of z only where t stands
    assert strips() == [("1", "1"), ("0", "")]
    over_t.get_by_label("t of the frame").fill("1")
    view.settle(frame=4, shown=4, masks="")
    shown.wait(lambda: strips() == [("1", "1"), ("2", "2")])
    over_z.get_by_label("z of the frame").fill("2")
    view.settle(frame=6, shown=6, masks="1")
    assert over_z.locator("output").inner_text() == "z 2 / 3"
    assert over_t.locator("output").inner_text() == "t 1 / 2"

    view.press("End")
    view.settle(frame=7)
    view.press("ArrowRight")
    view.settle(frame=7)
    view.press("PageUp")
    view.settle(frame=11, shown=11)
    assert view.pixel(100, 100) == (12, 12, 12)
    view.press("PageUp", "Home", "PageDown")
    view.settle(frame=4)
    widget.frame = 6
    view.settle(frame=6, masks="1")
    assert over_z.get_by_label("z of the frame").input_value() == "2"
    assert shown.errors == []
    widget.close()


def test_volumes_are_carried_to_other_times(page: Any, plugins: None, tmp_path: Path) -> None:
    """In a z-stack over time: the chosen object by its button, all by theirs, from the time that is shown."""
    stack = open_volume(np.stack([pictures(4)] * 3), axes="tzyx").stack("tz")
    with AnnotationSession.create(stack, tmp_path, model="a fake", worker="thread") as session:
        give_fake(session)
        for z in (1, 2):
            session.paint(session.add_object().id, session.frame_at(t=1, z=z), np.ones(session.frame_size, bool))
        widget = AnnotationWidget(session, frame=session.frame_at(t=1, z=1), selected=1)
        shown = ViewPage(page, widget)
        view = shown.view
        view.root.locator("summary", has_text="Propagation").click()
        panel = view.root.get_by_role("group", name="carry volumes")
        panel.get_by_label("growth").fill("1")
        panel.get_by_label("number of times").fill("1")
        panel.get_by_role("button", name="carry the chosen").click()
        shown.wait(lambda: session.masked_frames(1) == [5, 9])
        assert worker_of(session).options[-1] == {"growth": 1}
        panel.get_by_label("to", exact=True).select_option("earlier times")
        panel.get_by_label("number of times").fill("")
        panel.get_by_role("button", name="carry all objects").click()
        shown.wait(lambda: session.masked_frames(1) == [1, 5, 9] and session.masked_frames(2) == [2, 6])
        view.settle(jobs=0)
        view.press("PageDown")
        view.settle(frame=1, shown=1, masks="1")
        view.press("Shift+V")
        view.root.locator(".sam2-message", has_text="nothing comes after it").wait_for()
        assert shown.errors == []
        widget.close()


def test_in_a_shadow_root(page: Any, widget: AnnotationWidget) -> None:
    """As in marimo: the wheel zooms while the view has the focus, and dark is dark."""
    shown = ViewPage(page, widget)
    page.evaluate(
        "() => { const host = document.createElement('div'); document.body.append(host); "
        "const inside = host.attachShadow({ mode: 'open' }); "
        "inside.append(document.querySelector('style').cloneNode(true), document.querySelector('#views')); }"
    )
    view = shown.view
    before = view.pixel(10, 10), view.pixel(100, 100)
    view.stage.focus()
    page.mouse.move(*view.screen(40, 50))
    page.mouse.wheel(0, -3000)
    shown.wait(lambda: view.pixel(10, 10) != before[0])
    back = "getComputedStyle(e).backgroundColor"
    assert view.root.evaluate(f"e => {back}") == "rgb(255, 255, 255)"
    page.evaluate("() => { delete document.body.dataset.jpThemeLight; document.body.classList.add('dark'); }")
    shown.wait(lambda: view.root.evaluate(f"e => {back}") == "rgb(23, 25, 28)")
    assert view.data("theme") == "dark"


def test_read_only(page: Any, session: AnnotationSession, plugins: None) -> None:
    """Who only looks is told so, and sees masks."""
    one = session.add_object()
    session.paint(one.id, 0, np.ones(session.frame_size, bool))
    with AnnotationSession.open(session.folder, session.stack, read_only=True) as looking:
        widget = AnnotationWidget(looking)
        shown = ViewPage(page, widget)
        shown.view.settle(masks="1")
        shown.view.click(20, 20)
        shown.view.press("c", "Shift+s")
        assert "reading only" in shown.view.message
        assert shown.view.root.get_by_role("button", name="undo").is_disabled()
        widget.close()
    assert session.prompts_on(0) == {}
