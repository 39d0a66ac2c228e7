"""How quick the notebook view is: click to drawn mask, bytes a click, frames a second, memory of the page.

The view runs in Chromium, the session in this process with the model in a thread; messages go through Playwright, which
takes the place of the notebook server. There is no other side to compare with: the official code has no widget.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import record  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from sam2_core.training.generator import draw_stack  # noqa: E402
from sam2_jupyter import annotate  # noqa: E402
from tests.jupyter.view_page import ViewPage  # noqa: E402

NOTES = "Chromium without a GPU; tiles as JPEG while moving"


def percentile(values: list[float], share: float) -> float:
    """A percentile of a list."""
    return float(np.percentile(values, share))


def clicks(browser: Any, count: int) -> dict[str, Any]:
    """Click on a frame that is encoded already, and wait until the mask is drawn."""
    drawn = draw_stack(5, size=(512, 512), kind="still")
    image, labels = drawn.image[0], drawn.labels[0]
    # cells that are there beyond doubt: a click beside one may be answered by an empty mask
    cells = np.argsort(-np.bincount(labels.ravel())[1:]) + 1
    centres = [np.argwhere(labels == cell).mean(axis=0)[::-1] for cell in cells[: count + 1]]
    count = min(count, len(centres) - 1)
    widget = annotate(image, worker="thread")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    shown = ViewPage(page, widget)
    times, received = [], []
    for number in range(count + 1):
        widget.selected = 0
        shown.view.settle(selected=0)
        before = page.evaluate("() => [model.bytes, model.sent.length]")
        page.evaluate(
            "n => { window.drawn = new Promise((resolve) => { const look = () => "
            "document.querySelector('.sam2-widget').dataset.masks.split(' ').length >= n && "
            "document.querySelector('.sam2-widget').dataset.masks ? resolve(performance.now()) : "
            "requestAnimationFrame(look); "
            "addEventListener('pointerdown', () => { window.pressed = performance.now(); look(); }, "
            "{ once: true, capture: true }); }); }",
            number + 1,
        )
        shown.view.click(*centres[number])
        took = page.evaluate("async () => (await window.drawn) - window.pressed")
        shown.view.settle()
        after = page.evaluate("() => [model.bytes, model.sent.length]")
        if number:  # the first one waits for the encoder
            times.append(took)
            received.append(after[0] - before[0])
    page.close()
    widget.close()
    return {
        "what": "click to drawn mask, 512 x 512, encoded frame",
        "number": count,
        "50th percentile": f"{percentile(times, 50):.0f} ms",
        "95th percentile": f"{percentile(times, 95):.0f} ms",
        "buffers": f"{statistics.median(received) / 1024:.1f} KiB a click",
    }


def scrubbing(browser: Any, count: int, side: int) -> list[dict[str, Any]]:
    """Go through a stack as fast as frames appear, and look at the page's memory."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 60, (side, side), np.uint16)
    rows, columns = np.mgrid[:side, :side]
    texture = (noise + 150 * (np.hypot(rows % 128 - 64, columns % 128 - 64) < 40)).astype(np.uint16)
    # the same pixels again and again, rolled: memory for one plane, as many frames as wanted
    stack = np.lib.stride_tricks.sliding_window_view(np.concatenate([texture, texture]), (side, side))[: side + 1, 0]
    widget = annotate(stack[:count], axes="tyx", model=None, contrast=(0, 250))
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    ViewPage(page, widget)
    tools = page.context.new_cdp_session(page)

    def memory() -> float:
        tools.send("HeapProfiler.collectGarbage")
        used = tools.send("Runtime.getHeapUsage")
        return float(used["usedSize"] + used.get("backingStorageSize", 0)) / 2**20

    at_first = memory()
    begun = time.perf_counter()
    page.evaluate(
        "async count => { const root = document.querySelector('.sam2-widget'); "
        "for (let frame = 0; frame < count; frame++) { model.set('frame', frame); model.save_changes(); "
        "while (root.dataset.shown !== String(frame)) await new Promise(requestAnimationFrame); } }",
        count,
    )
    took = time.perf_counter() - begun
    afterwards = memory()
    received = page.evaluate("() => model.bytes")
    page.close()
    widget.close()
    return [
        {
            "what": f"scrubbing a stack of {side} x {side}, each frame shown",
            "number": count,
            "frames a second": f"{count / took:.1f}",
            "buffers": f"{received / count / 1024:.0f} KiB a frame",
        },
        {
            "what": "heap of the page and its buffers, before and after",
            "number": count,
            "memory": f"{at_first:.0f} MiB, {afterwards:.0f} MiB",
        },
    ]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=30)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--side", type=int, default=2048)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        rows = [clicks(browser, arguments.clicks), *scrubbing(browser, arguments.frames, arguments.side)]
        version = browser.version
        browser.close()
    record.save("notebook", "The notebook view", rows, {"browser": f"Chromium {version}", "how": NOTES})


if __name__ == "__main__":
    main()
