"""``sam2 info``: the models there are."""

from __future__ import annotations

from typing import Annotated

import typer

from sam2_core.cli.console import output
from sam2_core.errors import CheckpointError
from sam2_core.hooks import ModelEntry


def info(
    model: Annotated[
        str | None, typer.Argument(help="Catalogue name, Hugging Face id or file name; all by default.")
    ] = None,
) -> None:
    """List the models, or tell about one.

    Size, licence, and whether it is on this machine.
    """
    from sam2_core.checkpoints.cache import cache_folder
    from sam2_core.checkpoints.catalogue import get_entry, known_models

    if model is not None:
        entry = get_entry(model)
        lines = {
            "name": entry.name,
            "what": entry.summary,
            "parameters": f"{entry.parameters:,}" if entry.parameters else "not recorded",
            "config": entry.config,
            "licence": entry.licence,
            "on this machine": _whereabouts(entry),
            "size": _size(entry),
            "download": entry.url or _source(entry),
            "Hugging Face": entry.hf_id or "–",
            "sha256": entry.sha256 or "not recorded",
        }
        for name, value in lines.items():
            output.print(f"{name:>15}  {value}", markup=False)
        return
    # plain lines, not a drawn table: they are also read by scripts and in narrow windows, where cells would be cut
    rows = [("model", "parameters", "size", "licence", "on this machine")]
    for entry in known_models().values():
        parameters = f"{entry.parameters / 1e6:.0f} M" if entry.parameters else ""
        rows.append((entry.name, parameters, _size(entry), entry.licence, _availability(entry)))
    for name, parameters, size, licence, availability in rows:
        output.print(f"{name:<22}  {parameters:>10}  {size:>6}  {licence:<10}  {availability}", markup=False)
    output.print("More about one: sam2 info MODEL. To get one: sam2 download MODEL.")
    output.print(f"Downloads are kept in {cache_folder()}", markup=False, soft_wrap=True)


def _source(entry: ModelEntry) -> str:
    """Where weights come from that are not downloaded."""
    from sam2_core.checkpoints.own_models import own_models

    return "fine-tuned here" if entry.name in own_models() else "comes with the package"


def _whereabouts(entry: ModelEntry) -> str:
    """Path of the weights, or why there is none."""
    from sam2_core.checkpoints.cache import cached_checkpoint

    try:
        path = cached_checkpoint(entry)
    except CheckpointError as error:
        return f"damaged: {error}"
    if path is not None:
        return str(path)
    return "missing: reinstall sam2-lab" if entry.shipped else f"no; get it with: sam2 download {entry.name}"


def _availability(entry: ModelEntry) -> str:
    """One word for the list; quick: files whose sha256 is on record are not read through."""
    from sam2_core.checkpoints.cache import cached_checkpoint

    try:
        path = cached_checkpoint(entry)
    except CheckpointError:
        return "damaged"
    if entry.shipped:
        return f"yes, {_source(entry)}" if path else "missing"
    return "yes" if path else "no"


def _size(entry: ModelEntry) -> str:
    size = entry.size_bytes
    if size is None and entry.shipped and entry.shipped_path.is_file():
        size = entry.shipped_path.stat().st_size
    return f"{size / 1e6:.0f} MB" if size else "?"
