"""Where the commands write: results to standard output, progress and errors to standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

output = Console(highlight=False, soft_wrap=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)

Item = TypeVar("Item")


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Draw a bar of how many steps are done, with the time left; call what is handed out after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=not messages.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)


def with_progress(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield the items and draw a bar of how many are done, with the time left."""
    with progress_bar(description, total) as advance:
        for item in items:
            yield item
            advance()
