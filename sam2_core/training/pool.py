"""A pool of drawn stacks on disk, so that drawing does not hold up training.

Drawing a frame takes tens of milliseconds of CPU. A pool is drawn once, by processes of its own, and read through
memory maps; crops, flips and changes of contrast (see :mod:`sam2_core.training.samples`) make each visit different.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.training.generator import StackKind, draw_stack, random_motion, random_nuclei, random_tissue


@dataclass(frozen=True)
class Pool:
    """Drawn stacks of one size.

    Attributes
    ----------
    images
        (stack, frame, y, x) uint8.
    labels
        (stack, frame, y, x) uint16, 0 is background.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def frames(self) -> int:
        """Frames of each stack."""
        return int(self.images.shape[1])


def draw_pool(
    folder: Path,
    *,
    first_seed: int,
    stacks: int,
    frames: int,
    size: tuple[int, int] = (256, 256),
    nuclei: float = 0.5,
    tissue: float = 0.0,
    motion: float = 0.0,
) -> Iterator[int]:
    """Draw stacks into a folder, one after another; slices and time-lapses take turns.

    Parameters
    ----------
    folder
        Created if missing; an earlier pool in it is replaced.
    first_seed
        Seed of the first stack; the others follow it.
    stacks, frames
        How many, and how long.
    size
        (height, width) in pixels.
    nuclei
        Share of the stacks that show fluorescent nuclei (:func:`random_nuclei`).
    tissue
        Share that are slices through tissue (:func:`random_tissue`).
    motion
        Share that are time-lapses of cells on the move (:func:`random_motion`); what is left shows anything.

    Yields
    ------
    int
        Number of stacks drawn so far. The pool can be read (see :func:`open_pool`) at any time.
    """
    if stacks < 1 or frames < 1:
        raise InvalidInputError(f"A pool needs at least one stack of one frame, got {stacks} of {frames}.")
    if not (min(nuclei, tissue, motion) >= 0 and nuclei + tissue + motion <= 1):
        raise InvalidInputError(
            "nuclei, tissue and motion are shares of the stacks, from 0 to 1 together; "
            f"got {nuclei}, {tissue} and {motion}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    shape = (stacks, frames, *size)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    labels = np.lib.format.open_memmap(folder / "labels.npy", mode="w+", dtype=np.uint16, shape=shape)
    kinds: tuple[StackKind, StackKind] = ("z", "time")
    for index in range(stacks):
        seed = first_seed + index
        kind = "still" if frames == 1 else kinds[seed % 2]
        random = np.random.default_rng(seed)
        chosen = random.random()
        people, look = None, None
        if chosen < nuclei:
            people, look = random_nuclei(random, size)
        elif chosen < nuclei + tissue:
            people, look = random_tissue(random, size)
            kind = "z"
        elif chosen < nuclei + tissue + motion:
            people, look = random_motion(random, size)
            kind = "time"
        stack = draw_stack(random, frames=frames, size=size, kind=kind, population=people, appearance=look)
        images[index], labels[index] = stack.image, stack.labels
        # In a single move: somebody may be reading it.
        partial = folder / "drawn.part"
        partial.write_text(json.dumps({"stacks": index + 1, "first_seed": first_seed}))
        partial.replace(folder / "drawn.json")
        yield index + 1


def open_pool(folder: Path) -> Pool:
    """Read what has been drawn in a folder so far.

    Parameters
    ----------
    folder
        Where :func:`draw_pool` writes or wrote.

    Returns
    -------
    Pool
        Memory-mapped, read-only.

    Raises
    ------
    MissingFileError
        If no stack has been drawn there.
    """
    record = folder / "drawn.json"
    if not record.exists():
        raise MissingFileError(f"No pool of drawn stacks in {folder}; draw one with draw_pool.")
    drawn = int(json.loads(record.read_text())["stacks"])
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    return Pool(images[:drawn], labels[:drawn])
