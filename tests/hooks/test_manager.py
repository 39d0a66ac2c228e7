"""Plugins that work, and plugins that fail in each possible way, installed for real."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError, PluginError
from sam2_core.hooks import CliCommand, Plugins, PluginWarning, Selection, hookimpl
from sam2_core.hooks.specification import HOOK_OF_KIND
from tests.hooks import distributions as made
from tests.hooks.conftest import Install


def loaded(selection: Selection | None = None, *, strict: bool = False) -> Plugins:
    plugins = Plugins(selection or Selection(), strict=strict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        plugins.load_installed()
    return plugins


def names(plugins: Plugins) -> set[str]:
    """Plugins that are on, but for those of this project itself."""
    return {one.name for one in plugins.loaded if one.distribution != "sam2-lab"}


def commands(plugins: Plugins) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        every = plugins.contributions(CliCommand)
    return {name for name, one in every.items() if one.plugin.distribution != "sam2-lab"}


def greet() -> None:
    """Do nothing."""


class Adds:
    """A plugin registered by hand."""

    def __init__(self, *contributions: Any) -> None:
        self._contributions = contributions

    @hookimpl
    def sam2_cli_commands(self) -> list[Any]:
        return list(self._contributions)


def test_an_installed_plugin_adds_what_it_has(installed: Install) -> None:
    installed("good-plugin", made.GOOD.replace("{name}", "greet"))

    plugins = loaded()

    found = plugins.contributions(CliCommand)["greet"]
    assert (found.plugin.name, found.plugin.distribution, found.plugin.version) == ("good-plugin", "good-plugin", "1.2")
    assert found.contribution.summary == "says hello"
    assert plugins.failures == []


@pytest.mark.parametrize(
    ("code", "phase", "says"),
    [
        (made.RAISES_AT_IMPORT, "import", "a library of mine is missing"),
        (made.LEAVES_AT_IMPORT, "import", "SystemExit"),
        (made.RAISES_IN_HOOK, "collect", "ZeroDivisionError"),
        (made.RETURNS_NONSENSE, "collect", "a string"),
        (made.UNKNOWN_HOOK, "register", "sam2_cli_commands"),
        (made.GOOD.replace("{name}", "No Name"), "collect", "lower-case"),
    ],
    ids=["import", "exit", "hook", "nonsense", "unknown", "name"],
)
def test_a_broken_plugin_is_named_and_takes_nothing_else_down(
    installed: Install, code: str, phase: str, says: str
) -> None:
    installed("bad-plugin", code, version="0.7")
    installed("good-plugin", made.GOOD.replace("{name}", "greet"))

    plugins = loaded()

    assert commands(plugins) == {"greet"}
    assert names(plugins) == {"good-plugin"}
    (failure,) = plugins.failures
    assert (failure.plugin, failure.distribution, failure.version) == ("bad-plugin", "bad-plugin", "0.7")
    assert failure.phase == phase
    assert says in failure.message
    assert "Traceback" in failure.traceback
    assert "bad-plugin 0.7" in str(failure)


def test_a_failure_warns_once(installed: Install) -> None:
    installed("bad-plugin", made.RAISES_IN_HOOK)
    plugins = loaded()

    with pytest.warns(PluginWarning, match="bad-plugin 1.2"):
        plugins.contributions(CliCommand)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins.contributions(CliCommand)


def test_strict_raises(installed: Install) -> None:
    installed("bad-plugin", made.RAISES_AT_IMPORT)

    with pytest.raises(PluginError, match=r"bad-plugin 1\.2.*a library of mine") as caught:
        loaded(strict=True)

    assert isinstance(caught.value.__cause__, OSError)


def test_a_hook_of_a_later_version_may_be_optional(installed: Install) -> None:
    installed("new-plugin", made.HOOK_OF_A_LATER_VERSION)

    plugins = loaded()

    assert names(plugins) == {"new-plugin"}


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(), {"one", "two"}),
        (Selection(deny=frozenset({"one"})), {"two"}),
        (Selection(allow=frozenset({"one"})), {"one"}),
        (Selection(allow=frozenset({"one"}), deny=frozenset({"one"})), set()),
        (Selection(only_builtin=True), set()),
    ],
)
def test_the_selection_decides_what_is_loaded(installed: Install, selection: Selection, left: set[str]) -> None:
    installed("one", made.GOOD.replace("{name}", "first"))
    installed("two", made.GOOD.replace("{name}", "second"))

    plugins = loaded(selection)

    assert names(plugins) == left
    assert {found.name for found, _ in plugins.refused} == {"one", "two"} - left
    assert all(reason for _, reason in plugins.refused)


def test_a_plugin_that_is_left_out_is_not_even_imported(installed: Install) -> None:
    installed("bad-plugin", made.RAISES_AT_IMPORT)

    plugins = loaded(Selection(deny=frozenset({"bad-plugin"})))

    assert plugins.failures == []


def test_a_name_that_is_taken_switches_the_second_one_off() -> None:
    plugins = Plugins(Selection(), strict=False)
    plugins.register(Adds(CliCommand("same", function=greet)), name="a")
    plugins.register(Adds(CliCommand("other", function=greet), CliCommand("same", function=greet)), name="b")

    with pytest.warns(PluginWarning, match="there already, from plugin a"):
        found = plugins.contributions(CliCommand)

    assert set(found) == {"same"}
    assert found["same"].plugin.name == "a"


def test_two_plugins_of_one_name() -> None:
    plugins = Plugins(Selection(), strict=False)
    first = Adds()
    assert plugins.register(first, name="twin")

    with pytest.warns(PluginWarning, match="give the entry point another name"):
        assert not plugins.register(Adds(), name="twin")

    assert [one.plugin for one in plugins.loaded] == [first]


def test_unregister_takes_back_what_a_plugin_added() -> None:
    plugins = Plugins(Selection(), strict=True)
    plugins.register(Adds(CliCommand("one", function=greet)), name="a")
    assert set(plugins.contributions(CliCommand)) == {"one"}

    plugins.unregister("a")
    plugins.unregister("a")

    assert plugins.contributions(CliCommand) == {}


def test_what_was_registered_later_is_found_too() -> None:
    plugins = Plugins(Selection(), strict=True)
    assert plugins.contributions(CliCommand) == {}

    plugins.register(Adds(CliCommand("one", function=greet)), name="a")

    assert set(plugins.contributions(CliCommand)) == {"one"}


def test_a_module_is_named_after_itself() -> None:
    plugins = Plugins(Selection(), strict=True)

    plugins.register(ModuleType("my_module"))

    assert [one.name for one in plugins.loaded] == ["my_module"]


def test_find_says_what_there_is_and_what_failed(installed: Install) -> None:
    installed("bad-plugin", made.RAISES_AT_IMPORT)
    plugins = loaded()
    plugins.register(Adds(CliCommand("known", function=greet)), name="a")

    assert plugins.find(CliCommand, "known").contribution.function is greet
    with pytest.raises(PluginError, match=r"no cli command named 'unknown'.*known.*bad-plugin 1\.2") as caught:
        plugins.find(CliCommand, "unknown")

    assert isinstance(caught.value, RuntimeError)


def test_an_error_in_what_a_plugin_added_says_whose_it_is_and_is_raised() -> None:
    plugins = Plugins(Selection(), strict=False)
    plugins.register(Adds(CliCommand("one", function=greet)), name="a", distribution="a-plugin", version="3")
    registered = plugins.find(CliCommand, "one")

    with (
        pytest.raises(PluginError, match=r"'one' failed.*a-plugin 3.*ZeroDivisionError"),
        plugins.attributed(registered),
    ):
        _ = 1 / 0

    (failure,) = plugins.failures
    assert failure.phase == "call"
    assert names(plugins) == {"a"}, "a call that fails on one input is no reason to switch the plugin off"


@pytest.mark.parametrize(
    "error", [InvalidInputError("yours"), InvalidTypeError("yours"), MemoryError(), KeyboardInterrupt(), PluginError()]
)
def test_errors_that_are_not_the_plugins_stay_what_they_are(error: BaseException) -> None:
    plugins = Plugins(Selection(), strict=False)
    plugins.register(Adds(CliCommand("one", function=greet)), name="a")
    registered = plugins.find(CliCommand, "one")

    with pytest.raises(type(error)) as caught, plugins.attributed(registered):
        raise error

    assert caught.value is error
    assert plugins.failures == []


def test_running_out_of_a_gpus_memory_stays_what_it_is() -> None:
    torch = pytest.importorskip("torch")
    plugins = Plugins(Selection(), strict=False)
    plugins.register(Adds(CliCommand("one", function=greet)), name="a")
    registered = plugins.find(CliCommand, "one")

    with pytest.raises(torch.OutOfMemoryError), plugins.attributed(registered):
        raise torch.OutOfMemoryError("no room")


def test_each_kind_has_a_hook_of_the_specification() -> None:
    plugins = Plugins(Selection(), strict=True)

    for kind in HOOK_OF_KIND:
        assert plugins.contributions(kind) == {}
