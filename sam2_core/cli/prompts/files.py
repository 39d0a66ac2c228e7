"""Files of prompts: text, tables and JSON, told apart by their content."""

from __future__ import annotations

import re
from pathlib import Path

from sam2_core.cli.prompts.json_file import read_json
from sam2_core.cli.prompts.stack_geometry import StackGeometry
from sam2_core.cli.prompts.table import read_table
from sam2_core.cli.prompts.written import WrittenPrompt, parse_written
from sam2_core.errors import InvalidInputError, MissingFileError


def read_prompts_file(path: Path, geometry: StackGeometry) -> list[WrittenPrompt]:
    """Read a file of prompts.

    Parameters
    ----------
    path : Path
        - ``.json``, or a file that begins with ``{`` or ``[``: see :func:`~sam2_core.cli.prompts.json_file.read_json`.
        - ``.csv``, ``.tsv``, or a file whose first line names columns: see
          :func:`~sam2_core.cli.prompts.table.read_table`.
        - Else text with one point or box a line, written as on the command line; empty lines and lines that begin with
          # are skipped.
    geometry : StackGeometry
        The stack that the prompts are for.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidInputError
        It is no text, empty, or something in it cannot be understood; the message names the line.
    """
    text = _text_of(path)
    if path.suffix.casefold() == ".json" or text.lstrip()[:1] in ("{", "["):
        return read_json(text, path.name)
    if path.suffix.casefold() in (".csv", ".tsv") or _names_columns(text):
        return read_table(text, path.name, geometry)
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [
        parse_written(line, f"{path.name}, line {number}")
        for number, line in lines
        if line and not line.startswith("#")
    ]


def _text_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"There is no file of prompts {path}.") from None
    except IsADirectoryError:
        raise InvalidInputError(f"{path} is a folder; --prompts names a file.") from None
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} is not a text file: {error}. Expected a table (.csv), .json or text; for a label image use "
            "--prompts-from-labels."
        ) from error
    if not text.strip():
        raise InvalidInputError(f"{path} is empty: it holds no prompts.")
    return text


def _names_columns(text: str) -> bool:
    """Whether the first line is the header of a table rather than a prompt or a comment."""
    first = next(line for line in text.splitlines() if line.strip())
    cells = [cell.strip() for cell in re.split(r"[,;\t]", first)]
    return len(cells) > 1 and sum(bool(re.match(r"[A-Za-z]", cell)) for cell in cells) >= 2
