"""What is drawn becomes prompts, through the prompt types that plugins register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from sam2_core.builtin import prompt_types, readers
from sam2_core.errors import InvalidInputError, PluginError, StateError
from sam2_core.hooks import Drawn, ObjectPrompt, Plugins, PromptContext, PromptType, hookimpl, using_plugins
from sam2_core.session.annotation_session import AnnotationSession
from tests.session.job_scene import new_session


def at(*points: tuple[float, float], gesture: Any = "point", frame: int = 0, positive: bool = True) -> Drawn:
    return Drawn(gesture, frame, positive, np.array(points, np.float32))


def everywhere(drawn: Drawn, context: PromptContext, *, count: int = 2) -> Iterable[ObjectPrompt]:
    """New objects side by side, told on the next frame."""
    assert context.image().shape == (*context.frame_size, 3)
    assert context.labels().shape == context.frame_size
    for number in range(count):
        yield ObjectPrompt([(10 * number + 5, 5)], [1], frame=drawn.frame + 1, object_id="new")


def brightest(drawn: Drawn, context: PromptContext) -> Iterable[ObjectPrompt]:
    """Where the features are strongest."""
    level = context.features().maps[-1][0]
    place = int(level.norm(dim=0).argmax())
    height, width = context.frame_size
    x = (place % level.shape[2] + 0.5) * width / level.shape[2]
    y = (place // level.shape[2] + 0.5) * height / level.shape[1]
    yield ObjectPrompt([(x, y)], [1], replace=True)


def broken(drawn: Drawn, context: PromptContext) -> Iterable[ObjectPrompt]:
    raise KeyError("a defect")


class Own:
    """A plugin."""

    @hookimpl
    def sam2_prompt_types(self) -> Iterable[PromptType]:
        return [
            PromptType("everywhere", "", gesture="none", to_prompts=everywhere),
            PromptType("brightest", "", gesture="none", to_prompts=brightest),
            PromptType("broken", "", gesture="none", to_prompts=broken),
        ]


@pytest.fixture(autouse=True)
def _plugins() -> Iterator[None]:
    plugins = Plugins(strict=True)
    for name, plugin in (("prompt-types", prompt_types), ("readers", readers), ("own", Own())):
        plugins.register(plugin, name=name)
    with using_plugins(plugins):
        yield


@pytest.fixture
def session() -> Any:
    with new_session() as opened:
        yield opened


def labels_of_history(session: AnnotationSession) -> list[str]:
    return [step.label for step in session.history]


def test_clicks_make_an_object_and_add_to_it(session: AnnotationSession) -> None:
    (one,) = session.add_drawn("point", at((30, 20)))
    assert session.add_drawn("point", at((40, 20), positive=False), one) == [one]

    prompt = session.prompt(one, 0)
    assert prompt.points == ((30, 20), (40, 20))
    assert prompt.labels == (1, 0)
    assert labels_of_history(session) == ["draw point", "draw point"]
    assert session.segment(one, 0) is not None
    session.undo()
    session.undo()
    assert session.objects == []


def test_a_box_and_a_brush(session: AnnotationSession) -> None:
    (one,) = session.add_drawn("box", at((50, 40), (20, 10), gesture="box", frame=2))
    assert session.prompt(one, 2).box == (20, 10, 50, 40)
    painted = np.zeros(session.frame_size, bool)
    painted[10:20, 30:50] = True
    session.add_drawn("mask", Drawn("brush", 2, True, mask=painted), one)

    prompt = session.prompt(one, 2)
    assert prompt.box is None
    assert prompt.mask is not None
    assert np.array_equal(session.pixels(prompt.mask).paste(session.frame_size), painted)


def test_a_plugin_s_prompts_are_one_step(session: AnnotationSession) -> None:
    ids = session.add_drawn("everywhere", Drawn("none", 0), count=3)

    assert ids == [1, 2, 3]
    assert [session.prompt(one, 1).points for one in ids] == [((5, 5),), ((15, 5),), ((25, 5),)]
    assert labels_of_history(session) == ["draw everywhere"]
    session.undo()
    assert session.objects == []


def test_features_come_from_the_worker(session: AnnotationSession) -> None:
    (one,) = session.add_drawn("brightest", Drawn("none", 3))
    assert session.prompt(one, 3).labels == (1,)


def test_what_goes_wrong_changes_nothing(session: AnnotationSession) -> None:
    with pytest.raises(PluginError, match="broken"):
        session.add_drawn("broken", Drawn("none", 0))
    with pytest.raises(PluginError, match="no prompt type named"):
        session.add_drawn("telepathy", Drawn("none", 0))
    with pytest.raises(InvalidInputError, match="gesture"):
        session.add_drawn("box", at((1, 1)))
    with pytest.raises(StateError, match="no object 7"):
        session.add_drawn("point", at((1, 1)), 7)
    with pytest.raises(InvalidInputError, match="no option"):
        session.add_drawn("everywhere", Drawn("none", 0), number=3)

    assert session.objects == []
    assert session.history == []
