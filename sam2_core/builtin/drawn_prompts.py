"""How each built-in prompt type becomes what the model is told.

Of what is drawn partly outside of the frame, the part inside counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias, cast

from sam2_core.builtin.drawn_shapes import Mask, Points, along, box_around, filled, inside_frame
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import Drawn, ObjectPrompt, PromptContext
from sam2_core.inference.mask_depth import innermost

Pixels: TypeAlias = Annotated[float, {"min": 0.0, "max": 1000.0}]


def point(drawn: Drawn, context: PromptContext, *, start_over: bool = False) -> Iterable[ObjectPrompt]:
    """Tell the model of one point.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    start_over : bool
        Forget what the object was told on this frame before.
    """
    return _points(_drawn_points(drawn), drawn.positive, context, replace=start_over)


def box(drawn: Drawn, context: PromptContext, *, margin: Pixels = 0.0) -> Iterable[ObjectPrompt]:
    """Tell the model of a box.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    margin : float
        Pixels by which the box is made larger on each side.

    Raises
    ------
    InvalidInputError
        It was drawn around what does not belong to the object, which the model has no word for.
    """
    if not drawn.positive:
        raise InvalidInputError("A box says where the object is. Mark what is not part of it with a click or a line.")
    around = box_around(_drawn_points(drawn), margin, context.frame_size)
    return [] if around is None else [ObjectPrompt(box=around)]


def scribble(
    drawn: Drawn,
    context: PromptContext,
    *,
    spacing: Annotated[float, {"min": 1.0, "max": 1000.0}] = 16.0,
    most_points: Annotated[int, {"min": 1, "max": 64}] = 8,
) -> Iterable[ObjectPrompt]:
    """Tell the model of points along a line.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    spacing : float
        Pixels between points.
    most_points : int
        Rather farther apart than more points than this.
    """
    return _points(along(_drawn_points(drawn), spacing, most_points), drawn.positive, context)


def mask(drawn: Drawn, context: PromptContext, *, adds_to_mask: bool = True) -> Iterable[ObjectPrompt]:
    """Tell the model of a mask.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    adds_to_mask : bool
        What is painted is added to the mask that the object has on this frame; otherwise it is the whole object. What
        is painted as not belonging to it is always taken from that mask.
    """
    return _mask(cast("Mask", drawn.mask), drawn.positive, context, adds_to_mask)


def polygon(drawn: Drawn, context: PromptContext, *, adds_to_mask: bool = False) -> Iterable[ObjectPrompt]:
    """Tell the model of the mask within an outline.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    adds_to_mask : bool
        As for :func:`mask`.
    """
    return _mask(filled(_drawn_points(drawn), context.frame_size), drawn.positive, context, adds_to_mask)


def lasso(
    drawn: Drawn,
    context: PromptContext,
    *,
    told_as: Literal["box and point", "box", "mask"] = "box and point",
    margin: Pixels = 0.0,
) -> Iterable[ObjectPrompt]:
    """Tell the model of what lies in a loop that was drawn by hand.

    Parameters
    ----------
    drawn : Drawn
    context : PromptContext
    told_as : {"box and point", "box", "mask"}
        A box around the loop with a click in its middle, the box alone, or the loop as the object's outline. A loop
        around what does not belong to the object is one click beside it, or as a mask is taken from the object's.
    margin : float
        Pixels by which the box is made larger on each side.
    """
    loop = _drawn_points(drawn)
    within = filled(loop, context.frame_size)
    if not within.any():
        return []
    if told_as == "mask":
        return _mask(within, drawn.positive, context, adds_to_mask=False)
    x, y = innermost(within)
    middle = (float(x), float(y))
    if not drawn.positive:
        return [ObjectPrompt(points=[middle], labels=[0])]
    around = box_around(loop, margin, context.frame_size)
    if told_as == "box":
        return [ObjectPrompt(box=around)]
    return [ObjectPrompt(points=[middle], labels=[1], box=around)]


def _drawn_points(drawn: Drawn) -> Points:
    # a gesture with points has them: Drawn.check has seen to that
    return cast("Points", drawn.points)


def _points(points: Points, positive: bool, context: PromptContext, *, replace: bool = False) -> list[ObjectPrompt]:
    inside = [(float(x), float(y)) for x, y in inside_frame(points, context.frame_size)]
    return [ObjectPrompt(points=inside, labels=[int(positive)] * len(inside), replace=replace)] if inside else []


def _mask(painted: Mask, positive: bool, context: PromptContext, adds_to_mask: bool) -> list[ObjectPrompt]:
    known = context.mask() if adds_to_mask or not positive else None
    if not positive:
        whole = None if known is None else known & ~painted
    else:
        whole = painted if known is None else known | painted
    return [ObjectPrompt(mask=whole, replace=True)] if whole is not None and whole.any() else []
