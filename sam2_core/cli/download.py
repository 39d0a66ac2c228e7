"""``sam2 download``: fetch a model of the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from sam2_core.cli.console import output


def download(
    model: Annotated[str, typer.Argument(help="Catalogue name (see 'sam2 info') or Hugging Face id.")],
    force: Annotated[bool, typer.Option("--force", help="Download again even if it is there.")] = False,
) -> None:
    """Download a model.

    Goes into the cache, continues where it was interrupted, and is checked.
    """
    from sam2_core.checkpoints.fetch import download_model

    output.print(f"{model} is at {download_model(model, force=force)}", markup=False)
