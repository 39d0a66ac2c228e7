"""``sam2 open``: a stack or a session in a front-end."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from sam2_core.cli.options import parse_pairs
from sam2_core.errors import MissingDependencyError
from sam2_core.hooks import FrontEnd, get_plugins, parsed_options

#: Asked in this order where none is named, each with the library that it cannot do without.
PREFERRED = {"napari": "napari", "text": "sam2_core"}


def open_in(
    source: Annotated[str, typer.Argument(metavar="STACK", help="An image of any kind, or the folder of a session.")],
    front_end: Annotated[
        str | None, typer.Option("--in", metavar="NAME", help="Where: napari, text, or what plugins add.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the front-end; again for more.")
    ] = None,
) -> None:
    """Open a stack or a session to look at it and to work on it.

    Without --in, in napari where it is installed, else as text.

    Example: sam2 open stack.tif --in napari
    """
    plugins = get_plugins()
    known = plugins.contributions(FrontEnd)
    name = (
        front_end
        or next((one for one in PREFERRED if one in known and find_spec(PREFERRED[one])), None)
        or next(iter(known), None)
    )
    if name is None:
        raise MissingDependencyError("No front-end is installed: pip install 'sam2-lab[napari]' brings one.")
    chosen = plugins.find(FrontEnd, name)
    opens = chosen.contribution.open
    plugins.call(chosen, opens, source, **parsed_options(opens, parse_pairs(option or (), "--option")))
