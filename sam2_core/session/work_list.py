"""Many images, worked through one after the other: which there are, how far each is, where its session and labels are.

Nothing is kept in memory that is not on the disk: each image has a session in a folder of its own, and a note beside it
says which labels were written from it. Whoever opens the same folders again goes on where the work was left.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sam2_core.errors import DestinationExistsError, InvalidInputError, MissingFileError
from sam2_core.hooks import VolumeReader, get_plugins
from sam2_core.session.annotation_session import JOURNAL_NAME, AnnotationSession
from sam2_core.volumes.folder_volume import natural_order
from sam2_core.volumes.labels.formats import format_named, label_formats

if TYPE_CHECKING:
    from sam2_core.session.job import Job
    from sam2_core.volumes.frame_stack import FrameStack

WorkState: TypeAlias = Literal["not begun", "in work", "done"]
#: Where the sessions are, inside the folder of the labels.
SESSIONS_NAME: Final = "sam2-sessions"
#: A reader that says this much of a folder knows it for an image, and not for a folder of pictures.
_IS_IMAGE: Final = 2


@dataclass(frozen=True)
class WorkItem:
    """One image.

    Attributes
    ----------
    image : Path
    labels : Path
        Where its labels are written.
    session : Path
        The folder of its session; not there until it is begun.
    """

    image: Path
    labels: Path
    session: Path

    @property
    def name(self) -> str:
        """What lists call it."""
        return self.image.name

    @property
    def has_session(self) -> bool:
        """Whether somebody began, and did something."""
        return (self.session / JOURNAL_NAME).is_file()

    @property
    def _note(self) -> Path:
        return self.session.with_name(f"{self.session.name}.json")


class WorkList:
    """The images of a folder, in natural order; files and OME-Zarr folders that a volume reader knows.

    Labels that this list writes, in any format, are not taken for images.

    Parameters
    ----------
    images : path
        The folder of the images; folders in it are not looked into.
    labels : path, optional
        The folder of the labels, made when it is needed; beside the images by default.
    format : str
        What labels are written as: "tiff", "ome-zarr", "png", "ctc", "coco", "imagej-roi", or a plugin's.
    sessions : path, optional
        Where the sessions are kept; ``sam2-sessions`` in the folder of the labels by default.
    takes_labelled_as_done : bool
        Whether an image that has labels from elsewhere, and no session, counts as done.

    Raises
    ------
    MissingFileError
        There is no folder of images.
    InvalidInputError
        There is no such format.
    """

    def __init__(
        self,
        images: Path | str,
        labels: Path | str | None = None,
        *,
        format: str = "tiff",
        sessions: Path | str | None = None,
        takes_labelled_as_done: bool = True,
    ) -> None:
        self.images = Path(images)
        if not self.images.is_dir():
            raise MissingFileError(f"There is no folder {self.images}. Name the folder that the images are in.")
        self.labels = self.images if labels is None else Path(labels)
        self.format = format_named(format).contribution.name
        self.sessions = self.labels / SESSIONS_NAME if sessions is None else Path(sessions)
        self.takes_labelled_as_done = takes_labelled_as_done
        self._noting = threading.Lock()
        self._written: dict[WorkItem, threading.Event] = {}  # set once nothing is to be noted of its labels any more
        self.items = self._listed()

    def state(self, item: WorkItem) -> WorkState:
        """How far an image is; read from the disk."""
        note = _read(item._note)
        if note.get("is_done") and (self.labels / note["labels"]).exists():
            return "done"
        if item.has_session:
            return "in work"
        return "done" if self.takes_labelled_as_done and item.labels.exists() else "not begun"

    @property
    def left(self) -> Iterator[WorkItem]:
        """The images that are not done; each is looked at when it is its turn."""
        return (item for item in self.items if self.state(item) != "done")

    def step(self, item: WorkItem | None, step: int = 1, *, skips_done: bool = True) -> WorkItem | None:
        """Find the next image, or with -1 the one before; beyond the last one it goes on with the first.

        Parameters
        ----------
        item : WorkItem, optional
            Where from; None begins at the first, or with -1 at the last.
        step : {1, -1}
        skips_done : bool
            Whether those that are done are passed over.

        Returns
        -------
        WorkItem or None
            None if there is no other.
        """
        count = len(self.items)
        at = (-1 if step > 0 else 0) if item is None else self.items.index(item)
        for distance in range(1, count + 1):
            found = self.items[(at + distance * step) % count]
            if found != item and not (skips_done and self.state(found) == "done"):
                return found
        return None

    def open_session(self, item: WorkItem, stack: FrameStack, **options: Any) -> AnnotationSession:
        """Go on with an image's session, or begin it.

        Parameters
        ----------
        item : WorkItem
        stack : FrameStack
            The image's frames: ``open_frames(item.image)``.
        **options
            `model` and `worker`, see :meth:`AnnotationSession.create`.
        """
        if item.has_session:
            return AnnotationSession.open(item.session, stack, **options)
        return AnnotationSession.create(stack, item.session, **options)

    def finish(self, item: WorkItem, session: AnnotationSession, *, replaces: bool = False) -> Path:
        """Write an image's labels, wait for it, and take the image as done; see :meth:`start_finish`."""
        written: Path = self.start_finish(item, session, replaces=replaces).wait()
        return written

    def start_finish(self, item: WorkItem, session: AnnotationSession, *, replaces: bool = False) -> Job:
        """Write an image's labels in the background; it is done once they are there, unless taken up again.

        Parameters
        ----------
        item : WorkItem
        session : AnnotationSession
            That of the image.
        replaces : bool
            Whether labels that somebody else wrote to that place may be replaced; those of this list always are.

        Returns
        -------
        Job
            Its result is the path of the labels.

        Raises
        ------
        DestinationExistsError
            There are labels of somebody else, and not `replaces`. Nothing is written then.
        """
        is_own = _read(item._note).get("labels") == item.labels.name
        if item.labels.exists() and not is_own and not replaces:
            raise DestinationExistsError(
                f"{item.labels} is there already, and was not written from this session. Replace it if you are sure, "
                "or choose another folder for the labels."
            )
        self.labels.mkdir(parents=True, exist_ok=True)
        job = session.start_export(item.labels, self.format, overwrite=True)
        noted = threading.Event()
        with self._noting:
            self._written[item] = noted
        job.changed.connect(partial(self._note_end, item, noted))
        # it may have ended before anybody listened
        self._note_end(item, noted, job)
        return job

    def take_up_again(self, item: WorkItem) -> None:
        """Note that an image is worked on again: its labels are not those of its session any more.

        So it is too with labels that are being written: the image is not done once they are there.
        """
        with self._noting:
            if item in self._written:
                self._written[item].set()
            note = _read(item._note)
            if note.get("is_done"):
                _write(item._note, {**note, "is_done": False})

    def _note_end(self, item: WorkItem, noted: threading.Event, job: Job) -> None:
        """Note once that labels were written; it is called in the job's thread and in that of who started it."""
        with self._noting:
            if job.state == "done" and not noted.is_set():
                _write(item._note, {"labels": item.labels.name, "is_done": True})
                noted.set()

    def _listed(self) -> list[WorkItem]:
        readers = [one.contribution for one in get_plugins().contributions(VolumeReader).values()]
        found = [
            path
            for path in self.images.iterdir()
            if not path.name.startswith(".") and any(reader.matches(path) >= _IS_IMAGE for reader in readers)
        ]
        stems = [_stem(path) for path in found]
        names = {path: stem if stems.count(stem) == 1 else path.name for path, stem in zip(found, stems, strict=True)}
        formats = [one.contribution.file_name for one in label_formats().values()]
        if self.labels.resolve() == self.images.resolve():
            written = {f"{name}_{file_name}" for name in names.values() for file_name in formats}
            # ".part": what an interrupted writer left
            found = [path for path in found if path.name.partition(".part")[0] not in written]
        file_name = format_named(self.format).contribution.file_name
        return [
            WorkItem(path, self.labels / f"{names[path]}_{file_name}", self.sessions / path.name)
            for path in sorted(found, key=natural_order)
        ]


def _stem(path: Path) -> str:
    """The name without its ending, also without that of ``.ome.tif``."""
    stem = path.stem
    return stem.removesuffix(".ome") or path.name


def _read(note: Path) -> dict[str, Any]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InvalidInputError(f"{note} is damaged ({error}); delete it, and the image counts as in work.") from error
    return dict(found)


def _write(note: Path, content: dict[str, Any]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    fresh = note.with_name(f"{note.name}.new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    os.replace(fresh, note)
