"""Where a command's prompts come from: its line, a file, a label image, or everything found on one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_core.cli.finding import Thresholds, find_everything
from sam2_core.cli.prompts import ObjectPrompts, parse_prompts, require_inside
from sam2_core.cli.prompts.label_image import LabelPrompt, open_label_image, prompt_of, prompts_from_labels
from sam2_core.cli.prompts.prompted import joined
from sam2_core.cli.prompts.written import free_ids
from sam2_core.cli.stack_choice import geometry_of
from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.volumes.embedding_store import EmbeddingStore


@dataclass(frozen=True)
class PromptSources:
    """What a person gave to prompt objects with.

    Attributes
    ----------
    points, boxes : sequence of str
        As written after ``--point`` and ``--box``.
    file : Path, optional
        File of prompts.
    same_object : bool
        Whether points, boxes and the file mean one object.
    labels : str, optional
        Label image whose objects are prompts: a path, or the URL of an OME-Zarr.
    label_frame : int, optional
        The frame whose objects are meant.
    label_prompt : LabelPrompt
        What an object of the label image becomes.
    everything : int, optional
        Frame on which everything is looked for.
    thresholds : Thresholds
        What is good enough there.
    """

    points: Sequence[str] = ()
    boxes: Sequence[str] = ()
    file: Path | None = None
    same_object: bool = False
    labels: str | None = None
    label_frame: int | None = None
    label_prompt: LabelPrompt = LabelPrompt.MASK
    everything: int | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)

    def known(
        self, stack: FrameStack, *, frames: range | None = None, default_frame: int | None = None
    ) -> list[ObjectPrompts]:
        """Read and check everything that needs no model.

        Parameters
        ----------
        stack : FrameStack
            The stack that the prompts are for.
        frames : range, optional
            The frames that are looked at, where it is not all of them.
        default_frame : int or None
            Frame of points and boxes that name none; ``None`` makes naming it compulsory.

        Raises
        ------
        InvalidInputError
            Nothing is prompted, or a prompt contradicts another one or lies outside the stack.
        """
        allowed = range(len(stack)) if frames is None else frames
        if self.everything is not None and self.everything not in allowed:
            raise InvalidInputError(
                f"--everything {self.everything}: there is no such frame; expected one from {allowed.start} to "
                f"{allowed.stop - 1}."
            )
        from_labels = self._from_labels(stack, frames)
        if not (self.points or self.boxes or self.file) and (from_labels or self.everything is not None):
            return from_labels
        written = parse_prompts(
            self.points,
            self.boxes,
            self.file,
            same_object=self.same_object,
            default_frame=default_frame,
            geometry=geometry_of(stack),
            taken=[one.object_id for one in from_labels],
        )
        require_inside(written, len(stack), stack.frame_size, frames)
        return joined(from_labels, written)

    def found(
        self,
        model: SAM2VideoPredictor,
        stack: FrameStack,
        known: Sequence[ObjectPrompts],
        store: EmbeddingStore | None = None,
    ) -> list[ObjectPrompts]:
        """Add what is found on the frame that ``everything`` names, numbered after the size, to what is known.

        Image features are looked for and kept in a store, where there is one.

        Raises
        ------
        InvalidInputError
            Nothing is found, and nothing else is prompted.
        """
        if self.everything is None:
            return list(known)
        numbers = free_ids(one.object_id for one in known)
        found = find_everything(model, stack, self.everything, self.thresholds, store)
        objects = [
            ObjectPrompts(number, {self.everything: prompt_of(one.mask, LabelPrompt.MASK)})
            for number, one in zip(numbers, found, strict=False)
        ]
        if not objects and not known:
            raise InvalidInputError(
                f"Nothing was found on frame {self.everything}. Lower --min-iou and --min-stability, or prompt by "
                "--point and --box."
            )
        return joined(known, objects)

    def _from_labels(self, stack: FrameStack, frames: range | None) -> list[ObjectPrompts]:
        if self.labels is None:
            return []
        with open_label_image(self.labels) as labels:
            return prompts_from_labels(
                labels,
                frame_count=len(stack),
                frame_size=stack.frame_size,
                frame=0 if len(stack) == 1 else self.label_frame,
                frames=frames,
                kind=self.label_prompt,
            )
