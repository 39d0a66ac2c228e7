"""The built-in volume readers."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import VolumeReader, hookimpl


@hookimpl
def sam2_volume_readers() -> Iterable[VolumeReader]:
    """List them in the order in which they are asked."""
    # readers bring numpy and more, which who only lists plugins need not wait for
    from sam2_core.volumes.readers import READERS

    return [
        VolumeReader(reader.name.replace(" ", "-"), f"reads: {reader.name}", matches=reader.matches, open=reader.open)
        for reader in READERS
    ]
