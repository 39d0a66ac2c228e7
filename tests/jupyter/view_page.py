"""A page in Chromium that shows a widget of this process, as a notebook would, without a notebook."""

from __future__ import annotations

import base64
import json
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from sam2_jupyter import AnnotationWidget

HERE = Path(__file__).parent
VALUES = (
    *("frame", "selected", "tool", "positive", "opacity", "hidden", "contrast", "channels"),
    *("tool_options", "height", "key_map"),
)
#: Milliseconds; the machine may be busy with other things.
PATIENCE = 60_000


class ViewPage:
    """Connects a widget and a page: what one sends the other gets, through the same handlers as in a notebook."""

    def __init__(self, page: Page, widget: AnnotationWidget, *, width: str = "900px") -> None:
        self.page, self.widget = page, widget
        self.errors: list[str] = []
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.expose_function("toPython", self._to_python)
        page.expose_function("fromPython", self._from_python)
        page.set_content((HERE / "page.html").read_text(encoding="utf-8"))
        comm: Any = widget.comm
        comm.publish_msg = self._publish
        values = {name: getattr(widget, name) for name in VALUES}
        page.evaluate("([values, code, css]) => open(values, code, css)", [values, str(widget._esm), str(widget._css)])
        self.show(width)

    def show(self, width: str = "900px") -> View:
        """Open another view of the widget."""
        self.page.evaluate("width => { show(width); }", width)
        view = View(self, self.page.locator(".sam2-widget").last)
        view.settle()
        return view

    @property
    def view(self) -> View:
        """The first view."""
        return View(self, self.page.locator(".sam2-widget").first)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so in this process, letting the page go on."""
        for _ in range(PATIENCE // 10):
            if condition():
                return
            self.page.wait_for_function("() => true", polling=10)
        raise AssertionError("it never came to be")

    def _to_python(self, text: str) -> None:
        data = json.loads(text)
        self.widget._handle_msg({"content": {"data": data | {"buffer_paths": []}}, "buffers": []})

    def _from_python(self) -> str:
        messages = []
        while not self._queue.empty():
            messages.append(self._queue.get())
        return json.dumps(messages)

    def _publish(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        if msg_type == "comm_msg" and data["method"] in ("custom", "update"):
            packed = [base64.b64encode(bytes(one)).decode() for one in buffers or []]
            self._queue.put({"data": json.loads(json.dumps(data)), "buffers": packed})


class View:
    """One view, as a person sees and uses it. Positions are (x, y) in pixels of the image."""

    def __init__(self, page: ViewPage, root: Locator) -> None:
        self.on, self.root = page, root
        self.stage = root.locator(".sam2-stage")

    def settle(self, **state: Any) -> None:
        """Wait until the view has nothing more to do, and, if told so, shows certain data attributes."""
        wanted = {"state": "idle", **{name: str(value) for name, value in state.items()}}
        self.on.page.wait_for_function(
            "([root, wanted]) => Object.entries(wanted).every(([name, value]) => root.dataset[name] === value)",
            arg=[self.root.element_handle(), wanted],
            timeout=PATIENCE,
        )

    def data(self, name: str) -> str:
        """A data attribute of the view."""
        return self.root.get_attribute(f"data-{name}") or ""

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where an image position is on the page, while the whole image is shown."""
        box = self.root.locator("canvas.sam2-canvas").bounding_box()
        assert box is not None
        height, width = self.on.widget.session.frame_size
        scale = min(box["width"] / width, box["height"] / height)
        left = box["x"] + (box["width"] - width * scale) / 2
        top = box["y"] + (box["height"] - height * scale) / 2
        return left + (x + 0.5) * scale, top + (y + 0.5) * scale

    def click(self, x: float, y: float, **options: Any) -> None:
        """Click on the image."""
        self.stage.scroll_into_view_if_needed()
        modifiers = options.pop("modifiers", ())
        for key in modifiers:
            self.on.page.keyboard.down(key)
        self.on.page.mouse.click(*self.screen(x, y), **options)
        for key in modifiers:
            self.on.page.keyboard.up(key)

    def drag(self, *points: tuple[float, float]) -> None:
        """Press, move and let go."""
        self.stage.scroll_into_view_if_needed()
        mouse = self.on.page.mouse
        mouse.move(*self.screen(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.screen(*point), steps=3)
        mouse.up()

    def press(self, *keys: str) -> None:
        """Press keys with the image in focus."""
        self.stage.focus()
        for key in keys:
            self.on.page.keyboard.press(key)

    def pixel(self, x: float, y: float) -> tuple[int, ...]:
        """The colour (red, green, blue) that is drawn over an image position."""
        box = self.root.locator("canvas.sam2-canvas").bounding_box()
        assert box is not None
        at = self.screen(x, y)
        found = self.root.locator("canvas.sam2-canvas").evaluate(
            "(c, [x, y]) => [...c.getContext('2d').getImageData(Math.round(x * c.width / c.clientWidth), "
            "Math.round(y * c.height / c.clientHeight), 1, 1).data]",
            [at[0] - box["x"], at[1] - box["y"]],
        )
        return tuple(found[:3])

    def act(self, name: str) -> None:
        """Press the button of an action."""
        self.root.locator(f'[data-action="{name}"]').first.click()

    @property
    def message(self) -> str:
        """What the view complains of."""
        return self.root.locator(".sam2-message").inner_text()
