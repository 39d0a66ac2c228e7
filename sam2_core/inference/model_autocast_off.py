"""Keep a caller's autocast out of the model.

The dtype belongs to the model: its weights were cast once, and every step chooses the precision it needs. An autocast
region that the caller happens to be in would cast some of those steps again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device | str) -> AbstractContextManager[object]:
    """Switch autocast off for one kind of device while the context is open.

    Parameters
    ----------
    device : torch.device or str
        The device the model lives on; only its kind counts.

    Returns
    -------
    context manager
        Nothing is cast inside it, whatever the caller's autocast says; the caller's setting is back afterwards.
    """
    kind = torch.device(device).type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
