"""A way of saying which object is meant: how it is drawn, and what the model is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Gesture: TypeAlias = Literal["point", "box", "path", "polygon", "brush", "none"]

#: Fewest and most points (None: any number) that come with a gesture.
_POINTS: dict[str, tuple[int, int | None]] = {"point": (1, 1), "box": (2, 2), "path": (1, None), "polygon": (3, None)}


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a person drew on one frame.

    Attributes
    ----------
    gesture : {"point", "box", "path", "polygon", "brush", "none"}
    frame : int
        From 0.
    positive : bool
        Whether it says "this belongs to the object" or "this does not".
    points : ndarray (n, 2) float32, optional
        (x, y) in pixels of the frame; a point's is one, a box's two are opposite corners, a polygon's are its corners
        in order, without the first one again. None for "brush" and "none".
    mask : ndarray (height, width) bool, optional
        What the brush covered; None for the other gestures.
    """

    gesture: Gesture
    frame: int
    positive: bool = True
    points: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.bool_] | None = None

    def check(self) -> None:
        """Refuse what no front-end can mean.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            A gesture of another name, points or a mask that do not belong to it, coordinates that are no numbers.
        """
        import numpy as np

        if self.gesture not in get_args(Gesture):
            raise InvalidInputError(f"A gesture is one of {', '.join(get_args(Gesture))}; got {self.gesture!r}.")
        if (self.mask is not None) != (self.gesture == "brush"):
            raise InvalidInputError(
                f"A mask is drawn with the gesture brush, and only there; got {self.gesture} "
                f"{'without' if self.mask is None else 'with'} one."
            )
        # whatever the types say: what is drawn may come from anybody's front-end
        mask: Any = self.mask
        if mask is not None and (mask.ndim != 2 or mask.dtype != np.bool_):
            raise InvalidTypeError(f"A mask is (y, x) bool; got {mask.dtype} of shape {mask.shape}.")
        fewest, most = _POINTS.get(self.gesture, (0, 0))
        points: Any = self.points
        count = 0 if points is None else len(points)
        if count < fewest or (most is not None and count > most):
            wanted = f"{fewest}" if most == fewest else f"at least {fewest}"
            raise InvalidInputError(f"The gesture {self.gesture} comes with {wanted} points; got {count}.")
        if points is not None and (points.shape != (count, 2) or not np.isfinite(points).all()):
            raise InvalidInputError(f"Points are (n, 2) finite numbers, (x, y) each; got shape {points.shape}.")


