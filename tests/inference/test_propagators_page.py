"""docs/propagators.md tells the truth: its code runs, and its propagators carry objects through a stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sam2_core.hooks import Plugins, Selection, using_plugins
from tests.inference.video_scene import disc, small_predictor, stack


def test_the_page_runs(repository: Path) -> None:
    page = (repository / "docs" / "propagators.md").read_text(encoding="utf-8")
    predictor = small_predictor()
    state = predictor.init_state(stack(6))
    predictor.prompt_mask(state, 2, 1, disc((20, 30), 9))
    predictor.prompt_mask(state, 4, 1, disc((24, 30), 9))
    names: dict[str, Any] = {"predictor": predictor, "state": state}
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    plugins.load_installed()
    with using_plugins(plugins):
        for code in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
            exec(code, names)
        assert list(state.objects[1].recent) == [3]
        plugins.register(type("Page", (), {"sam2_propagators": staticmethod(names["sam2_propagators"])}), name="page")

        found = {
            name: [masks.frame_index for masks in predictor.propagate(state, 2, propagator=name)]
            for name in ("outward", "steady")
        }

    assert found == {"outward": [2, 3, 1, 0, 4, 5], "steady": [2, 3, 4, 5, 1, 0]}
    state.close()
