"""Prompts as somebody wrote them, one point or box each, and how they are gathered into objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sam2_core.cli.prompts.objects import FramePrompt, ObjectPrompts
from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import MAX_LABEL

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_PROMPT = re.compile(
    rf"(?:(?P<object>\d+)@)?(?:(?P<frame>\d+):)?(?P<numbers>{_NUMBER}(?:,{_NUMBER})+)(?::(?P<label>[01]))?"
)
HOW_POINTS = "X,Y or FRAME:X,Y (a new object), X,Y:0 (background), ID@X,Y (more of object ID)"
HOW_BOXES = "X0,Y0,X1,Y1 or FRAME:X0,Y0,X1,Y1 (a new object), ID@X0,Y0,X1,Y1 (of object ID)"


@dataclass(frozen=True)
class WrittenPrompt:
    """One point or box as written.

    Attributes
    ----------
    numbers : tuple of float
        (x, y) of a point, (x0, y0, x1, y1) of a box, in pixels.
    object_id, frame : int, optional
        Where they were written.
    label : int
        Of a point: 1 on the object, 0 beside it.
    text : str
        What was written, for messages.
    origin : str
        Where it was written ("clicks.csv, line 3"); empty for the command line.
    """

    numbers: tuple[float, ...]
    object_id: int | None = None
    frame: int | None = None
    label: int = 1
    text: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if self.object_id is not None and not 1 <= self.object_id <= MAX_LABEL:
            raise InvalidInputError(
                f"{self.name}: an object's id must lie between 1 and {MAX_LABEL}; got {self.object_id}."
            )

    @property
    def name(self) -> str:
        """How a message calls this prompt."""
        return " ".join(part for part in (f"{self.origin}:" if self.origin else "", repr(self.text)) if part)

    @property
    def is_point(self) -> bool:
        """Whether this is a point rather than a box."""
        return len(self.numbers) == 2


def parse_written(text: str, source: str, number_count: int | None = None) -> WrittenPrompt:
    """Understand ``[ID@][FRAME:]X,Y[:0|1]`` or ``[ID@][FRAME:]X0,Y0,X1,Y1``.

    Parameters
    ----------
    text : str
    source : str
        For messages: the option it came from (``--point``), or its file and line.
    number_count : int, optional
        2 for a point, 4 for a box; either by default.

    Raises
    ------
    InvalidInputError
        It cannot be understood.
    """
    match = _PROMPT.fullmatch(re.sub(r"\s+", "", text))
    numbers = tuple(float(number) for number in match["numbers"].split(",")) if match else ()
    fits = len(numbers) in (2, 4) if number_count is None else len(numbers) == number_count
    if match is None or not fits or (len(numbers) == 4 and match["label"] is not None):
        expected = {2: HOW_POINTS, 4: HOW_BOXES, None: f"{HOW_POINTS}; {HOW_BOXES}"}[number_count]
        raise InvalidInputError(f"Cannot understand {source} {text!r}. Expected {expected}.")
    return WrittenPrompt(
        numbers=numbers,
        object_id=int(match["object"]) if match["object"] is not None else None,
        frame=int(match["frame"]) if match["frame"] is not None else None,
        label=int(match["label"]) if match["label"] is not None else 1,
        text=text,
        origin="" if source.startswith("--") else source,
    )


def gather(
    written: Sequence[WrittenPrompt],
    *,
    same_object: bool = False,
    default_frame: int | None = 0,
    taken: Iterable[int] = (),
) -> list[ObjectPrompts]:
    """Gather prompts into objects.

    Every point and every box is a new object, numbered 1, 2, 3, … in their order, except that

    - an id names the object, so that several prompts can share one;
    - a background point without an id belongs to the object of the point written before it, or to the only object;
    - `same_object` makes them all one object.

    The same point or box written twice counts once.

    Parameters
    ----------
    written : sequence of WrittenPrompt
    same_object : bool
        Whether all prompts mean one object.
    default_frame : int or None
        Frame of prompts that name none; ``None`` makes naming it compulsory.
    taken : iterable of int
        Ids that new objects do not get, since others have them; ``ID@`` adds to those.

    Returns
    -------
    list of ObjectPrompts
        By ascending object id.

    Raises
    ------
    InvalidInputError
        No frame, two boxes or both answers for one place of one object on a frame, nothing but background.
    """
    objects: dict[int, ObjectPrompts] = {}
    others = set(taken)
    for prompt, object_id in zip(written, _object_ids(written, same_object, others), strict=True):
        frame = default_frame if prompt.frame is None else prompt.frame
        if frame is None:
            raise InvalidInputError(
                f"{prompt.name} does not say on which frame. Write FRAME:{prompt.text}, such as 0:{prompt.text}; in a "
                "table fill a column frame, in JSON a key frame."
            )
        place = objects.setdefault(object_id, ObjectPrompts(object_id)).frames.setdefault(frame, FramePrompt())
        _add(place, prompt, object_id, frame)
    for one in objects.values():
        if one.object_id not in others:
            _require_foreground(one)
    return [objects[object_id] for object_id in sorted(objects)]


def _add(place: FramePrompt, prompt: WrittenPrompt, object_id: int, frame: int) -> None:
    where = f"{prompt.origin}: object" if prompt.origin else "Object"
    if prompt.is_point:
        point = (prompt.numbers[0], prompt.numbers[1])
        if point in place.points:
            if place.labels[place.points.index(point)] != prompt.label:
                raise InvalidInputError(
                    f"{where} {object_id} has the point {point[0]:g},{point[1]:g} on frame {frame} both as object and "
                    "as background; leave one of them out."
                )
            return
        place.points.append(point)
        place.labels.append(prompt.label)
        place.point_origins.append(prompt.origin)
        return
    box = (prompt.numbers[0], prompt.numbers[1], prompt.numbers[2], prompt.numbers[3])
    if place.box not in (None, box):
        before = f" (the other one: {place.box_origin})" if place.box_origin else ""
        raise InvalidInputError(
            f"{where} {object_id} has two boxes on frame {frame}{before}; one is possible. Is its id used twice?"
        )
    place.box, place.box_origin = box, prompt.origin


def _object_ids(written: Sequence[WrittenPrompt], same_object: bool, others: set[int]) -> list[int]:
    named = {prompt.object_id for prompt in written if prompt.object_id is not None}
    if same_object:
        if len(named) > 1:
            raise InvalidInputError(f"--same-object contradicts the ids {sorted(named)}; leave one of the two out.")
        return [next(iter(named or free_ids(others)))] * len(written)
    free = iter(free_ids(named | others))
    ids: list[int | None] = []
    previous: int | None = None
    for prompt in written:
        if prompt.object_id is not None:
            current: int | None = prompt.object_id
        elif prompt.label == 0:
            current = previous  # None where it comes first: decided below
        else:
            current = next(free)
        ids.append(current)
        if prompt.is_point:
            previous = current
    known = {number for number in ids if number is not None}
    for position, prompt in enumerate(written):
        if ids[position] is None:
            if len(known) != 1:
                raise InvalidInputError(
                    f"The background point {prompt.name} does not say which object it belongs to. Write it after a "
                    f"point of that object, or as ID@{prompt.text}."
                )
            ids[position] = next(iter(known))
    return [number for number in ids if number is not None]


def free_ids(taken: Iterable[int]) -> Iterable[int]:
    """Yield the object ids that are not taken yet, in ascending order.

    Raises
    ------
    InvalidInputError
        There is none left.
    """
    used = set(taken)
    for number in range(1, MAX_LABEL + 1):
        if number not in used:
            yield number
    raise InvalidInputError(f"There are more objects than the {MAX_LABEL} that a label stack can tell apart.")


def _require_foreground(one: ObjectPrompts) -> None:
    first = one.frames[one.first_frame]
    if first.box is None and 1 not in first.labels:
        where = f"{first.point_origins[0]}: object" if first.point_origins[0] else "Object"
        raise InvalidInputError(
            f"{where} {one.object_id} has only background points on frame {one.first_frame}; add a point on the object "
            "or a box around it."
        )
