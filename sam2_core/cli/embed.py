"""``sam2 embed``: image features of a stack, computed ahead and kept on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.byte_count import parse_bytes, show_bytes, show_seconds
from sam2_core.cli.console import messages, output, progress_bar
from sam2_core.cli.interruption import INTERRUPTED, Interruption
from sam2_core.cli.preset import Preset, StoredPreset, automatic_preset
from sam2_core.cli.stack_choice import StackChoice


def embed(
    stack: options.StackSource,
    frames: options.Frames = None,
    quota: Annotated[
        str | None, typer.Option(metavar="50GB", help="Size up to which features are kept; the oldest make room.")
    ] = None,
    preset: Annotated[
        StoredPreset,
        typer.Option(
            help="What is encoded: whole frames (exact), or their tiles, as the same preset of 'sam2 track' looks at "
            "them. auto: as 'sam2 track' by itself."
        ),
    ] = StoredPreset.AUTO,
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
        from sam2_core.cli.track_cost import TrackCost
        from sam2_core.inference.stack_embedding import embed_stack
        from sam2_core.inference.tile_grid import TileGrid
        from sam2_core.volumes.embedding_store import EmbeddingStore

        model = load_predictor(checkpoint, device, precision, image_size)
        store = EmbeddingStore(folder, quota_bytes)
        size, looked_at = opened.frame_size, Preset(preset)
        if looked_at is Preset.AUTO:
            looked_at = automatic_preset(size, model.input_size)
        tiles = TileGrid.for_model(size, model.input_size) if looked_at is Preset.TILES else None
        embedding = embed_stack(model, opened, store, chosen, tiles=tiles)
        usage = embedding.usage
        what, pictures = f"{len(chosen)} frames", "frames"
        if embedding.tiles is not None:
            what, pictures = f"{len(embedding)} tiles of {what}", "tiles"
        there = embedding.stored_count()
        seconds = TrackCost.measured(model).seconds(len(embedding) - there, 0)
        messages.print(
            f"{what} take {show_bytes(embedding.needed_bytes)} in {store.folder}, which holds "
            f"{show_bytes(usage.stored_bytes)} of at most {show_bytes(usage.quota_bytes)} "
            f"({show_bytes(usage.free_bytes)} free on the disk); about {show_seconds(seconds)}"
            f"{f', since {there} are there' if there else ''}.",
            markup=False,
        )
        added = done = 0
        with Interruption() as interruption, progress_bar("Encoding", len(embedding)) as advance:
            for picture in embedding:
                added += not picture.was_stored
                done = picture.done
                advance()
                if interruption.is_asked:
                    break
    if interruption.is_asked and done < len(embedding):
        messages.print(f"Stopped after {done} of {len(embedding)} {pictures}. The same command goes on from here.")
        sys.exit(INTERRUPTED)
    output.print(f"{added} {pictures} encoded, {done - added} were there", markup=False)
