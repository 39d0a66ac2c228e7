"""Everything that was prompted on one command line, as objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sam2_core.cli.prompts.files import read_prompts_file
from sam2_core.cli.prompts.objects import ObjectPrompts
from sam2_core.cli.prompts.stack_geometry import StackGeometry
from sam2_core.cli.prompts.written import gather, parse_written
from sam2_core.errors import InvalidInputError


def parse_prompts(
    points: Sequence[str] = (),
    boxes: Sequence[str] = (),
    prompts_file: Path | None = None,
    *,
    same_object: bool = False,
    default_frame: int | None = 0,
    geometry: StackGeometry | None = None,
    taken: Iterable[int] = (),
) -> list[ObjectPrompts]:
    """Turn written prompts into objects; see :func:`~sam2_core.cli.prompts.written.gather` for their ids.

    Parameters
    ----------
    points, boxes : sequence of str
        As written after ``--point`` and ``--box``.
    prompts_file : Path, optional
        See :func:`~sam2_core.cli.prompts.files.read_prompts_file`.
    same_object : bool
        Whether all prompts mean one object.
    default_frame : int or None
        Frame of prompts that name none; ``None`` makes naming it compulsory.
    geometry : StackGeometry, optional
        The stack that the prompts are for.
    taken : iterable of int
        Ids that new objects do not get, since others have them.

    Returns
    -------
    list of ObjectPrompts
        By ascending object id.

    Raises
    ------
    InvalidInputError
        A prompt that cannot be understood, or none at all.
    MissingFileError
        There is no such file of prompts.
    """
    written = [parse_written(text, "--point", 2) for text in points]
    written += [parse_written(text, "--box", 4) for text in boxes]
    if prompts_file is not None:
        written += read_prompts_file(prompts_file, geometry or StackGeometry())
    if not written:
        raise InvalidInputError("Nothing was prompted. Give at least one --point X,Y or --box X0,Y0,X1,Y1.")
    return gather(written, same_object=same_object, default_frame=default_frame, taken=taken)


def joined(first: Sequence[ObjectPrompts], second: Sequence[ObjectPrompts]) -> list[ObjectPrompts]:
    """Join prompts from two sources; those of one id mean one object.

    Raises
    ------
    InvalidInputError
        Both say something about one object on one frame, and only one of them can be meant.
    """
    objects = {one.object_id: ObjectPrompts(one.object_id, dict(one.frames)) for one in first}
    for one in second:
        frames = objects.setdefault(one.object_id, ObjectPrompts(one.object_id)).frames
        for frame, prompt in one.frames.items():
            if frame in frames:
                raise InvalidInputError(
                    f"Object id {one.object_id} is there twice on frame {frame}: from two sources of prompts. Give the "
                    "points and boxes ids of their own (ID@X,Y), or another frame."
                )
            frames[frame] = prompt
    return [objects[object_id] for object_id in sorted(objects)]
