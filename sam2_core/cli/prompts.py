"""Prompts as they are written on the command line: ``[ID@][FRAME:]X,Y[:0|1]`` and ``[ID@][FRAME:]X0,Y0,X1,Y1``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.labels import MAX_LABEL

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_PROMPT = re.compile(
    rf"(?:(?P<object>\d+)@)?(?:(?P<frame>\d+):)?(?P<numbers>{_NUMBER}(?:,{_NUMBER})+)(?::(?P<label>[01]))?"
)
_HOW_POINTS = "X,Y or FRAME:X,Y (a new object), X,Y:0 (background), ID@X,Y (more of object ID)"
_HOW_BOXES = "X0,Y0,X1,Y1 or FRAME:X0,Y0,X1,Y1 (a new object), ID@X0,Y0,X1,Y1 (of object ID)"


@dataclass
class FramePrompt:
    """What was said about one object on one frame: points (x, y), their labels (1 object, 0 background), and a box."""

    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None


@dataclass
class ObjectPrompts:
    """One object's prompts by frame number."""

    object_id: int
    frames: dict[int, FramePrompt] = field(default_factory=dict)

    @property
    def first_frame(self) -> int:
        """The earliest frame with a prompt."""
        return min(self.frames)


@dataclass(frozen=True)
class _Written:
    """One prompt as written."""

    text: str
    object_id: int | None
    frame: int | None
    numbers: tuple[float, ...]
    label: int

    @property
    def is_background(self) -> bool:
        return self.label == 0


