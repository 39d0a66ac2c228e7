"""The built-in losses on masks."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Loss, hookimpl


@hookimpl
def sam2_losses() -> Iterable[Loss]:
    """List them, the official ones first."""
    # they bring torch
    from sam2_core.builtin import mask_losses as losses

    return [
        Loss("focal", "focal loss, as the official training has it", compute=losses.focal),
        Loss("dice", "1 - Dice coefficient, as the official training has it", compute=losses.dice),
        Loss("balanced", "cross-entropy, object and background weighing the same", compute=losses.balanced),
        Loss("local", "cross-entropy over an object and its surroundings", compute=losses.local),
    ]
