"""Names of physical units, one spelling each."""

from __future__ import annotations

_SPELLINGS = {
    "nanometer": ("nm", "nanometre", "nanometers"),
    "micrometer": ("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometre", "micrometers"),
    "millimeter": ("mm", "millimetre", "millimeters"),
    "centimeter": ("cm", "centimetre", "centimeters"),
    "meter": ("m", "metre", "meters"),
    "inch": ("in", "inches", '"'),
    "angstrom": ("å", "a"),
    "nanosecond": ("ns",),
    "microsecond": ("us", "µs", "μs"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec", "seconds"),
    "minute": ("min", "minutes"),
    "hour": ("h", "hr", "hours"),
    "day": ("d", "days"),
}
# as the OME schema spells them; what it has no word for cannot be said in OME-XML
_SYMBOLS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "inch": "in",
    "angstrom": "Å",
    "nanosecond": "ns",
    "microsecond": "µs",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
}
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in (name, *spellings)}


def unit_name(text: object) -> str | None:
    """Name of a unit as OME-NGFF spells it ("micrometer", "second"), from any common spelling.

    Unknown units are kept as they are; pixels and nothing at all are no unit: None.
    """
    word = str(text).strip() if text is not None else ""
    if not word or word.casefold() in ("pixel", "pixels", "px", "none", "frame", "frames"):
        return None
    return _NAMES.get(word.casefold(), word)


def ome_symbol(unit: str | None) -> str:
    """Unit as the schema of OME-XML has it ("µm"), from its name; "pixel" for none, and for those it does not know."""
    return _SYMBOLS.get(unit or "", "pixel")
