"""The front-end that needs nothing installed: what a stack or a session holds, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from sam2_core.hooks import FrontEnd, hookimpl


def show_text(source: str, *, history: bool = False) -> None:
    """Print what a stack or a session holds, and return.

    Parameters
    ----------
    source : str
        Path or URL of an image, or the folder of a session.
    history : bool
        List the steps of a session too.
    """
    from sam2_core.session.annotation_session import JOURNAL_NAME

    journal = Path(source) / JOURNAL_NAME
    lines = _session_lines(journal, history) if journal.is_file() else _volume_lines(source)
    print(*lines, sep="\n")


def _volume_lines(source: str) -> Iterator[str]:
    from sam2_core.volumes.readers import open_unnamed

    volume = open_unnamed(source)
    try:
        yield f"{volume.name}: {volume.dtype}"
        for axis in volume.axes:
            unit = volume.units.get(axis, "units")
            step = f", {volume.scale[axis]:g} {unit} a step" if axis in volume.scale else ""
            yield f"  {axis}  {volume.sizes[axis]}{step}"
    finally:
        volume.close()


def _session_lines(path: Path, history: bool) -> Iterator[str]:
    from sam2_core.session.journal import Journal
    from sam2_core.session.session_state import SessionState

    journal = Journal(path, read_only=True)
    try:
        stack = json.loads(journal.about("stack") or "{}")
        size = (stack["height"], stack["width"])
        state = SessionState(journal, frame_count=stack["frames"], frame_size=size)
        objects = state.objects
        yield f"{stack['name']}: {stack['frames']} frames of {size[0]} x {size[1]} along {stack['axis']}"
        yield f"{len(objects)} objects"
        for one in objects:
            masks, prompts = state.masked_frames(one.id), state.prompted_frames(one.id)
            where = f", {masks[0]} to {masks[-1]}" if masks else ""
            yield f"  {one.id}  {one.name}  {one.category or '-'}  prompts {len(prompts)}, masks {len(masks)}{where}"
        if history:
            yield from (f"  {step.label}" for step in state.history)
    finally:
        journal.close()


@hookimpl
def sam2_front_ends() -> Iterable[FrontEnd]:
    """List it."""
    return [FrontEnd("text", "what a stack or a session holds, printed", open=show_text)]
