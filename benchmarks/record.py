"""Keep what a benchmark measured: a table as Markdown and JSON under records/, and on the screen."""

from __future__ import annotations

import datetime
import json
import os
from typing import Any

import two_sides


def save(stem: str, title: str, rows: list[dict[str, Any]], notes: dict[str, Any]) -> None:
    """Print rows, each with a value by column name, and keep them; a row need not have every column."""
    now = datetime.datetime.now(datetime.UTC)
    machine = f"{two_sides._processor()}, {os.cpu_count()} cores"
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"# {title}", "", f"{now:%Y-%m-%d %H:%M} UTC, {machine}", ""]
    lines += [f"- {name}: {value}" for name, value in notes.items()]
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(str(row.get(column, '')) for column in columns)} |" for row in rows]
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    two_sides.RECORDS.mkdir(exist_ok=True)
    path = two_sides.RECORDS / f"{stem}-{now:%Y%m%d-%H%M%S}"
    path.with_suffix(".md").write_text(text)
    path.with_suffix(".json").write_text(
        json.dumps({"machine": machine, "notes": notes, "rows": rows}, indent=1) + "\n"
    )
    print(f"written to {path}.md and .json")
