"""``sam2 embed``: image features of a stack, computed ahead and kept on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.byte_count import parse_bytes, show_bytes
from sam2_core.cli.console import messages, output, progress_bar
from sam2_core.cli.interruption import INTERRUPTED, Interruption
from sam2_core.cli.stack_choice import StackChoice


def embed(
    stack: options.StackSource,
    frames: options.Frames = None,
    quota: Annotated[
        str | None, typer.Option(metavar="50GB", help="Size up to which features are kept; the oldest make room.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to keep them, in place of the folder that all commands share.")
    ] = None,
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    image_size: options.ImageSize = None,
    contrast: options.ContrastOption = None,
    channels: options.Channels = None,
    axis: options.Axis = None,
    at: options.At = None,
    plane: options.Plane = "yx",
    axes: options.Axes = None,
    level: options.Level = None,
    series: options.Series = None,
    strict: options.Strict = False,
    scale: options.Scale = None,
) -> None:
    """Compute the image features of a stack ahead.

    Features are most of the work of a click and of tracking. Here they are computed once and kept on disk, for
    every command, notebook and viewer that opens the same frames with the same model. Stopped, it goes on when
    the same command is given again.

    Example: sam2 embed stack.zarr --frames 0:200
    """
    choice = StackChoice.parsed(
        axes=axes,
        axis=axis,
        at=at,
        plane=plane,
        channels=channels,
        level=level,
        series=series,
        strict=strict,
        scale=scale,
        contrast=contrast,
    )
    quota_bytes = None if quota is None else parse_bytes(quota, "--quota")
    with choice.open(stack) as opened:
        chosen = options.parse_frames(frames, len(opened))

        from sam2_core.cli.models import load_predictor
        from sam2_core.inference.stack_embedding import embed_stack
        from sam2_core.volumes.embedding_store import EmbeddingStore

        model = load_predictor(checkpoint, device, precision, image_size)
        store = EmbeddingStore(folder, quota_bytes)
        embedding = embed_stack(model, opened, store, chosen)
        usage = embedding.usage
        messages.print(
            f"{len(chosen)} frames take {show_bytes(embedding.needed_bytes)} in {store.folder}, which holds "
            f"{show_bytes(usage.stored_bytes)} of at most {show_bytes(usage.quota_bytes)} "
            f"({show_bytes(usage.free_bytes)} free on the disk).",
            markup=False,
        )
        added = done = 0
        with Interruption() as interruption, progress_bar("Encoding", len(chosen)) as advance:
            for frame in embedding:
                added += not frame.was_stored
                done = frame.done
                advance()
                if interruption.is_asked:
                    break
    if interruption.is_asked and done < len(chosen):
        messages.print(f"Stopped after {done} of {len(chosen)} frames. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    output.print(f"{added} frames encoded, {done - added} were there", markup=False)
