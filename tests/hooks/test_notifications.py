"""Plugins that listen: sam2_session_event and sam2_training_event."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from sam2_core.errors import PluginError
from sam2_core.hooks import Plugins, PluginWarning, Selection, SessionEvent, TrainingEvent, hookimpl

EVENT = SessionEvent("changed", Path("session"), step="add points", objects=frozenset({1}))


class Listens:
    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.heard: list[Any] = []

    @hookimpl
    def sam2_session_event(self, event: SessionEvent) -> Any:
        self.heard.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def sam2_training_event(self, event: TrainingEvent) -> None:
        self.heard.append(event)


class TakesNothing:
    count = 0

    @hookimpl
    def sam2_session_event(self) -> None:
        self.count += 1


def plugins(**listeners: Any) -> Plugins:
    made = Plugins(Selection(), strict=False)
    for name, one in listeners.items():
        made.register(one, name=name)
    return made


def test_everybody_hears() -> None:
    first, second, third = Listens(), Listens(), TakesNothing()
    known = plugins(a=first, b=second, c=third)

    known.notify("sam2_session_event", event=EVENT)
    known.notify("sam2_training_event", event=TrainingEvent("end", 3))

    assert first.heard == second.heard == [EVENT, TrainingEvent("end", 3)]
    assert third.count == 1
    assert [one.name for one in known.listeners("sam2_training_event")] == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "says"), [(ZeroDivisionError("mine"), "ZeroDivisionError: mine"), ("nonsense", "must return nothing")]
)
def test_one_that_raises_or_returns_nonsense_is_named_and_switched_off(answer: Any, says: str) -> None:
    bad, good = Listens(answer), Listens()
    known = plugins(a=bad, b=good)

    with pytest.warns(PluginWarning, match=f"plugin a failed in phase call, sam2_session_event.*{says}"):
        known.notify("sam2_session_event", event=EVENT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        known.notify("sam2_session_event", event=EVENT)

    assert len(bad.heard) == 1
    assert len(good.heard) == 2
    (failure,) = known.failures
    assert (failure.plugin, failure.phase, failure.where) == ("a", "call", "sam2_session_event")
    assert [one.name for one in known.loaded] == ["b"]


def test_strict_raises() -> None:
    known = plugins(a=Listens("nonsense"))
    known.strict = True

    with pytest.raises(PluginError, match="must return nothing"):
        known.notify("sam2_session_event", event=EVENT)
