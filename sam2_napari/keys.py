"""Keys: which there are, what they do, and binding them where napari's own do not win."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sam2_napari.settings import setting

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True)
class Action:
    """Something a key does: its name in the preferences, the usual key, and what it is called."""

    name: str
    key: str
    label: str


#: The keys of prompt types come from the prompt types themselves.
ACTIONS: Final = (
    Action("segment", "S", "Segment"),
    Action("accept", "C", "Done, next object"),
    Action("clear", "Shift-C", "Clear prompts"),
    Action("toggle_sign", "T", "Add or remove"),
    Action("next_object", "N", "Next object"),
    Action("previous_object", "Shift-N", "Previous object"),
    Action("propagate", "Shift-S", "Track"),
    Action("lock", "K", "Lock here"),
    Action("divide", "D", "Divides here"),
    Action("next_doubtful", "R", "Next doubtful mask"),
    Action("accept_doubtful", "A", "Accept this mask"),
    Action("no_tool", "Z", "Move the picture"),
    Action("finish", "Enter", "Finish the outline"),
    Action("undo", "Control-Z", "Undo"),
    Action("redo", "Control-Shift-Z", "Redo"),
    Action("cancel", "Escape", "Stop"),
    Action("finish_image", "Control-Enter", "Done, next image"),
    Action("next_image", "PageDown", "Next image"),
    Action("previous_image", "PageUp", "Previous image"),
)
#: As keyboards have it, and as buttons have room for.
_SHORT: Final = {"Control": "Ctrl", "-": "+", "Escape": "Esc", "PageUp": "PgUp", "PageDown": "PgDn"}
_BY_NAME: Final = {action.name: action for action in ACTIONS}


def key_of(name: str, usual: str = "") -> str:
    """The key of an action, as the preferences have it."""
    known = _BY_NAME.get(name)
    return str(setting("keys", name, known.key if known is not None else usual) or "")


def label_of(name: str) -> str:
    """What an action is called."""
    return _BY_NAME[name].label


def with_key(label: str, key: str) -> str:
    """A button's text that says its key too."""
    for long, short in _SHORT.items():
        key = key.replace(long, short)
    return f"{label} ({key})" if key else label


def normal_key(key: str) -> str | None:
    """A key as napari writes it; None if there is no such key, which napari takes without a word."""
    from app_model.types import KeyCode
    from napari.utils.key_bindings import coerce_keybinding

    try:
        binding = coerce_keybinding(key)
    except (ValueError, TypeError):
        return None
    is_known = all(part.key not in (None, KeyCode.UNKNOWN) for part in binding.parts)
    return str(binding) if binding.parts and is_known else None


class BoundKeys:
    """Keys bound on a viewer and on layers of ours, until they are let go.

    A layer's keys win over those of the viewer, so both are bound: ours work while any of our layers is selected, and
    elsewhere unless the selected layer has its own meaning for the key.

    Parameters
    ----------
    viewer : ViewerModel
    layers : iterable of Layer
    """

    def __init__(self, viewer: ViewerModel, layers: Iterable[Any]) -> None:
        self._places: list[Any] = [viewer, *layers]
        self._keys: dict[str, str] = {}  # and what each does
        #: What the preferences have wrong, in sentences.
        self.wrong: list[str] = []

    def bind(self, key: str, function: Callable[[], object], label: str) -> None:
        """Do something at a key; nothing if it is empty, and if it is none or taken that is added to `wrong`."""
        if not key:
            return
        known = normal_key(key)
        if known is None:
            self.wrong.append(f"The key of {label!r} is {key!r}, which is none.")
            return
        if known in self._keys:
            self.wrong.append(f"{key} is the key of {self._keys[known]!r} and of {label!r}; it does the first.")
            return

        def pressed(_: Any) -> None:
            function()

        for place in self._places:
            place.bind_key(key, pressed, overwrite=True)
        self._keys[known] = label

    def release(self) -> None:
        """Give the keys back."""
        for place in self._places:
            for key in self._keys:
                place.bind_key(key, None)
        self._keys.clear()
        self.wrong.clear()
