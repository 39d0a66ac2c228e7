"""``sam2 convert``: labels from any format to any other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output, progress_bar
from sam2_core.errors import DestinationExistsError, InvalidInputError


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Labels: TIFF, OME-Zarr (path or URL), PNG, TIFF or CTC folder, COCO JSON, ROI zip, CZI, ND2, LIF, …"
        ),
    ],
    destination: Annotated[
        str, typer.Argument(help="NAME.tif, .zarr (path or URL), .json, .zip, a folder 01_RES, or see --format.")
    ],
    format: options.LabelFormatOption = None,
    source_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format of the source, where its name does not say it.")
    ] = None,
    frames: options.Frames = None,
    axis: options.Axis = None,
    at: options.At = None,
    overwrite: options.Overwrite = False,
    as_labels: Annotated[
        bool, typer.Option("--as-labels", help="Take the source for labels, even if it looks like an image.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a conversion that was stopped.")] = False,
) -> None:
    """Write labels again in another format.

    Frame by frame, so that stacks larger than memory go through.

    Example: sam2 convert result/labels.tif cells.zarr
    """
    from sam2_core.volumes.labels import convert_labels, open_labels

    if destination == source or Path(destination).resolve() == Path(source).resolve():
        raise InvalidInputError(f"Source and destination are the same, {source}. Choose another destination.")
    with open_labels(source, source_format, axis=axis, at=options.parse_positions(at)) as labels:
        chosen = options.parse_frames(frames, len(labels))
        with progress_bar("Converting", len(chosen)) as advance:
            try:
                written = convert_labels(
                    labels,
                    destination,
                    format=format,
                    frames=(chosen.start, chosen.stop),
                    overwrite=overwrite,
                    resume=resume,
                    check=not as_labels,
                    progress=lambda done, total: advance(),
                )
            except DestinationExistsError as error:
                if overwrite or resume:
                    raise
                # the same in the words of the command line
                raise DestinationExistsError(
                    f"{destination} exists already. Continue it with --resume, replace it with --overwrite, or choose "
                    "another destination."
                ) from error
    output.print(f"Written: {written}, {len(chosen)} frames", markup=False)
