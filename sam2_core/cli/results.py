"""Where results go: labels in the format that was asked for, and beside them the overlay picture and the tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.cli.console import output
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.overlay import OverlayFrame, draw_frame, draw_montage, montage_frames
from sam2_core.cli.plane_labels import PlaneLabels, bands
from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels import LabelWriter, open_label_writer
from sam2_core.volumes.labels.destination import DestinationLock
from sam2_core.volumes.labels.formats import claimed_by, format_named
from sam2_core.volumes.source import PICTURE_SUFFIXES, TIFF_SUFFIXES

# "s3://bucket/a.zarr", of which a path keeps one stroke; a drive has one letter
_URL_AS_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")

#: Planes larger than this are reduced for the overlay before they are drawn.
LARGEST_OVERLAY = 3200


@dataclass(frozen=True)
class Results:
    """Where the results of one run go.

    Attributes
    ----------
    folder : Path
        Holds the overlay, the tables and the state of the run.
    labels : Path
        The labels: in the folder, or where they were asked for by name.
    format : str
        Of the labels.
    """

    folder: Path
    labels: Path
    format: str

    @classmethod
    def at(cls, output_path: Path, format: str | None = None) -> Results:
        """Understand what came after ``-o``: a folder for everything, or a destination for the labels by name.

        In the latter case the rest goes into a folder beside it: ``cells.zarr`` has
        ``cells.zarr.sam2``, and ``image.zarr/labels/cells`` has ``image.zarr.cells.sam2`` beside the image.

        Parameters
        ----------
        output_path : Path
        format : str, optional
            What came after ``--format``; by default that of the name, TIFF for a folder.

        Raises
        ------
        InvalidInputError
            There is no such format, the name means another than the one asked for, a file is where a folder has to be,
            or it is a URL.
        """
        if _URL_AS_PATH.match(str(output_path)):
            raise InvalidInputError(
                f"Results are written to this machine, since they can be continued here; got -o {output_path}. Name a "
                "folder or a file, and copy the labels to a URL with sam2 convert."
            )
        wanted = None if format is None else format_named(format).contribution
        claimed = claimed_by(str(output_path))
        named = None if claimed is None else claimed.contribution.name
        if named is None:
            chosen = wanted or format_named("tiff").contribution
            results = cls(output_path, output_path / chosen.file_name, chosen.name)
        elif format not in (None, named):
            raise InvalidInputError(
                f"-o {output_path} means {named}, and --format says {format}. Leave one of them out."
            )
        else:
            results = cls(_beside(output_path), output_path, named)
        if results.folder.exists() and not results.folder.is_dir():
            raise InvalidInputError(f"{results.folder} is a file; -o names a folder for the results.")
        return results

    @property
    def overlay(self) -> Path:
        """Picture of the result."""
        return self.folder / "overlay.png"

    @property
    def objects(self) -> Path:
        """Table with one row an object."""
        return self.folder / "objects.csv"

    @property
    def objects_by_frame(self) -> Path:
        """Table with one row for each object and frame."""
        return self.folder / "objects_by_frame.csv"

    @property
    def manifest(self) -> Path:
        """What the run was started with."""
        return self.folder / "run.json"

    @property
    def records(self) -> Path:
        """The tracker's records, while the run is not finished."""
        return self.folder / "records"

    def require_free(self, overwrite: bool) -> None:
        """Refuse to replace results that are there, unless that was asked for; make the folder.

        Raises
        ------
        DestinationExistsError
            There are labels.
        """
        if self.labels.exists() and not overwrite:
            raise DestinationExistsError(
                f"{self.labels} exists already. Replace it with --overwrite, or choose another -o."
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    def lock(self) -> DestinationLock:
        """Keep other runs out of the folder, which is made if need be, until that is let go of.

        Raises
        ------
        StateError
            Another run has it.
        """
        return DestinationLock(self.folder / "run.lock", str(self.folder))

    def require_apart(self, stack: FrameStack) -> None:
        """Refuse pictures among the frames of the folder that is read: the next time they would be frames too.

        Raises
        ------
        InvalidInputError
            The labels or the overlay would lie there.
        """
        files = () if stack.volume is None else stack.volume.source_files()
        if stack.address is None or {file.parent for file in files} != {Path(stack.address)}:
            return
        source = Path(stack.address).resolve()
        for place in (self.labels, self.overlay):
            if place.parent.resolve() == source and place.suffix.casefold() in PICTURE_SUFFIXES + TIFF_SUFFIXES:
                raise InvalidInputError(
                    f"{place} would be taken for one of the frames of {stack.address} the next time. Choose an -o "
                    "outside that folder, or a folder in it."
                )

    def open_writer(
        self,
        stack: FrameStack,
        *,
        length: int | None = None,
        at: Mapping[str, int] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        metadata: dict[str, Any] | None = None,
        largest_id: int = 0,
    ) -> LabelWriter:
        """Open the labels for writing, as large as the stack.

        Parameters
        ----------
        stack : FrameStack
        length : int, optional
            Number of frames; that of the stack by default.
        at : mapping of str to int, optional
            Where the stack lies on other axes of its source; used where the labels have such axes too.
        overwrite, resume : bool
            Replace, or continue, what is there.
        metadata : dict, optional
            Kept with the labels where the format can.
        largest_id : int
            Of the objects; decides the dtype where the format's own is too narrow.
        """
        kind = format_named(self.format).contribution
        in_image = self.format == "ome-zarr" and self.labels.parent.name == "labels"
        of_volume = self.format == "ctc" and stack.axis == "z"
        place = {axis: position for axis, position in (at or {}).items() if axis != "c"}
        dtype = next((name for name in kind.dtypes if np.iinfo(name).max >= largest_id), kind.dtype)
        return open_label_writer(
            self.labels,
            length=len(stack) if length is None else length,
            frame_size=stack.frame_size,
            axis=stack.axis if stack.axis in ("z", "t") else ("t" if self.format == "ctc" else "frame"),
            format=self.format,
            dtype=kind.dtype if np.iinfo(kind.dtype).max >= largest_id else dtype,
            spacing=stack.spacing,
            unit=stack.spacing_unit,
            at=place if in_image or of_volume else None,
            overwrite=overwrite,
            resume=resume,
            metadata=metadata,
        )

    def write_plane(
        self,
        stack: FrameStack,
        index: int,
        plane: PlaneLabels,
        table: ObjectTable,
        prompts: Sequence[ObjectPrompts] = (),
        *,
        at: Mapping[str, int] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the labels of a single frame, band by band, with its table and overlay.

        Parameters
        ----------
        stack : FrameStack
            Where the frame is from.
        index : int
            Which one.
        plane : PlaneLabels
        table : ObjectTable
            Gets scores and measures, under frame 0.
        prompts : sequence of ObjectPrompts
            For the overlay.
        at : mapping of str to int, optional
            Where the frame lies on the axes of its source.
        overwrite : bool
            Whether labels that are there are replaced.
        """
        height, width = plane.frame_size
        step = -(-max(height, width) // LARGEST_OVERLAY)
        ids = [one.object_id for one in plane.scores]
        table.score(0, ids, [one.predicted_iou for one in plane.scores], [one.object_score for one in plane.scores])
        pictures, reduced = [], []
        largest_id = max([*ids, *(one.object_id for one in prompts)], default=0)
        with self.open_writer(stack, length=1, at=at, overwrite=overwrite, largest_id=largest_id) as writer:
            for top, bottom in bands(plane.frame_size):
                rows = plane.rows(top, bottom)
                writer.write_window(0, rows, top, 0, complete=bottom == height)
                table.measure(0, rows, top)
                shown = slice(-top % step, None, step)
                reduced.append(rows[shown, ::step])
                picture = stack.read_window(index, slice(top, bottom), slice(0, width))
                pictures.append(picture[shown, ::step])
        table.write_objects(self.objects, sorted({*ids, *(one.object_id for one in prompts)}))
        drawn = OverlayFrame(
            np.concatenate(pictures), np.concatenate(reduced), prompts_on(prompts, index), reduction=step
        )
        Image.fromarray(draw_frame(drawn)).save(self.overlay)

    def write_tables(self, table: ObjectTable, object_ids: Iterable[int], *, by_frame: bool) -> None:
        """Write the tables of what was measured."""
        table.write_objects(self.objects, object_ids)
        if by_frame:
            table.write_frames(self.objects_by_frame)

    def draw(
        self,
        stack: FrameStack,
        read_labels: Callable[[int], NDArray[Any]],
        prompts: Sequence[ObjectPrompts] = (),
        frames: range | None = None,
    ) -> None:
        """Draw the overlay: one frame, or a montage of some."""
        reach = range(len(stack)) if frames is None else frames
        step = -(-max(stack.frame_size) // LARGEST_OVERLAY)
        prompted = [frame - reach.start for one in prompts for frame in one.frames if frame in reach]
        shown = [
            OverlayFrame(
                _reduced(stack, index, step),
                read_labels(index)[::step, ::step],
                prompts_on(prompts, index),
                f"{stack.axis} {index}" if len(stack) > 1 else "",
                step,
            )
            for index in (reach[place] for place in montage_frames(len(reach), prompted))
        ]
        picture = draw_montage(shown) if len(shown) > 1 else draw_frame(shown[0])
        Image.fromarray(picture).save(self.overlay)

    def announce(self, names: Sequence[Path]) -> None:
        """Say which files there are now."""
        listed = ", ".join(
            str(name.relative_to(self.folder)) if name.is_relative_to(self.folder) else str(name) for name in names
        )
        output.print(f"Written to [bold]{self.folder}[/bold]: ", end="")
        output.print(listed, markup=False)


def prompts_on(prompts: Sequence[ObjectPrompts], index: int) -> list[tuple[int, FramePrompt]]:
    """Prompts given on one frame, with their objects' ids."""
    return [(one.object_id, one.frames[index]) for one in prompts if index in one.frames]


def _reduced(stack: FrameStack, index: int, step: int) -> NDArray[np.uint8]:
    """Every so many pixels of a frame, which need not fit into memory: (y, x, 3)."""
    if step == 1:
        return stack.read(index)
    width = stack.frame_size[1]
    parts = [
        stack.read_window(index, slice(top, bottom), slice(0, width))[-top % step :: step, ::step]
        for top, bottom in bands(stack.frame_size)
    ]
    return np.concatenate(parts)


def _beside(labels: Path) -> Path:
    """The folder for the rest, where labels have a name of their own."""
    for place in labels.parents:
        if place.suffix.casefold() == ".zarr":
            return place.with_name(f"{place.name}.{labels.name}.sam2")
    return labels.with_name(f"{labels.name}.sam2")
