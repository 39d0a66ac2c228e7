"""Where sessions are kept, and which of them belong to an image: what is offered again after a crash."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from sam2_napari.frame_placement import FramePlacement
from sam2_napari.settings import setting

DESCRIPTION_NAME: Final = "napari.json"
#: Beside the sessions: which folders of images were worked through.
FOLDERS_NAME: Final = "folders.json"


@dataclass(frozen=True)
class KnownSession:
    """A session that was kept: its folder, what it was begun for, and when it was last changed (seconds since 1970)."""

    folder: Path
    description: Mapping[str, Any]
    changed: float

    @property
    def label(self) -> str:
        """What menus call it."""
        return f"Continue: {time.strftime('%d %b %H:%M', time.localtime(self.changed))}"


def sessions_folder() -> Path:
    """The folder of all sessions: the one in the preferences, else in this user's data folder."""
    chosen = setting("session", "folder")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("sam2-lab", False)) / "sessions"


def description_of(name: str, address: str | None, placement: FramePlacement) -> dict[str, Any]:
    """What says for which image, and which frames of it, a session is."""
    return {
        "name": name,
        "address": address,
        "axes": placement.axes,
        "shape": list(placement.shape),
        "along": placement.along,
        "plane": placement.plane,
        "at": dict(placement.at),
    }


def new_folder(description: Mapping[str, Any]) -> Path:
    """A folder, not made yet, for a new session."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(description["name"])).strip("._")[:40] or "session"
    place = sessions_folder() / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    number, free = 2, place
    while free.exists():
        number, free = number + 1, place.with_name(f"{place.name}-{number}")
    return free


def remember(folder: Path, description: Mapping[str, Any]) -> None:
    """Write beside a session what it is for."""
    (folder / DESCRIPTION_NAME).write_text(json.dumps(description, indent=1), encoding="utf-8")


def recalled(folder: Path) -> dict[str, Any]:
    """What :func:`remember` wrote beside a session; empty if nothing."""
    try:
        return dict(json.loads((folder / DESCRIPTION_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def known_sessions(description: Mapping[str, Any]) -> list[KnownSession]:
    """The kept sessions of the same image and frames, the one that was changed last first."""
    found = []
    for path in sessions_folder().glob(f"*/{DESCRIPTION_NAME}"):
        kept = recalled(path.parent)
        if kept == dict(description):
            changed = _changed(path.parent)
            if changed is not None:
                found.append(KnownSession(path.parent, kept, changed))
    return sorted(found, key=lambda one: -one.changed)


def forget(folder: Path) -> None:
    """Remove the folder of a session in which nothing was done."""
    shutil.rmtree(folder, ignore_errors=True)


def _changed(folder: Path) -> float | None:
    """When a session was changed last; None for one that is gone, or is being removed right now."""
    times = []
    # changes are in the write-ahead log first, which goes when the session is closed
    for name in ("session.db", "session.db-wal"):
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(times, default=None)


def recent_folders() -> dict[str, dict[str, Any]]:
    """Folders of images that were worked through, with what was chosen for each; the last one last."""
    try:
        return dict(json.loads((sessions_folder() / FOLDERS_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        # nothing is lost by it but a choice that is made again
        return {}


def remember_folder(images: str, chosen: Mapping[str, Any]) -> None:
    """Keep what was chosen for a folder of images."""
    kept = {path: one for path, one in recent_folders().items() if path != images}
    place = sessions_folder()
    place.mkdir(parents=True, exist_ok=True)
    (place / FOLDERS_NAME).write_text(json.dumps({**kept, images: dict(chosen)}, indent=1), encoding="utf-8")
