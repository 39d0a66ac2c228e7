"""The ``sam2`` command: its subcommands and how errors are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sam2_core import __version__
from sam2_core.cli import convert, demo, doctor, download, embed, everything, info, segment, track
from sam2_core.cli.console import messages, output
from sam2_core.errors import Sam2Error

FAILURE = 2

app = typer.Typer(
    name="sam2",
    help="Segment and track cells in images, z-stacks and videos with SAM 2.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        output.print(f"sam2-lab {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from. May stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Segment and track cells in images, z-stacks and videos with SAM 2."""


app.command("segment")(segment.segment)
app.command("track")(track.track)
app.command("everything")(everything.everything)
app.command("embed")(embed.embed)
app.command("convert")(convert.convert)
app.command("demo")(demo.demo)
app.command("info")(info.info)
app.command("doctor")(doctor.doctor)
app.command("download")(download.download)


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
    try:
        app([argument for argument in given if argument != "--debug"], prog_name="sam2")
    except (Sam2Error, OSError) as error:
        if show_traceback:
            raise
        # markup off: a message may quote brackets
        messages.print(f"sam2: {error}", style="red", markup=False)
        sys.exit(FAILURE)


if __name__ == "__main__":
    main()
