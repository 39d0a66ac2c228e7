"""Make the pictures of the notebook widget in docs/images: light, dark, and in a narrow cell.

    python scripts/notebook_screenshots.py

Needs the test dependencies and Chromium. The stack is drawn, the model the one that ships with the package.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sam2_core.training.generator import draw_stack  # noqa: E402
from sam2_jupyter import annotate  # noqa: E402
from tests.jupyter.view_page import ViewPage  # noqa: E402

FRAMES, MIDDLE, SIZE = 8, 4, (192, 256)
LOOKS = {
    "notebook-light": ("light", "980px", {"width": 1010, "height": 700}),
    "notebook-dark": ("dark", "980px", {"width": 1010, "height": 700}),
    "notebook-narrow": ("light", "420px", {"width": 450, "height": 900}),
}


def main() -> None:
    """Draw, segment some cells, propagate one, and take the pictures."""
    drawn = draw_stack(7, frames=FRAMES, size=SIZE, kind="z")
    widget = annotate(drawn.image, axes="zyx", worker="thread", height=400, frame=MIDDLE)
    session = widget.session
    sizes = np.bincount(drawn.labels[MIDDLE].ravel())[1:]
    for label in np.argsort(-sizes)[:4] + 1:
        depth = ndimage.distance_transform_edt(drawn.labels[MIDDLE] == label)
        y, x = np.unravel_index(depth.argmax(), SIZE)
        one = session.add_object()
        session.add_points(one.id, MIDDLE, (x, y))
        session.start_segment(one.id, MIDDLE).wait()
    session.start_propagate([1, 2]).wait()
    widget.selected = 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (theme, width, viewport) in LOOKS.items():
            page = browser.new_page(viewport=viewport)
            shown = ViewPage(page, widget, width=width)
            page.evaluate(
                "dark => { document.body.dataset.jpThemeLight = String(!dark); "
                "document.body.style.background = dark ? '#111' : '#fff'; "
                "document.querySelector('h1').remove(); }",
                theme == "dark",
            )
            shown.view.settle()
            shown.view.root.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")
            page.close()
        browser.close()
    widget.close()


if __name__ == "__main__":
    main()
