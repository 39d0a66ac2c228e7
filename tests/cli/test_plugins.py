"""``sam2 plugins list``, ``--no-plugins``, and commands that plugins add."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sam2_core.cli.app import main
from sam2_core.hooks import Plugins, PluginWarning, Selection, using_plugins
from tests.hooks.distributions import GOOD, RAISES_AT_IMPORT, install

Run = Callable[..., tuple[int, str, str]]

FAILS_WHEN_CALLED = """
    from sam2_core.hooks import CliCommand, hookimpl

    def fail(number: int) -> None:
        "Divide by a number."
        print(1 / number)

    @hookimpl
    def sam2_cli_commands():
        return [CliCommand("divide", "divides", function=fail)]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return partial(install, site)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_with_plugins(*arguments: str) -> tuple[int, str, str]:
        plugins = Plugins(Selection())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)
            plugins.load_installed()
        with using_plugins(plugins), pytest.raises(SystemExit) as stop:
            main(arguments)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run_with_plugins


def named(report: dict[str, Any], kind: str) -> dict[str, Any]:
    return {one.get("name") or one["plugin"]: one for one in report[kind]}


def test_built_in_commands_are_a_plugin(run: Run) -> None:
    code, out, _ = run("plugins", "list", "--json")

    report = json.loads(out)
    assert code == 0
    assert report["specification"] == "1.0"
    assert {"segment", "track", "plugins"} <= set(named(report, "plugins")["commands"]["adds"]["sam2_cli_commands"])
    assert named(report, "plugins")["commands"]["distribution"] == "sam2-lab"


def test_a_plugin_adds_a_command(run: Run, installed: Callable[..., None]) -> None:
    installed("good-plugin", GOOD.replace("{name}", "greet"))

    code, out, _ = run("plugins", "list")
    assert code == 0
    assert "good-plugin 1.2" in out
    assert "greet" in out
    assert run("greet")[0] == 0
    assert "greet" in run("--help")[1]
    assert run("greet", "--no-plugins")[0] == 2, "it is not there then"
    assert "only built-in" in run("plugins", "list", "--no-plugins")[1]


def test_a_broken_plugin_is_named_and_everything_else_works(run: Run, installed: Callable[..., None]) -> None:
    installed("bad-plugin", RAISES_AT_IMPORT, version="0.7")

    code, out, _ = run("plugins", "list")
    assert code == 1
    assert "bad-plugin (bad-plugin 0.7) in phase import" in out
    assert "OSError: a library of mine is missing" in out
    assert json.loads(run("plugins", "list", "--json")[1])["failures"][0]["version"] == "0.7"
    assert run("info")[0] == 0


def test_a_command_that_fails_says_whose_it_is(run: Run, installed: Callable[..., None]) -> None:
    installed("odd-plugin", FAILS_WHEN_CALLED)

    assert run("divide", "2")[1] == "0.5\n"
    code, _, err = run("divide", "0")
    assert code == 2
    assert "odd-plugin 1.2" in err
    assert "ZeroDivisionError" in err