def parse_prompts(
    points: Sequence[str] = (),
    boxes: Sequence[str] = (),
    prompts_file: Path | None = None,
    *,
    same_object: bool = False,
    default_frame: int | None = 0,
) -> list[ObjectPrompts]:
    """Turn written prompts into objects.

    Every point and every box is a new object, numbered 1, 2, 3, … in the order points, boxes, lines of the file, except
    that

    - ``ID@`` names the object, so that several prompts can share one;
    - a background point without ``ID@`` belongs to the object of the point written before it, or to the only object;
    - ``same_object`` makes them all one object.

    Parameters
    ----------
    points, boxes : sequence of str
        As written after ``--point`` and ``--box``.
    prompts_file : Path, optional
        Text file with one point or box a line; empty lines and lines starting with # are skipped.
    same_object : bool
        Whether all prompts mean one object.
    default_frame : int or None
        Frame of prompts that name none; ``None`` makes naming it compulsory.

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
    written = [_parsed(text, 2, "--point", _HOW_POINTS) for text in points]
    written += [_parsed(text, 4, "--box", _HOW_BOXES) for text in boxes]
    if prompts_file is not None:
        written += [
            _parsed(line, None, str(prompts_file), f"{_HOW_POINTS}; {_HOW_BOXES}") for line in _lines(prompts_file)
        ]
    if not written:
        raise InvalidInputError("Nothing was prompted. Give at least one --point X,Y or --box X0,Y0,X1,Y1.")
    objects: dict[int, ObjectPrompts] = {}
    for prompt, object_id in zip(written, _object_ids(written, same_object), strict=True):
        frame = default_frame if prompt.frame is None else prompt.frame
        if frame is None:
            raise InvalidInputError(
                f"{prompt.text!r} does not say on which frame. Write FRAME:{prompt.text}, such as 0:{prompt.text}."
            )
        place = objects.setdefault(object_id, ObjectPrompts(object_id)).frames.setdefault(frame, FramePrompt())
        if len(prompt.numbers) == 2:
            place.points.append((prompt.numbers[0], prompt.numbers[1]))
            place.labels.append(prompt.label)
        elif place.box is not None:
            raise InvalidInputError(f"Object {object_id} has two boxes on frame {frame}; one is possible.")
        else:
            place.box = (prompt.numbers[0], prompt.numbers[1], prompt.numbers[2], prompt.numbers[3])
    _require_foreground(objects.values())
    return [objects[object_id] for object_id in sorted(objects)]


def require_inside(objects: Iterable[ObjectPrompts], frame_count: int, frame_size: tuple[int, int]) -> None:
    """Refuse prompts that lie outside the stack.

    Parameters
    ----------
    objects : iterable of ObjectPrompts
    frame_count : int
    frame_size : tuple of int
        (height, width).

    Raises
    ------
    InvalidInputError
        Naming the prompt and what would be possible.
    """
    height, width = frame_size
    for one in objects:
        for frame, prompt in one.frames.items():
            if frame >= frame_count:
                raise InvalidInputError(
                    f"Object {one.object_id} is prompted on frame {frame}; the stack has frames 0 to {frame_count - 1}."
                )
            corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
            # the far edge of a box may be the edge of the picture, a point is on a pixel
            for (x, y), is_point in [
                *((point, True) for point in prompt.points),
                *((corner, False) for corner in corners),
            ]:
                inside = 0 <= x < width and 0 <= y < height if is_point else 0 <= x <= width and 0 <= y <= height
                if not inside:
                    raise InvalidInputError(
                        f"{x:g},{y:g} of object {one.object_id} is outside the picture, which is {width} wide and "
                        f"{height} high: x goes from 0 to {width - 1}, y from 0 to {height - 1} (x first)."
                    )
            if prompt.box is not None and not (prompt.box[0] < prompt.box[2] and prompt.box[1] < prompt.box[3]):
                raise InvalidInputError(
                    f"The box {','.join(f'{value:g}' for value in prompt.box)} of object {one.object_id} is inverted "
                    "or empty; write X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1."
                )


def _parsed(text: str, number_count: int | None, source: str, expected: str) -> _Written:
    match = _PROMPT.fullmatch(re.sub(r"\s+", "", text))
    numbers = tuple(float(number) for number in match["numbers"].split(",")) if match else ()
    fits = len(numbers) in (2, 4) if number_count is None else len(numbers) == number_count
    if match is None or not fits or (len(numbers) == 4 and match["label"] is not None):
        raise InvalidInputError(f"Cannot understand {source} {text!r}. Expected {expected}.")
    object_id = int(match["object"]) if match["object"] is not None else None
    if object_id is not None and not 1 <= object_id <= MAX_LABEL:
        raise InvalidInputError(f"{source} {text!r}: an object's id must lie between 1 and {MAX_LABEL}.")
    return _Written(
        text=text,
        object_id=object_id,
        frame=int(match["frame"]) if match["frame"] is not None else None,
        numbers=numbers,
        label=int(match["label"]) if match["label"] is not None else 1,
    )


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"There is no file of prompts {path}.") from None
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not a text file: {error}.") from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _object_ids(written: Sequence[_Written], same_object: bool) -> list[int]:
    named = {prompt.object_id for prompt in written if prompt.object_id is not None}
    if same_object:
        if len(named) > 1:
            raise InvalidInputError(f"--same-object contradicts the ids {sorted(named)}; leave one of the two out.")
        return [next(iter(named), 1)] * len(written)
    free = (number for number in range(1, MAX_LABEL + 1) if number not in named)
    ids: list[int | None] = []
    previous: int | None = None
    for prompt in written:
        if prompt.object_id is not None:
            current: int | None = prompt.object_id
        elif prompt.is_background:
            current = previous  # None where it comes first: decided below
        else:
            current = next(free)
        ids.append(current)
        if len(prompt.numbers) == 2:
            previous = current
    known = {number for number in ids if number is not None}
    for position, prompt in enumerate(written):
        if ids[position] is None:
            if len(known) != 1:
                raise InvalidInputError(
                    f"The background point {prompt.text!r} does not say which object it belongs to. Write it after a "
                    f"point of that object, or as ID@{prompt.text}."
                )
            ids[position] = next(iter(known))
    return [number for number in ids if number is not None]


def _require_foreground(objects: Iterable[ObjectPrompts]) -> None:
    for one in objects:
        for frame, prompt in one.frames.items():
            is_first = frame == one.first_frame
            if is_first and prompt.box is None and 1 not in prompt.labels:
                raise InvalidInputError(
                    f"Object {one.object_id} has only background points on frame {frame}; add a point on the object or "
                    "a box around it."
                )
