"""What a run was started with, kept beside its results: the same command continues it, another one is refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core import __version__
from sam2_core.cli.prompts import ObjectPrompts
from sam2_core.errors import DestinationExistsError, InvalidInputError

if TYPE_CHECKING:
    import torch

    from sam2_core.volumes.frame_stack import FrameStack

FORMAT = 1
#: Where a manifest's source keeps :func:`source_stamp`.
STAMP = "size and time"


@dataclass(frozen=True)
class RunManifest:
    """A run: what it depends on, and how far it is.

    Attributes
    ----------
    source : dict
        The stack: its address, shape and, as a hint to whether it is still the same, size and time of the file.
    model : dict
        Name and digest of the weights, input size and dtype.
    options : dict
        What else changes the result.
    prompts : str
        Digest of the prompts.
    contrast_limits : dict, optional
        Which intensities became black and white (:meth:`ContrastLimits.as_dict`); None where they are passed on as
        they are.
    objects : dict of str to list of int
        The prompted frames of each object, once all were prompted.
    is_finished : bool
        Whether everything is written.
    command : str
        As it was written; for people.
    """

    source: dict[str, Any]
    model: dict[str, Any]
    options: dict[str, Any]
    prompts: str
    contrast_limits: dict[str, list[float]] | None = None
    objects: dict[str, list[int]] = field(default_factory=dict)
    is_finished: bool = False
    command: str = ""
    version: str = __version__
    format: int = FORMAT

    @classmethod
    def read(cls, path: Path) -> RunManifest | None:
        """Read the manifest of a run; None if there is none.

        Raises
        ------
        InvalidInputError
            It is damaged, or of another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InvalidInputError(
                f"{path} is damaged ({error}), so the run cannot be continued. Begin again with --overwrite."
            ) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InvalidInputError(
                f"{path} was written by another version of sam2-lab, so the run cannot be continued. Begin again with "
                "--overwrite, or choose another -o."
            )
        try:
            return cls(**content)
        except TypeError as error:
            raise InvalidInputError(f"{path} is damaged ({error}). Begin again with --overwrite.") from error

    def write(self, path: Path) -> None:
        """Write it, wholly or not at all."""
        part = path.with_name(path.name + ".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)

    def require_same(self, earlier: RunManifest, path: Path) -> RunManifest:
        """Take over how far an earlier run of the same command is, and its contrast limits.

        Raises
        ------
        DestinationExistsError
            It was another run; the message names what differs.
        """
        differences = [
            f"{name} was {_short(before)}, is {_short(now)}"
            for part in ("source", "model", "options")
            for name, before, now in _differing(getattr(earlier, part), getattr(self, part))
        ]
        if earlier.prompts != self.prompts:
            differences.append("the prompts were others")
        if len(differences) == 1 and earlier.source.get(STAMP) != self.source.get(STAMP):
            raise DestinationExistsError(
                f"{path.parent} holds results of this very command, begun when {self.source.get('address')} had "
                "another size or time of change: the images may have been replaced since, or the run is of an earlier "
                "version of sam2-lab, which looked at other files. Nothing was touched. Choose another -o, or begin "
                "again with --overwrite."
            )
        if differences:
            raise DestinationExistsError(
                f"{path.parent} holds the results of another run ({'; '.join(differences)}). Give the same command to "
                "continue it, --overwrite to begin again, or another -o."
            )
        return replace(
            self,
            contrast_limits=earlier.contrast_limits,
            objects=earlier.objects,
            is_finished=earlier.is_finished,
        )


def prompts_digest(objects: Iterable[ObjectPrompts], everything: object = None) -> str:
    """Digest of what was prompted.

    Parameters
    ----------
    objects : iterable of ObjectPrompts
    everything : object
        What is looked for beside them.
    """
    digest = hashlib.sha256(repr(everything).encode())
    for one in objects:
        for frame, prompt in sorted(one.frames.items()):
            mask = prompt.mask
            place = None if mask is None else (mask.top, mask.left, mask.shape, mask.frame_size)
            digest.update(repr((one.object_id, frame, prompt.points, prompt.labels, prompt.box, place)).encode())
            digest.update(b"" if mask is None else mask.bits)
    return digest.hexdigest()


def weights_digest(model: torch.nn.Module) -> str:
    """Digest of a model's weights, as they are in memory."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def source_stamp(stack: FrameStack) -> list[int] | None:
    """Size and time of change of a stack's file, as a hint to whether it is still the same; None where it has none.

    Of several files, their number and the time of the newest.
    """
    files = () if stack.volume is None else stack.volume.source_files()
    stats = [os.stat(file) for file in files]
    if not stats:
        return None
    size = stats[0].st_size if len(stats) == 1 else len(stats)
    return [size, max(stat.st_mtime_ns for stat in stats)]


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    # what is written is JSON: tuples come back as lists
    known = json.loads(json.dumps(now))
    return [
        (name, before.get(name), known.get(name)) for name in {**before, **known} if before.get(name) != known.get(name)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
