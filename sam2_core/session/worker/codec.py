"""Messages as bytes: JSON for all that is small, and the bytes in them behind it as they are.

A message is the length of the JSON (4 bytes, little endian), the JSON, and the binary parts one behind the other. The
JSON is ``{"message": …, "parts": [length, …]}``, in which a message is ``{"@": class, field: …}``, a binary part is
``{"#": its number}``, a dictionary of options ``{"%": {…}}``, and a list stands for a tuple. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any, BinaryIO, Final

import numpy as np

from sam2_core.errors import InvalidTypeError, WorkerError
from sam2_core.session.worker import messages

_LENGTH = struct.Struct("<I")
_SIZE = struct.Struct("<Q")
_CLASSES: Final = {
    name: kind for name, kind in vars(messages).items() if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def encode(message: object) -> bytes:
    """Write a message.

    Raises
    ------
    InvalidTypeError
        An option is neither a number, text, None, nor a list or dictionary of such.
    """
    parts: list[bytes] = []
    document = _packed(message, parts)
    header = json.dumps({"message": document, "parts": [len(part) for part in parts]}).encode()
    return b"".join([_LENGTH.pack(len(header)), header, *parts])


def decode(data: bytes) -> Any:
    """Read a message.

    Raises
    ------
    WorkerError
        It is none.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        header = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        parts, place = [], _LENGTH.size + length
        for size in header["parts"]:
            parts.append(data[place : place + size])
            place += size
        return _unpacked(header["message"], parts)
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        raise WorkerError(f"What came is no message of this protocol ({error!r}).") from error


def framed(message: object) -> bytes:
    """A message behind its size (8 bytes, little endian); raises as :func:`encode`."""
    data = encode(message)
    return _SIZE.pack(len(data)) + data


def write_message(stream: BinaryIO, message: object) -> None:
    """Write a message as :func:`framed` makes it."""
    stream.write(framed(message))
    stream.flush()


def read_message(stream: BinaryIO) -> Any:
    """Read a message; None at the end of the stream.

    Raises
    ------
    WorkerError
        What comes is no message.
    """
    head = stream.read(_SIZE.size)
    if len(head) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(head)
    data = stream.read(size)
    return None if len(data) < size else decode(data)


def _packed(value: Any, parts: list[bytes]) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _packed(getattr(value, field.name), parts) for field in dataclasses.fields(value)}
        return {"@": type(value).__name__, **fields}
    if isinstance(value, bytes):
        parts.append(value)
        return {"#": len(parts) - 1}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, dict):
        return {"%": {str(name): _packed(one, parts) for name, one in value.items()}}
    if isinstance(value, Sequence):
        return [_packed(one, parts) for one in value]
    raise InvalidTypeError(
        f"An option for a worker in another process is a number, text, None, or a list or dictionary of such; got "
        f"{value!r:.100}."
    )


def _unpacked(value: Any, parts: list[bytes]) -> Any:
    if isinstance(value, list):
        return tuple(_unpacked(one, parts) for one in value)
    if not isinstance(value, dict):
        return value
    if "#" in value:
        return parts[value["#"]]
    if "%" in value:
        return {name: _unpacked(one, parts) for name, one in value["%"].items()}
    kind = _CLASSES[value["@"]]
    return kind(**{name: _unpacked(one, parts) for name, one in value.items() if name != "@"})
