"""What the browser and Python say to each other: numbered requests, their answers, and events.

A request is ``{"v", "view", "id", "kind", "payload"}``. Its answer has the same view and id and a type: "ok" with a
payload and buffers, "error", "progress" or "cancelled". An event, ``{"v", "type": "event", "kind", "seq", "payload"}``,
goes to every view. Requests are JSON only (some hosts carry no buffers upwards); pixels go down as buffers.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sam2_core.errors import InvalidInputError, InvalidTypeError, Sam2Error

#: Grows with every change that an older view would not understand.
PROTOCOL_VERSION: Final = 1
#: More points than a person draws in one go; the browser simplifies lines long before.
MAX_POINTS: Final = 20_000

Payload: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What a view asks for.

    Attributes
    ----------
    view : str
        Which view asks.
    id : int
        Its number there.
    kind : str
        What is asked.
    payload : dict
        With what.
    """

    view: str
    id: int
    kind: str
    payload: Payload

    @classmethod
    def read(cls, content: object) -> Request:
        """Read a message.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            It is no request, or one of another version.
        """
        if not isinstance(content, dict):
            raise InvalidTypeError(f"A request is an object with v, view, id, kind and payload; got {content!r:.200}.")
        if content.get("v") != PROTOCOL_VERSION:
            raise InvalidInputError(
                f"The view speaks version {content.get('v')!r} of the protocol, this kernel version "
                f"{PROTOCOL_VERSION}. Reload the page, or run the cell again."
            )
        view, number, kind, payload = (content.get(name) for name in ("view", "id", "kind", "payload"))
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not (isinstance(view, str) and is_whole and isinstance(kind, str) and isinstance(payload, dict)):
            raise InvalidTypeError(
                "A request has a view (text), an id (whole number), a kind (text) and a payload (object); got "
                f"{content!r:.200}."
            )
        assert isinstance(number, int)
        return cls(view, number, kind, payload)

    def ok(self, payload: Payload) -> Payload:
        """The answer that it was done."""
        return self._answer("ok", payload=payload)

    def cancelled(self) -> Payload:
        """The answer that it was given up."""
        return self._answer("cancelled")

    def failed(self, error: BaseException) -> Payload:
        """The answer that it could not be done."""
        return self._answer("error", error=described_error(error))

    def _answer(self, kind: str, **rest: Any) -> Payload:
        return {"v": PROTOCOL_VERSION, "type": kind, "view": self.view, "id": self.id, **rest}


def event(kind: str, payload: Payload, seq: int) -> Payload:
    """What goes to every view without being asked for."""
    return {"v": PROTOCOL_VERSION, "type": "event", "kind": kind, "seq": seq, "payload": payload}


def described_error(error: BaseException) -> Payload:
    """An error for a view: its kind, what it says, and, for one that nobody expected, where it came from."""
    details = "\n".join(getattr(error, "__notes__", []))
    if not isinstance(error, Sam2Error):
        details = "\n".join([details, *traceback.format_exception(error)]).strip()
    return {"kind": type(error).__name__, "message": str(error) or type(error).__name__, "details": details}


def read_whole(payload: Payload, name: str, *, least: int = 0) -> int:
    """Read a whole number from a request.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        It is missing, none, or too small.
    """
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(f"{name} must be a whole number; got {value!r:.100}.")
    if value < least:
        raise InvalidInputError(f"{name} must be {least} or above; got {value}.")
    return value


def read_text(payload: Payload, name: str) -> str:
    """Read text from a request.

    Raises
    ------
    InvalidTypeError
        It is missing or none.
    """
    value = payload.get(name)
    if not isinstance(value, str):
        raise InvalidTypeError(f"{name} must be text; got {value!r:.100}.")
    return value


def read_options(payload: Payload) -> Payload:
    """Read the options of a request, none if it has none.

    Raises
    ------
    InvalidTypeError
        They are no object.
    """
    value = payload.get("options") or {}
    if not isinstance(value, dict):
        raise InvalidTypeError(f"options must be an object of names and values; got {value!r:.100}.")
    return value


def read_points(payload: Payload) -> list[tuple[float, float]]:
    """Read points (x, y) in pixels from a request.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        They are none, or too many.
    """
    value = payload.get("points")
    if not isinstance(value, list):
        raise InvalidTypeError(f"points must be a list of [x, y]; got {value!r:.100}.")
    if len(value) > MAX_POINTS:
        raise InvalidInputError(f"A drawing has {MAX_POINTS} points at most; got {len(value)}. Draw less in one go.")
    try:
        return [(float(x), float(y)) for x, y in value]
    except (TypeError, ValueError):
        raise InvalidTypeError(f"points must be a list of [x, y]; got {value!r:.100}.") from None
