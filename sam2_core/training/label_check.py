"""Look at labels before training on them, and say what is wrong in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.errors import InvalidInputError
from sam2_core.training.labelled_volume import require_same_shape
from sam2_core.volumes import FrameStack, LabelStack
from sam2_core.volumes.labels.image_check import is_image

LOOKED_AT = 8


@dataclass(frozen=True)
class Finding:
    """Something about the labels.

    Attributes
    ----------
    kind : {"error", "warning"}
        An error makes training useless; a warning is worth knowing.
    message : str
        What was found, and what to do.
    about : {"empty", "image", "one frame", "ids"}
    """

    kind: Literal["error", "warning"]
    message: str
    about: Literal["empty", "image", "one frame", "ids"]


def check_labels(images: FrameStack, labels: LabelStack, frames: Sequence[int] | None = None) -> list[Finding]:
    """Look for what makes labels useless for training.

    Parameters
    ----------
    images : FrameStack
    labels : LabelStack
    frames : sequence of int, optional
        Labelled frames; those that the labels say were written by default. Up to eight of them, evenly spread, and
        the one after each are read.

    Returns
    -------
    list of Finding
        Nothing found: an empty list.

    Raises
    ------
    InvalidInputError
        Labels and images differ in shape, or no frame is labelled.
    """
    require_same_shape(images, labels)
    candidates = sorted(labels.written) if frames is None else sorted(frames)
    if not candidates:
        raise InvalidInputError(f"No frame of {labels.name} is labelled: nothing to train on.")
    chosen = [
        candidates[round(place)] for place in np.linspace(0, len(candidates) - 1, min(LOOKED_AT, len(candidates)))
    ]
    read = {index: labels.read(index) for index in dict.fromkeys(chosen)}
    findings: list[Finding] = []
    showing = [index for index, pixels in read.items() if pixels.any()]
    if not showing:
        findings.append(Finding("error", f"The labels of frames {chosen} of {labels.name} are all empty.", "empty"))
        return findings
    if len(showing) < len(read):
        empty = sorted(set(read) - set(showing))
        findings.append(
            Finding("warning", f"Frames {empty} of {labels.name} are labelled as empty; is that so?", "empty")
        )
    if all(is_image(read[index]) for index in showing):
        findings.append(
            Finding(
                "error",
                f"{labels.name} looks like an image, not like labels: its values fall into pieces of a pixel or two. "
                "Labels hold one whole number for each object and 0 elsewhere.",
                "image",
            )
        )
        return findings
    if len(candidates) == 1:
        findings.append(
            Finding(
                "warning",
                "One labelled frame: the model learns from single images (num_frames=1), and there is no frame to "
                "validate on.",
                "one frame",
            )
        )
    changed = sum(
        ids_change(read[index], labels.read(index + 1))
        for index in showing
        if len(images) > 1 and index + 1 in labels.written and index + 1 < len(labels)
    )
    if changed > len(showing) / 2:
        findings.append(
            Finding(
                "error",
                f"Objects of {labels.name} change their ids from frame to frame. Link them first (an object keeps one "
                "id through the stack), or train on single images: num_frames=1.",
                "ids",
            )
        )
    return findings


def ids_change(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Whether most objects of a frame (y, x) lie under another id in the next frame."""
    boxes = ndimage.find_objects(before.astype(np.int64, copy=False)) if before.max() < 1 << 20 else None
    identities = [int(each) for each in np.unique(before) if each]
    moved = kept = 0
    for identity in identities:
        part = np.s_[:, :] if boxes is None else boxes[identity - 1]
        beneath = after[part][before[part] == identity]
        values, counts = np.unique(beneath, return_counts=True)
        largest = int(values[counts.argmax()])
        if largest == 0 or counts.max() < 0.5 * len(beneath):
            continue
        kept += largest == identity
        moved += largest != identity
    return moved > kept
