"""What a session and its worker say to each other.

Plain values only: numbers, text, bytes, tuples, and dictionaries of options. Nothing here knows torch: the other side
may be a thread, a process, or another machine. A session sends requests and the controls of jobs; the worker sends
reports. The worker remembers nothing that the session does not know: each request says all there is to say of the
objects it is about, so that a new worker can take over at any request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sam2_core.session.mask_pixels import Box, MaskPixels

#: Grows with every change of these classes; both sides must have the same.
PROTOCOL: Final = 1


@dataclass(frozen=True)
class MaskData:
    """A mask: its box (x0, y0, x1, y1) and the bits inside, as :meth:`MaskPixels.encode` writes them; empty if none."""

    box: Box
    bits: bytes

    @classmethod
    def of(cls, mask: MaskPixels) -> MaskData:
        """Pack a mask."""
        return cls(mask.box, mask.encode() if mask.area else b"")

    def mask(self) -> MaskPixels:
        """Unpack it."""
        return MaskPixels.decode(self.box, self.bits) if self.bits else MaskPixels.empty()


@dataclass(frozen=True)
class FrameStatement:
    """What is said of one object on one frame; points are (x, y) in pixels, labels 1 or 0, the box (x0, y0, x1, y1).

    A mask is a prompt, or, where `locked`, the result that stands.
    """

    frame: int
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: MaskData | None = None
    locked: bool = False


@dataclass(frozen=True)
class ObjectStatement:
    """All that is said of one object.

    Attributes
    ----------
    id : int
    generation : int
        Grows whenever the object's masks were changed by anything but the worker's results: what the worker tracked of
        it is void then.
    revision : int
        Grows with each statement of the session: of two statements of an object the later one holds.
    frames : tuple of FrameStatement
    """

    id: int
    generation: int
    revision: int
    frames: tuple[FrameStatement, ...] = ()

    def frame_numbers(self) -> set[int]:
        """The frames on which something is said."""
        return {one.frame for one in self.frames}


@dataclass(frozen=True)
class Segment:
    """Answer what is said of an object on a frame, by :class:`FrameFound`, unless a later request asks the same."""

    job: int
    frame: int
    object: ObjectStatement
    existing: tuple[int, ...]


@dataclass(frozen=True)
class Propagate:
    """Carry objects through the stack with a propagator of this name. `existing`: the ids of all objects there are."""

    job: int
    objects: tuple[ObjectStatement, ...]
    existing: tuple[int, ...]
    propagator: str
    start: int | None = None
    count: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Everything:
    """Find all objects on a frame; options are those of the mask generator."""

    job: int
    frame: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Encode:
    """Encode frames, so that clicks on them are answered at once."""

    job: int
    frames: tuple[int, ...]


Request: TypeAlias = Segment | Propagate | Everything | Encode


@dataclass(frozen=True)
class LookAt:
    """A person looks at this frame now: it is encoded next, then its neighbours as far as there is room."""

    frame: int


@dataclass(frozen=True)
class Cancel:
    """Give a job up."""

    job: int


@dataclass(frozen=True)
class Pause:
    """Leave a job alone until :class:`Resume`."""

    job: int


@dataclass(frozen=True)
class Resume:
    """Go on with a job."""

    job: int


@dataclass(frozen=True)
class Stop:
    """End; nothing more is wanted."""


Control: TypeAlias = LookAt | Cancel | Pause | Resume | Stop
ToWorker: TypeAlias = Request | Control


@dataclass(frozen=True)
class Ready:
    """The model is loaded and the stack open."""

    protocol: int
    device: str


@dataclass(frozen=True)
class Started:
    """A job begins; `seconds` is how long it is expected to take, where that is known."""

    job: int
    total: int
    seconds: float | None = None


@dataclass(frozen=True)
class FoundMask:
    """An object's mask on a frame, the IoU the model expects of it, and the logit of its being there."""

    object: int
    mask: MaskData
    predicted_iou: float | None
    object_score: float | None


@dataclass(frozen=True)
class FrameFound:
    """Masks of one frame, the part of a job that is done."""

    job: int
    frame: int
    masks: tuple[FoundMask, ...]


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    job: int
    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """A job is done, or has stopped where it was told to."""

    job: int


@dataclass(frozen=True)
class Failed:
    """A job, or with `job` None the worker, failed: the error's class name, its words, and the traceback."""

    job: int | None
    error: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Alive:
    """Sent now and then: seconds since the worker last came by between two pieces of work, and the job it is on."""

    idle_for: float
    job: int | None


FromWorker: TypeAlias = Ready | Started | FrameFound | Progress | Finished | Failed | Alive
