"""What was said about objects: prompts by object and frame, and whether they lie within the stack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.errors import InvalidInputError


@dataclass
class FramePrompt:
    """What was said about one object on one frame.

    Attributes
    ----------
    points : list of (float, float)
        (x, y) in pixels.
    labels : list of int
        One for each point: 1 on the object, 0 beside it.
    box : tuple of float, optional
        (x0, y0, x1, y1) in pixels.
    mask : MaskCrop, optional
        The object itself; instead of points and box.
    point_origins : list of str
        For each point, where it was written ("clicks.csv, line 3"); for messages.
    box_origin : str
        The same for the box.
    """

    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    mask: MaskCrop | None = None
    point_origins: list[str] = field(default_factory=list)
    box_origin: str = ""


@dataclass
class ObjectPrompts:
    """One object's prompts by frame number."""

    object_id: int
    frames: dict[int, FramePrompt] = field(default_factory=dict)

    @property
    def first_frame(self) -> int:
        """The earliest frame with a prompt."""
        return min(self.frames)


def require_inside(
    objects: Iterable[ObjectPrompts], frame_count: int, frame_size: tuple[int, int], frames: range | None = None
) -> None:
    """Refuse prompts that lie outside the stack.

    Parameters
    ----------
    objects : iterable of ObjectPrompts
    frame_count : int
    frame_size : tuple of int
        (height, width).
    frames : range, optional
        The frames that are looked at, where it is not all of them.

    Raises
    ------
    InvalidInputError
        Naming the prompt, where it was written, and what would be possible.
    """
    allowed = range(frame_count) if frames is None else frames
    for one in objects:
        for frame, prompt in one.frames.items():
            origin = next((text for text in [*prompt.point_origins, prompt.box_origin] if text), "")
            if frame >= frame_count:
                hint = "" if frame_count > 1 else " If its planes are slices and not colours, say so: --axes zyx."
                raise InvalidInputError(
                    f"{_place(origin)}Object {one.object_id} is prompted on frame {frame}; the stack has frames 0 to "
                    f"{frame_count - 1}.{hint}"
                )
            if frame not in allowed:
                raise InvalidInputError(
                    f"{_place(origin)}Object {one.object_id} is prompted on frame {frame}, outside the frames "
                    f"{allowed.start} to {allowed.stop - 1} that --frames chose. Widen the range, or leave the prompt "
                    "out."
                )
            _require_on_frame(one.object_id, prompt, frame_size)


def _require_on_frame(object_id: int, prompt: FramePrompt, frame_size: tuple[int, int]) -> None:
    height, width = frame_size
    origins = [*prompt.point_origins, *[""] * (len(prompt.points) - len(prompt.point_origins))]
    # the far edge of a box may be the edge of the picture, a point is on a pixel
    places = [(x, y, x < width and y < height, origin) for (x, y), origin in zip(prompt.points, origins, strict=True)]
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        places += [(x, y, x <= width and y <= height, prompt.box_origin) for x, y in ((x0, y0), (x1, y1))]
    for x, y, is_before_end, origin in places:
        if not (x >= 0 and y >= 0 and is_before_end):
            raise InvalidInputError(
                f"{_place(origin)}{x:g},{y:g} of object {object_id} is outside the picture, which is {width} wide and "
                f"{height} high: x goes from 0 to {width - 1}, y from 0 to {height - 1} (x first)."
            )
    if prompt.box is not None and not (prompt.box[0] < prompt.box[2] and prompt.box[1] < prompt.box[3]):
        raise InvalidInputError(
            f"{_place(prompt.box_origin)}The box {','.join(f'{value:g}' for value in prompt.box)} of object "
            f"{object_id} is inverted or empty; write X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1."
        )
    if prompt.mask is not None and prompt.mask.frame_size != frame_size:
        raise InvalidInputError(
            f"The mask of object {object_id} is made for frames of height x width {prompt.mask.frame_size[0]} x "
            f"{prompt.mask.frame_size[1]}; the stack's are {height} x {width}."
        )


def _place(origin: str) -> str:
    return f"{origin}: " if origin else ""
