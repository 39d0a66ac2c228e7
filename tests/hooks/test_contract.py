"""The checks for plugin authors find what is wrong."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sam2_core.errors import PluginError
from sam2_core.hooks.contract import PluginContract

Write = Callable[[str], type[PluginContract]]

GOOD = """
    import numpy as np
    from sam2_core.hooks import *
    from sam2_core.hooks import hookimpl

    def inverted(mask, *, twice: bool = False):
        return mask if twice else ~mask

    def middle(drawn, context):
        return [ObjectPrompt(points=[(0, 0)], labels=[1])]

    def accuracy(frames):
        return {"accuracy": float(np.mean([(one == other).mean() for one, other in frames]))}

    @hookimpl
    def sam2_mask_filters():
        return [MaskFilter("invert", "inside out", apply=inverted)]

    @hookimpl
    def sam2_prompt_types():
        return [PromptType(f"middle-{one}", "a click", gesture=one, to_prompts=middle)
                for one in ("point", "box", "path", "polygon", "brush", "none")]

    @hookimpl
    def sam2_metrics():
        return [Metric("accuracy", "share of pixels that are right", measure=accuracy)]

    def onward(tracking, *, direction: str = "both"):
        for frames in tracking.passes(direction):
            yield from tracking.sweep(frames)

    @hookimpl
    def sam2_propagators():
        return [Propagator("onward", "as the model was made to", propagate=onward)]

    @hookimpl
    def sam2_losses():
        return [Loss("mean", "the mean logit", compute=lambda logits, targets: logits.mean((-2, -1)))]

    @hookimpl
    def sam2_session_event(event):
        pass
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(code: str) -> type[PluginContract]:
        (tmp_path / "a_plugin_to_check.py").write_text(textwrap.dedent(code), encoding="utf-8")
        import a_plugin_to_check  # type: ignore[import-not-found]

        module: ModuleType = a_plugin_to_check
        return type("Checked", (PluginContract,), {"plugin": module})

    yield write
    sys.modules.pop("a_plugin_to_check", None)


def checks(contract: type[PluginContract]) -> Iterator[str]:
    return (name for name in dir(contract) if name.startswith("test_"))


def run(contract: type[PluginContract], name: str, tmp_path: Path) -> None:
    function = getattr(contract(), name)
    function(tmp_path) if "readers" in name else function()


def test_a_good_plugin_passes_all(written: Write, tmp_path: Path) -> None:
    contract = written(GOOD)

    for name in checks(contract):
        run(contract, name, tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "check", "says"),
    [
        ('"inside out"', '""', "test_it_does_something", "invert needs a summary"),
        ('"inside out"', '"inside\\nout"', "test_it_does_something", "one line"),
        ("~mask", "mask[1:]", "test_its_filters_filter", "shape"),
        ("~mask", "mask.__setitem__(0, 1)", "test_its_filters_filter", "read-only"),
        ("[(0, 0)]", "[(0, 0), (1, 1)]", "test_its_prompt_types_give_prompts", "as many labels"),
        ("labels=[1]", "labels=[1 // drawn.positive]", "test_its_prompt_types_give_prompts", "ZeroDivisionError"),
        ("(one == other)", "(one != other)", "test_its_metrics_measure", "better than the truth"),
        ('return {"accuracy"', 'return {}; {"accuracy"', "test_its_metrics_measure", "measures nothing"),
        ("logits.mean((-2, -1))", "logits.mean()", "test_its_losses_can_be_trained_with", r"\(B, M\)"),
        ("logits.mean((-2, -1))", "logits.mean((-2, -1)) * 0", "test_its_losses_can_be_trained_with", "is 0"),
        ("yield from tracking.sweep(frames)", "yield 3", "test_its_propagators", "yields FrameDone; got 3"),
        ("in tracking.passes(direction)", "in []", "test_its_propagators", "does nothing"),
        ('"invert", ', '"smooth", ', "test_its_names_are_free", "there already"),
        ("import numpy as np", "import numpy as np; import sam2_core.errors", "test_it_imports_public_names", "errors"),
        ("(event):\n        pass", "(event):\n        return 1", "test_it_only_listens", "must return nothing"),
        ("sam2_mask_filters", "sam2_mask_filter", "test_it_does_something", "there is no hook"),
    ],
)
def test_what_is_wrong_is_found(written: Write, tmp_path: Path, before: str, after: str, check: str, says: str) -> None:
    assert before in GOOD
    contract = written(GOOD.replace(before, after, 1))
    (name,) = [one for one in checks(contract) if one.startswith(check)]
    with pytest.raises((AssertionError, PluginError), match=says):
        run(contract, name, tmp_path)


def test_a_plugin_that_does_nothing(written: Write, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no function marked with hookimpl"):
        run(written("def sam2_mask_filters(): return []"), "test_it_does_something", tmp_path)


def test_a_distribution_that_is_not_there(written: Write, tmp_path: Path) -> None:
    contract = written(GOOD)
    contract.distribution = "no-such-plugin"

    with pytest.raises(AssertionError, match="no-such-plugin names no plugin"):
        run(contract, "test_its_entry_point_is_installed", tmp_path)
