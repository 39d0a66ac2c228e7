"""The command ``sam2 count-objects``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sam2_core import open_labels


def count_objects(labels: Annotated[Path, typer.Argument(help="Labels in any format.")]) -> None:
    """Count the objects of a label image."""
    numbers: set[int] = set()
    with open_labels(labels) as stack:
        for index in range(len(stack)):
            numbers |= set(np.unique(stack.read(index)).tolist())
    typer.echo(f"{len(numbers - {0})} objects")
