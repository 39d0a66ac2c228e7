"""The files a command leaves: labels, overlay picture, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sam2_core.cli.console import output
from sam2_core.cli.merged_labels import MergedLabels
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.overlay import OverlayFrame, draw_frame, draw_montage, montage_frames
from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack


@dataclass(frozen=True)
class ResultFolder:
    """Where the results of one run go."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> ResultFolder:
        """Make the folder, unless a file is in its place."""
        if path.exists() and not path.is_dir():
            raise InvalidInputError(f"{path} is a file; -o names a folder for the results.")
        path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    @property
    def labels(self) -> Path:
        """Label TIFF."""
        return self.path / "labels.tif"

    @property
    def overlay(self) -> Path:
        """Picture of the result."""
        return self.path / "overlay.png"

    @property
    def objects(self) -> Path:
        """Table with one row an object."""
        return self.path / "objects.csv"

    @property
    def objects_by_frame(self) -> Path:
        """Table with one row for each object and frame."""
        return self.path / "objects_by_frame.csv"

    def write(
        self,
        stack: FrameStack,
        labels: MergedLabels,
        table: ObjectTable,
        object_ids: Sequence[int],
        prompts: Sequence[ObjectPrompts] = (),
    ) -> None:
        """Measure the labels, write the tables and draw the overlay. The labels' owner writes them."""
        for index, frame_labels in labels.frames():
            table.measure(index, frame_labels)
        table.write_objects(self.objects, object_ids)
        if len(stack) > 1:
            table.write_frames(self.objects_by_frame)
        prompted = [frame for one in prompts for frame in one.frames]
        shown = [
            OverlayFrame(
                stack.read(index),
                labels.read(index),
                prompts_on(prompts, index),
                f"{stack.axis} {index}" if len(stack) > 1 else "",
            )
            for index in montage_frames(len(stack), prompted)
        ]
        picture = draw_montage(shown) if len(shown) > 1 else draw_frame(shown[0])
        Image.fromarray(picture).save(self.overlay)

    def announce(self, names: Sequence[Path]) -> None:
        """Say which files there are now."""
        output.print(f"Written to [bold]{self.path}[/bold]: {', '.join(name.name for name in names)}")


def prompts_on(prompts: Sequence[ObjectPrompts], index: int) -> list[tuple[int, FramePrompt]]:
    """Prompts given on one frame, with their objects' ids."""
    return [(one.object_id, one.frames[index]) for one in prompts if index in one.frames]
