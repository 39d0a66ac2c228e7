"""Small ND2 files (version 3): named chunks, and at the end a map that says where each of them begins."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC = 0x0ABECEDA
# Bytes kept for a chunk's name, so that pixels begin at a multiple of 4096 after 8 bytes of time.
_NAME_OF_PIXELS = 4072
_TIME_LOOP, _POSITION_LOOP, _STACK_LOOP = 1, 2, 4
_BOOL, _UINT32, _DOUBLE, _STRING, _LEVEL = 1, 3, 6, 8, 11
_UNCOMPRESSED = 2


def write_nd2(
    path: Path,
    pixels: np.ndarray,
    *,
    channels: tuple[str, ...],
    steps: dict[str, float] | None = None,
    positions: tuple[str, ...] = (),
) -> None:
    """Write (t, position, c, z, y, x) pixels, or (t, position, 1, z, y, x, 3) as blue, green, red.

    ``steps`` are seconds for t, micrometres for z and for "yx" at once. Without "yx" the file says that it is not
    calibrated.
    """
    steps = steps or {}
    t, places, _, z, y, x = pixels.shape[:6]
    # a frame holds all channels of a pixel together; its number counts t slowest and z fastest
    frames = np.moveaxis(pixels, 2, 5).reshape(t * places * z, y, x, -1)
    attributes = {
        "uiWidth": x,
        "uiWidthBytes": frames[0, 0].nbytes,
        "uiHeight": y,
        "uiComp": frames.shape[3],
        "uiBpcInMemory": 8 * pixels.itemsize,
        "uiBpcSignificant": 8 * pixels.itemsize,
        "uiSequenceCount": len(frames),
        "eCompression": _UNCOMPRESSED,
    }
    components = frames.shape[3] // len(channels)
    planes = {
        f"a{number}": {
            "uiCompCount": components,
            "uiSampleIndex": number,
            "sDescription": name,
            "pFluorescentProbe": {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}},
        }
        for number, name in enumerate(channels)
    }
    picture = {
        "bCalibrated": "yx" in steps,
        "dCalibration": float(steps.get("yx", 0)),
        "sPicturePlanes": {"uiCount": len(channels), "sPlaneNew": planes},
    }
    chunks = {
        "ImageAttributesLV!": _packed({"SLxImageAttributes": attributes}),
        "ImageMetadataSeqLV|0!": _packed({"SLxPictureMetadata": picture}),
        "CustomData|AcqTimesCache!": np.arange(len(frames), dtype="<f8").tobytes(),
    }
    if loop := _loops(t, positions, z, steps):
        chunks["ImageMetadataLV!"] = _packed({"SLxExperiment": loop})
    for number, frame in enumerate(frames):
        chunks[f"ImageDataSeq|{number}!"] = struct.pack("<d", number) + frame.tobytes()
    path.write_bytes(_file(chunks))


def _loops(t: int, positions: tuple[str, ...], z: int, steps: dict[str, float]) -> dict[str, Any]:
    """Describe what the frames run over, the outermost first, each within the one before."""
    period = 1000.0 * steps.get("t", 0)
    points = [{"dPosX": 100.0 * number, "dPosY": 0.0, "dPosName": name} for number, name in enumerate(positions)]
    times = {"uiCount": t, "dStart": 0.0, "dPeriod": period, "dDuration": period * t}
    depths = {"uiCount": z, "dZLow": 0.0, "dZHigh": steps.get("z", 0.0) * (z - 1), "dZStep": float(steps.get("z", 0))}
    given = [
        (_TIME_LOOP, times, t > 1),
        (_POSITION_LOOP, {"Points": points}, bool(points)),
        (_STACK_LOOP, depths, z > 1),
    ]
    loop: dict[str, Any] = {}
    for kind, parameters, is_there in reversed(given):
        if is_there:
            loop = {"eType": kind, "uLoopPars": parameters, **({"ppNextLevelEx": [loop]} if loop else {})}
    return loop


def _packed(fields: dict[str, Any] | list[Any]) -> bytes:
    """Pack fields in Nikon's binary form: type, name, value; a list's items have empty names."""
    named = fields.items() if isinstance(fields, dict) else (("", item) for item in fields)
    return b"".join(_field(name, value) for name, value in named)


def _field(name: str, value: Any) -> bytes:
    label = f"{name}\0".encode("utf-16-le")

    def head(kind: int) -> bytes:
        return struct.pack("<BB", kind, len(label) // 2) + label

    if isinstance(value, bool):
        return head(_BOOL) + struct.pack("<B", value)
    if isinstance(value, int):
        return head(_UINT32) + struct.pack("<I", value)
    if isinstance(value, float):
        return head(_DOUBLE) + struct.pack("<d", value)
    if isinstance(value, str):
        return head(_STRING) + f"{value}\0".encode("utf-16-le")
    inside = _packed(value)
    begin = head(_LEVEL)
    # the length counts from the field's own first byte; 8 bytes for each item follow, an index that readers pass over
    return begin + struct.pack("<IQ", len(value), len(begin) + 12 + len(inside)) + inside + bytes(8 * len(value))


def _chunk(name: bytes, data: bytes, reserved: int) -> bytes:
    return struct.pack("<IIQ", _MAGIC, reserved, len(data)) + name.ljust(reserved, b"\0") + data


def _file(chunks: dict[str, bytes]) -> bytes:
    content = _chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32)
    places = b""
    for name, data in chunks.items():
        places += name.encode() + struct.pack("<QQ", len(content), len(data))
        content += _chunk(name.encode(), data, _NAME_OF_PIXELS)
    ending = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(content))
    return content + _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", places + ending, 32)
