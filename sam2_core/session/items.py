"""What a session holds: objects, prompts and masks, each as an immutable value and as the document it is kept as."""

from __future__ import annotations

import colorsys
import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from sam2_core.errors import InvalidInputError
from sam2_core.session.journal import Document
from sam2_core.session.mask_pixels import Box

Source: TypeAlias = Literal["prompt", "track", "paint", "import", "edit"]
GOLDEN_ANGLE = 0.61803398875  # hues this share of a turn apart stay distinct however many there are


@dataclass(frozen=True)
class SessionObject:
    """One object a person marked.

    Attributes
    ----------
    id : int
        From 1; never used again once the object is deleted, and the value it has in labels.
    name : str
    colour : str
        "#rrggbb".
    category : str
        The class a person gave it, such as "nucleus"; empty if none.
    parents : tuple of int
        The objects it divided from; empty for most.
    """

    id: int
    name: str
    colour: str
    category: str = ""
    parents: tuple[int, ...] = ()

    @classmethod
    def new(cls, object_id: int, **given: Any) -> SessionObject:
        """An object with a name and a colour of its own, unless given."""
        red, green, blue = colorsys.hsv_to_rgb(object_id * GOLDEN_ANGLE % 1.0, 0.75, 0.95)
        colour = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        made = cls(object_id, f"object {object_id}", colour)
        return replace(made, **{name: value for name, value in given.items() if value is not None}).checked()

    def checked(self) -> SessionObject:
        """Refuse a colour that is none.

        Raises
        ------
        InvalidInputError
        """
        if not re.fullmatch("#[0-9a-fA-F]{6}", self.colour):
            raise InvalidInputError(f"A colour is written as #rrggbb, such as #ff8800; got {self.colour!r}.")
        return self

    def document(self) -> Document:
        """As it is kept."""
        kept = asdict(self)
        del kept["id"]
        return kept

    @classmethod
    def read(cls, object_id: int, document: Document) -> SessionObject:
        """Read what :meth:`document` wrote."""
        return cls(object_id, **{**document, "parents": tuple(document["parents"])})


@dataclass(frozen=True)
class SessionPrompt:
    """What a person said of one object on one frame.

    Attributes
    ----------
    points : tuple of (float, float)
        (x, y) in pixels of the frame.
    labels : tuple of int
        One a point: 1 on the object, 0 beside it.
    box : tuple of 4 float, optional
        (x0, y0, x1, y1).
    mask : MaskReference, optional
        A mask that was given as a prompt.
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: MaskReference | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return not self.points and self.box is None and self.mask is None

    def document(self) -> Document:
        """As it is kept."""
        return asdict(self)

    @classmethod
    def read(cls, document: Document) -> SessionPrompt:
        """Read what :meth:`document` wrote."""
        box, mask = document["box"], document["mask"]
        return cls(
            points=tuple((float(x), float(y)) for x, y in document["points"]),
            labels=tuple(document["labels"]),
            box=None if box is None else (box[0], box[1], box[2], box[3]),
            mask=None if mask is None else MaskReference.read(mask),
        )


@dataclass(frozen=True)
class MaskReference:
    """Where a mask's pixels are: its box (x0, y0, x1, y1), and the number of the blob; None if it is empty."""

    box: Box
    pixels: int | None

    @classmethod
    def read(cls, document: Document) -> MaskReference:
        """Read what ``dataclasses.asdict`` made."""
        box = document["box"]
        return cls((box[0], box[1], box[2], box[3]), document["pixels"])


@dataclass(frozen=True)
class MaskRecord:
    """The mask of one object on one frame, and how it came about.

    Attributes
    ----------
    mask : MaskReference
    source : {"prompt", "track", "paint", "import", "edit"}
        Answered to a prompt, tracked, painted by hand, imported, or made by merging and splitting.
    area : int
        Pixels.
    predicted_iou : float, optional
        IoU the model expects, about 0 to 1.
    object_score : float, optional
        Logit of the object being there; above 0 it is.
    locked : bool
        Whether nothing but a person's own hand may change it.
    """

    mask: MaskReference
    source: Source
    area: int
    predicted_iou: float | None = None
    object_score: float | None = None
    locked: bool = False

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise InvalidInputError(
                f"The source of a mask is one of {', '.join(get_args(Source))}; got {self.source!r}."
            )

    @property
    def is_trusted(self) -> bool:
        """Whether a person has made it, or looked at it."""
        return self.locked or self.source in ("paint", "prompt")

    def document(self) -> Document:
        """As it is kept."""
        # by hand: there is one for every object and frame, and asdict takes ten times as long
        return {
            "box": self.mask.box,
            "pixels": self.mask.pixels,
            "source": self.source,
            "area": self.area,
            "predicted_iou": self.predicted_iou,
            "object_score": self.object_score,
            "locked": self.locked,
        }

    @classmethod
    def read(cls, document: Document) -> MaskRecord:
        """Read what :meth:`document` wrote."""
        rest = {name: value for name, value in document.items() if name not in ("box", "pixels")}
        return cls(mask=MaskReference.read(document), **rest)


def presence_of(object_score: float | None) -> float:
    """The probability that an object is there, of its score, a logit; 1 where nothing is said."""
    return 1.0 if object_score is None else 1 / (1 + math.exp(-max(-60.0, object_score)))


@dataclass(frozen=True)
class Change:
    """What is different in a session.

    Attributes
    ----------
    what : frozenset of {"object", "prompt", "mask", "disagreement"}
    objects : frozenset of int
    frames : frozenset of int
        Frames on which prompts, masks or what is said of masks changed.
    boxes : dict of int to (x0, y0, x1, y1)
        For each frame the smallest box around all pixels that may have changed.
    step : str
        What was done, as menus name it.
    found : bool
        Whether these are masks that the model found; else a person did it, or an undo.
    """

    what: frozenset[str]
    objects: frozenset[int]
    frames: frozenset[int] = frozenset()
    boxes: dict[int, Box] = field(default_factory=dict)
    step: str = ""
    found: bool = False
