"""What is drawn and what the model is told: refused where it cannot be meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError, PluginError, StateError
from sam2_core.hooks import (
    ArrayContext,
    Drawn,
    ObjectPrompt,
    Plugins,
    PromptContext,
    PromptType,
    Selection,
    hookimpl,
    prompts_of,
)

MASK = np.ones((4, 6), bool)


def points(*pairs: tuple[float, float]) -> Any:
    return np.array(pairs, np.float32).reshape(-1, 2)


@pytest.mark.parametrize(
    "drawn",
    [
        Drawn("point", 0, points=points((1, 2))),
        Drawn("box", 0, points=points((1, 2), (3, 4))),
        Drawn("path", 0, points=points((1, 2))),
        Drawn("polygon", 0, points=points((1, 2), (3, 4), (5, 5))),
        Drawn("brush", 0, mask=MASK),
        Drawn("none", 0),
    ],
    ids=lambda drawn: drawn.gesture,
)
def test_what_can_be_drawn(drawn: Drawn) -> None:
    drawn.check()


@pytest.mark.parametrize(
    ("drawn", "says"),
    [
        (Drawn("circle", 0), "one of point, box"),  # type: ignore[arg-type]
        (Drawn("point", 0), "with 1 points; got 0"),
        (Drawn("box", 0, points=points((1, 2))), "with 2 points; got 1"),
        (Drawn("polygon", 0, points=points((1, 2), (3, 4))), "at least 3 points; got 2"),
        (Drawn("none", 0, points=points((1, 2))), "0 points; got 1"),
        (Drawn("brush", 0), "brush without one"),
        (Drawn("point", 0, points=points((1, 2)), mask=MASK), "point with one"),
        (Drawn("brush", 0, mask=MASK.astype(np.uint8)), "bool; got uint8"),  # type: ignore[arg-type]
        (Drawn("point", 0, points=points((np.nan, 2))), "finite"),
        (Drawn("point", 0, points=np.zeros((1, 3), np.float32)), r"\(1, 3\)"),
    ],
)
def test_what_cannot_be_drawn(drawn: Drawn, says: str) -> None:
    with pytest.raises((InvalidInputError, InvalidTypeError), match=says):
        drawn.check()


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (ObjectPrompt(), "needs points, a box or a mask"),
        (ObjectPrompt(points=[(1, 2)]), "as many labels"),
        (ObjectPrompt(points=[(1, 2)], labels=[2]), "Labels are 1"),
        (ObjectPrompt(points=[(1, np.inf)], labels=[1]), "finite"),
        (ObjectPrompt(box=(3, 0, 1, 2)), "x0 <= x1"),
        (ObjectPrompt(mask=MASK, box=(0, 0, 1, 1)), "by itself"),
        (ObjectPrompt(mask=MASK[:2]), r"\(2, 6\)"),
        (ObjectPrompt(mask="mask"), "array"),  # type: ignore[arg-type]
        (ObjectPrompt(points=[(1, 2)], labels=[1], frame=3), "no frame 3"),
        (ObjectPrompt(points=[(1, 2)], labels=[1], object_id="old"), "old"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_prompt(prompt: ObjectPrompt, says: str) -> None:
    with pytest.raises((InvalidInputError, InvalidTypeError), match=says):
        prompt.check(3, (4, 6))


@pytest.mark.parametrize(
    "prompt",
    [
        ObjectPrompt(points=[(1, 2), (0, 0)], labels=[1, 0], box=(0, 0, 5, 3)),
        ObjectPrompt(mask=MASK, frame=2, object_id="new"),
    ],
)
def test_good_prompts_pass(prompt: ObjectPrompt) -> None:
    prompt.check(3, (4, 6))


def marked(drawn: Drawn, context: PromptContext, *, share: float = 0.5) -> Any:
    yield ObjectPrompt(points=[(share, 0)], labels=[1])


def fails(drawn: Drawn, context: PromptContext) -> Any:
    yield ObjectPrompt(points=[(0, 0)], labels=[1])
    raise ZeroDivisionError


class Adds:
    @hookimpl
    def sam2_prompt_types(self) -> Any:
        return [
            PromptType("marked", gesture="none", to_prompts=marked),
            PromptType("fails", gesture="none", to_prompts=fails),
            PromptType("nonsense", gesture="none", to_prompts=lambda drawn, context: ["a string"]),
            PromptType("nothing-said", gesture="none", to_prompts=lambda drawn, context: [ObjectPrompt()]),
            PromptType("a-number", gesture="none", to_prompts=lambda drawn, context: 3),  # type: ignore[arg-type,return-value]
            PromptType("yours", gesture="none", to_prompts=refuses),
        ]


def refuses(drawn: Drawn, context: PromptContext) -> Any:
    raise InvalidInputError("select an object first")


@pytest.fixture
def plugins() -> Plugins:
    plugins = Plugins(Selection(), strict=True)
    plugins.register(Adds(), name="prompts")
    return plugins


CONTEXT = ArrayContext(np.zeros((2, 4, 6, 3), np.uint8))


def test_prompts_come_through_the_hook(plugins: Plugins) -> None:
    (prompt,) = prompts_of("marked", Drawn("none", 0), CONTEXT, plugins=plugins, share=2)

    assert list(prompt.points) == [(2.0, 0)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fails", "ZeroDivisionError"),
        ("nonsense", "a string"),
        ("nothing-said", "needs points"),
        ("a-number", "not iterable"),
    ],
)
def test_a_prompt_type_that_fails_or_returns_nonsense_is_named(plugins: Plugins, name: str, says: str) -> None:
    with pytest.raises(PluginError, match=rf"prompt type '{name}' failed\. plugin prompts.*{says}"):
        prompts_of(name, Drawn("none", 0), CONTEXT, plugins=plugins)

    (failure,) = plugins.failures
    assert (failure.plugin, failure.phase, failure.where) == ("prompts", "call", name)
    assert "Traceback" in failure.traceback


def test_what_the_user_can_mend_stays_what_it_is(plugins: Plugins) -> None:
    with pytest.raises(InvalidInputError, match="select an object first"):
        prompts_of("yours", Drawn("none", 0), CONTEXT, plugins=plugins)
    with pytest.raises(InvalidInputError, match="gesture none; got point"):
        prompts_of("marked", Drawn("point", 0, points=points((1, 1))), CONTEXT, plugins=plugins)
    with pytest.raises(InvalidInputError, match="no option shape"):
        prompts_of("marked", Drawn("none", 0), CONTEXT, plugins=plugins, shape=1)

    assert plugins.failures == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gesture": "circle"}, "must be one of point"),
        ({"to_prompts": "f"}, "must be callable"),
        ({"to_prompts": lambda drawn, context, *, share=1: []}, "needs a type"),
        ({"key": ""}, "a key's name"),
    ],
)
def test_what_is_no_prompt_type(wrong: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"gesture": "none", "to_prompts": marked, **wrong}
    with pytest.raises((InvalidInputError, InvalidTypeError), match=says):
        PromptType("wrong", **given).check()


def test_a_context_of_arrays() -> None:
    labels = np.zeros((2, 4, 6), int)
    labels[1, 0, 0] = 5
    context = ArrayContext(np.zeros((2, 4, 6, 3), np.uint8), labels=labels, object_id=5, frame=1, features=str)
    checked: PromptContext = context

    assert (checked.frame_count, checked.frame_size, checked.image().shape) == (2, (4, 6), (4, 6, 3))
    mask = checked.mask()
    assert mask is not None
    assert mask.sum() == 1
    assert checked.mask(frame=0) is None
    assert checked.labels()[0, 0] == 5
    assert checked.features() == "1"
    with pytest.raises(StateError, match="no model"):
        CONTEXT.features()
    assert CONTEXT.mask() is None
    with pytest.raises(InvalidInputError, match="no frame 2"):
        ArrayContext(np.zeros((2, 4, 6, 3), np.uint8), frame=2)
    with pytest.raises(InvalidInputError, match="labels have shape"):
        ArrayContext(np.zeros((2, 4, 6, 3), np.uint8), labels=labels[:1])
    with pytest.raises(InvalidInputError, match="images are"):
        ArrayContext(np.zeros((4, 6, 3), np.uint8))
