"""What a session and its worker say to each other.

Plain values only: numbers, text, bytes, tuples, and dictionaries of options. Nothing here knows torch: the other side
may be a thread, a process, or another machine. A session sends requests and the controls of jobs; the worker sends
reports. The worker remembers nothing that the session does not know: each request says all there is to say of the
objects it is about, so that a new worker can take over at any request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sam2_core.inference.preset_names import Preset
from sam2_core.session.mask_pixels import Box, MaskPixels

#: Grows with every change of these classes; both sides must have the same.
PROTOCOL: Final = 5


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

    @property
    def is_trial(self) -> bool:
        """Whether what is found holds for nothing else: a generation of its own, which no other statement has."""
        return self.generation == self.revision

    def frame_numbers(self) -> set[int]:
        """The frames on which something is said."""
        return {one.frame for one in self.frames}


@dataclass(frozen=True)
class FrameLine:
    """Frames that are tracked over as a stack of their own: of frames along two axes those along one of them.

    Attributes
    ----------
    axis : str
        "z" or "t".
    start, stop, step : int
        As of a range; frames in messages keep their numbers in the whole stack.
    """

    axis: str
    start: int
    stop: int
    step: int

    @property
    def frames(self) -> range:
        """Their numbers, in order."""
        return range(self.start, self.stop, self.step)


@dataclass(frozen=True)
class Segment:
    """Answer what is said of an object on a frame, by :class:`FrameFound`, unless a later request asks the same.

    `before` is the mask there that the prompts correct, for a worker that has not found it itself. With a `line` all is
    about its frames only, the statement too. The preset says how the frames are looked at.
    """

    job: int
    frame: int
    object: ObjectStatement
    existing: tuple[int, ...]
    before: MaskData | None = None
    line: FrameLine | None = None
    preset: Preset = "exact"


@dataclass(frozen=True)
class Propagate:
    """Carry objects through the stack with a propagator of this name. `existing`: the ids of all objects there are.

    With a `line` all is about its frames only, the statements too. The preset says how the frames are looked at.
    """

    job: int
    objects: tuple[ObjectStatement, ...]
    existing: tuple[int, ...]
    propagator: str
    start: int | None = None
    count: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    line: FrameLine | None = None
    preset: Preset = "exact"


@dataclass(frozen=True)
class Estimate:
    """Tell, by :class:`Estimated`, how long a propagation would take with each preset; nothing is done of it."""

    job: int
    work: Propagate


@dataclass(frozen=True)
class Carry:
    """Carry objects' volumes from one line of frames to others; see :mod:`sam2_core.session.worker.volume_carrying`.

    Attributes
    ----------
    job : int
    objects : tuple of ObjectStatement
        Masks only: those of the first line, and those on the others that stay as they are, empty ones too.
    lines : tuple of FrameLine
        Of one axis and length, in the order in which they are gone over; the first one has the volumes.
    options : dict
        Those of :class:`~sam2_core.session.worker.volume_carrying.CarryingOptions`.
    """

    job: int
    objects: tuple[ObjectStatement, ...]
    lines: tuple[FrameLine, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Everything:
    """Find all objects on a frame, by :class:`FrameFound`; options are those of the mask generator.

    With `keeps_candidates` all that pass its thresholds are told, duplicates too, by :class:`CandidatesFound`. With the
    preset "crops" the frame is searched tile by tile.
    """

    job: int
    frame: int
    options: dict[str, Any] = field(default_factory=dict)
    keeps_candidates: bool = False
    preset: Preset = "exact"


@dataclass(frozen=True)
class Encode:
    """Encode frames, so that clicks on them are answered at once."""

    job: int
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Describe:
    """Tell a frame's features."""

    job: int
    frame: int


Request: TypeAlias = Segment | Propagate | Estimate | Carry | Everything | Encode | Describe


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


@dataclass(frozen=True)
class StackDescription:
    """The frames: what they are called and along, how many, height and width. Their pixels are asked for one by one."""

    name: str
    axis: str
    length: int
    height: int
    width: int


@dataclass(frozen=True)
class Open:
    """The first message: what to work with.

    Attributes
    ----------
    protocol : int
        See :data:`PROTOCOL`; a worker that speaks another refuses.
    model : str
        Name of a model in the catalogue, or path of its weights; or, with `is_pickled`, of a predictor that the session
        wrote itself.
    is_pickled : bool
    stack : StackDescription
    options : dict
        Those of :class:`~sam2_core.session.worker.inference_worker.WorkerOptions`.
    shared_frames : str
        Path of the file of :class:`~sam2_core.session.worker.shared_frames.SharedFrames`; empty if there is none.
    """

    protocol: int
    model: str
    is_pickled: bool
    stack: StackDescription
    options: dict[str, Any] = field(default_factory=dict)
    shared_frames: str = ""


@dataclass(frozen=True)
class FramePixels:
    """A frame that the worker asked for, (y, x, RGB), uint8, row after row; or why it cannot be had.

    Where the worker named a slot of the shared memory the pixels are there, and `pixels` is empty.
    """

    frame: int
    pixels: bytes
    error: str = ""
    slot: int | None = None


Control: TypeAlias = Open | FramePixels | LookAt | Cancel | Pause | Resume | Stop
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
class Candidate:
    """A mask that may be an object.

    Its scores are 0-1, that of the object a logit; the crop (x0, y0, x1, y1) is the one that it was found in.
    """

    mask: MaskData
    predicted_iou: float
    object_score: float
    stability_score: float
    crop_box: Box


@dataclass(frozen=True)
class CandidatesFound:
    """All candidates of a frame."""

    job: int
    frame: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class FeatureLevel:
    """One level of a frame's features: its shape (1, C, y, x), and its values, float32 in the machine's byte order."""

    shape: tuple[int, ...]
    values: bytes


@dataclass(frozen=True)
class FeaturesFound:
    """A frame's features, finest level first."""

    job: int
    frame: int
    levels: tuple[FeatureLevel, ...]


@dataclass(frozen=True)
class Estimated:
    """How many seconds tracking would take with each preset."""

    job: int
    seconds: dict[str, float]


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
class NeedFrame:
    """The worker wants a frame's pixels, :class:`FramePixels`: in this slot of the shared memory, if it names one."""

    frame: int
    slot: int | None = None


@dataclass(frozen=True)
class Alive:
    """Sent now and then by a worker far away: for how many seconds it has been on one piece of work; 0 if it waits."""

    busy_for: float


#: What a job has come to, or a part of it.
Found: TypeAlias = FrameFound | CandidatesFound | FeaturesFound | Estimated
FromWorker: TypeAlias = NeedFrame | Ready | Started | Found | Progress | Finished | Failed | Alive
