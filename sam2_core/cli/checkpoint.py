"""``sam2 checkpoint``: weights from one format or layout to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli import options
from sam2_core.cli.console import output


def checkpoint(
    source: Annotated[
        str, typer.Argument(help="Catalogue name, .pt or .safetensors file, or folder of Hugging Face transformers.")
    ],
    destination: Annotated[
        Path,
        typer.Argument(
            help="NAME.safetensors or NAME.pt: official layout. A folder: that of Hugging Face transformers."
        ),
    ],
    image_size: options.ImageSize = None,
    number_format: Annotated[
        str | None, typer.Option("--dtype", metavar="NAME", help="fp32, bf16 or fp16; as they are by default.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a model's weights again in another format.

    A folder gets what transformers wants beside the weights: from_pretrained of Sam2VideoModel, Sam2Model and their
    processors load it.

    Example: sam2 checkpoint sam2.1_hiera_micro micro_for_transformers
    """
    from sam2_core.checkpoints.convert import convert_checkpoint
    from sam2_core.errors import DestinationExistsError

    try:
        written = convert_checkpoint(
            source, destination, image_size=image_size, dtype=number_format, overwrite=overwrite
        )
    except DestinationExistsError as error:
        raise DestinationExistsError(
            f"{destination} exists already. Replace it with --overwrite, or choose another destination."
        ) from error
    output.print(f"Written: {written}", markup=False)