@dataclass(frozen=True, eq=False)
class ObjectPrompt:
    """What the model is told of one object on one frame.

    Attributes
    ----------
    points : sequence of (float, float)
        (x, y) in pixels of the frame.
    labels : sequence of int
        One a point: 1 on the object, 0 beside it.
    box : (float, float, float, float), optional
        (x0, y0, x1, y1) in pixels of the frame.
    mask : ndarray (height, width) bool, optional
        Not together with points or a box.
    frame : int, optional
        The one that was drawn on by default.
    object_id : int or "new", optional
        The current object by default; "new" begins one.
    replace : bool
        Forget what the object was told on this frame before.
    """

    points: Iterable[tuple[float, float]] = ()
    labels: Iterable[int] = ()
    box: tuple[float, float, float, float] | None = None
    mask: npt.NDArray[np.bool_] | None = None
    frame: int | None = None
    object_id: int | Literal["new"] | None = None
    replace: bool = False

    def check(self, frame_count: int, frame_size: tuple[int, int]) -> None:
        """Refuse what cannot be a prompt.

        Parameters
        ----------
        frame_count : int
            Of the stack.
        frame_size : (int, int)
            (height, width).

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Nothing said, a point without label, a mask beside points or of another size, a frame that is not there.
        """
        import numpy as np

        points = np.asarray(list(self.points), dtype=float)
        labels = list(self.labels)
        if len(points) != len(labels) or (len(points) and points.shape != (len(points), 2)):
            raise InvalidInputError(
                f"A prompt has (x, y) points and as many labels; got points of shape {points.shape} and "
                f"{len(labels)} labels."
            )
        if set(labels) - {0, 1}:
            raise InvalidInputError(f"Labels are 1 (on the object) and 0 (beside it); got {labels}.")
        box: Any = self.box  # whatever the types say: prompts come from anybody's plugin
        if not np.isfinite(points).all() or (box is not None and not np.isfinite(box).all()):
            raise InvalidInputError("The coordinates of a prompt must be finite.")
        if box is not None and (len(box) != 4 or box[0] > box[2] or box[1] > box[3]):
            raise InvalidInputError(f"A box is (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1; got {box}.")
        if self.mask is None and self.box is None and not labels:
            raise InvalidInputError("A prompt needs points, a box or a mask; leave it out where there is nothing.")
        if self.mask is not None:
            if self.box is not None or labels:
                raise InvalidInputError("A mask is a prompt by itself, not beside points or a box.")
            mask: Any = self.mask
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
                raise InvalidTypeError(f"A mask is an array (y, x) of bool; got {mask!r:.80}.")
            if self.mask.shape != tuple(frame_size):
                raise InvalidInputError(f"The mask has shape {self.mask.shape}; the frame {tuple(frame_size)}.")
        if self.frame is not None and not 0 <= self.frame < frame_count:
            raise InvalidInputError(f"There is no frame {self.frame}; the stack has {frame_count}.")
        if isinstance(self.object_id, str) and self.object_id != "new":
            raise InvalidInputError(f'object_id is a number, "new" or None; got {self.object_id!r}.')


class PromptContext(Protocol):
    """What a prompt type may ask of the session it is used in; everything is read, nothing is changed."""

    @property
    def object_id(self) -> int | None:
        """The current object; None where there is none."""

    @property
    def frame(self) -> int:
        """The frame that was drawn on."""

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""

    def image(self, frame: int | None = None) -> npt.NDArray[np.uint8]:
        """A frame as the model sees it: (y, x, rgb) uint8; the drawn one by default."""

    def mask(self, object_id: int | None = None, frame: int | None = None) -> npt.NDArray[np.bool_] | None:
        """An object's mask (y, x) bool, None where it has none; the current object on the drawn frame by default."""

    def labels(self, frame: int | None = None) -> npt.NDArray[np.integer[Any]]:
        """All objects of a frame as labels (y, x), 0 where there is none."""

    def features(self, frame: int | None = None) -> Any:
        """A frame's features.

        Returns
        -------
        sam2_core.model.ImageFeatures
            ``.maps[-1]`` is a tensor (1, C, H/16, W/16) over the whole frame, whatever its sides.
        """


@dataclass(frozen=True, kw_only=True)
class PromptType(Contribution):
    """A kind of prompt; front-ends draw it, and make a form of its options, from this alone.

    Attributes
    ----------
    gesture : {"point", "box", "path", "polygon", "brush", "none"}
        What a person draws; "none" for one that is only switched on.
    to_prompts : callable
        ``to_prompts(drawn: Drawn, context: PromptContext, *, …options) -> Iterable[ObjectPrompt]``. Its keyword-only
        parameters are the options, each with a type and a default. Returning nothing leaves everything as it is.
    key : str, optional
        A key that front-ends may bind to it, such as "p".
    """

    gesture: Gesture
    to_prompts: Callable[..., Iterable[ObjectPrompt]]
    key: str | None = None

    def check(self) -> None:
        """Refuse a gesture that does not exist, and options of which no form can be made."""
        super().check()
        if self.gesture not in get_args(Gesture):
            raise InvalidInputError(
                f"The gesture of the prompt type {self.name!r} must be one of {', '.join(get_args(Gesture))}; got "
                f"{self.gesture!r}."
            )
        require_callable(self.to_prompts, self, "to_prompts")
        list(options_of(self.to_prompts))
        if self.key is not None and not str(self.key):
            raise InvalidInputError(f"The key of the prompt type {self.name!r} must be a key's name; got {self.key!r}.")
