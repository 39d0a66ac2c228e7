"""The ``sam2`` command: its subcommands and how errors are shown."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from sam2_core import __version__
from sam2_core.cli.console import messages, output
from sam2_core.errors import Sam2Error
from sam2_core.hooks import CliCommand, Plugins, PluginWarning, Registered, Selection, get_plugins, using_plugins
from sam2_core.hooks.selection import OWN_DISTRIBUTION

FAILURE = 2


def _show_version(wanted: bool) -> None:
    if wanted:
        output.print(f"sam2-lab {__version__}")
        raise typer.Exit


def _global_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from. May stand anywhere.")] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Load no plugins but the built-in ones. May stand anywhere.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Segment and track cells in images, z-stacks and videos with SAM 2."""


def build_app(plugins: Plugins) -> typer.Typer:
    """Make the command line of the commands that plugins add, the built-in ones first."""
    app = typer.Typer(
        name="sam2",
        help="Segment and track cells in images, z-stacks and videos with SAM 2.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_global_options)
    for name, registered in plugins.contributions(CliCommand).items():
        app.command(name)(_attributed(plugins, registered))
    return app


def _attributed(plugins: Plugins, registered: Registered[CliCommand]) -> Callable[..., None]:
    """A command whose unexpected errors name the plugin it came with; our own stay as they are."""
    function = registered.contribution.function
    if registered.plugin.distribution == OWN_DISTRIBUTION:
        return function

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> None:
        with plugins.attributed(registered):
            function(*arguments, **options)

    return command


def _chosen_plugins(only_builtin: bool) -> Plugins:
    if not only_builtin:
        return get_plugins()
    plugins = Plugins(Selection(only_builtin=True))
    plugins.load_installed()
    return plugins


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; the entry point ``sam2``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Raises
    ------
    SystemExit
        Always: 0, 1 for a check that failed, 2 for an error, which is shown as one line unless ``--debug`` is among the
        arguments.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = "--debug" in given
    left = [argument for argument in given if argument not in ("--debug", "--no-plugins")]
    try:
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always", PluginWarning)
            plugins = _chosen_plugins(only_builtin="--no-plugins" in given)
            app = build_app(plugins)
        for one in raised:
            messages.print(f"sam2: {one.message}", style="yellow", markup=False)
        with using_plugins(plugins):
            app(left, prog_name="sam2")
    except (Sam2Error, OSError) as error:
        if show_traceback:
            raise
        # markup off: a message may quote brackets
        messages.print(f"sam2: {error}", style="red", markup=False)
        sys.exit(FAILURE)


if __name__ == "__main__":
    main()
