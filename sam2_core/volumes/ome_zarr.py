"""What OME-Zarr (NGFF 0.1 to 0.5) says of an image: its levels, axes, physical scale and channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sam2_core.errors import InvalidInputError

_AXIS_WORDS = {"time": "t", "channel": "c", "channels": "c", "ch": "c", "depth": "z"}


@dataclass(frozen=True)
class OmeImage:
    """One multiscale image.

    Parameters
    ----------
    paths : tuple of str
        Array of each resolution level, finest first.
    axes : str or None
        Letters in the arrays' order; ``None`` where the version of the format did not name them.
    scales : tuple of tuple of float
        For each level, the physical size of a step along each dimension; empty where it is not given.
    units : dict of str to str
    channel_names : tuple of str
    """

    paths: tuple[str, ...]
    axes: str | None
    scales: tuple[tuple[float, ...], ...]
    units: dict[str, str]
    channel_names: tuple[str, ...]

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], name: str) -> OmeImage | None:
        """Read a group's attributes; None where they describe no image.

        Raises
        ------
        InvalidInputError
            Metadata that say they are OME-Zarr and are not.
        """
        ome = attributes.get("ome", attributes)  # 0.5 keeps everything under "ome"
        if not isinstance(ome, Mapping) or "multiscales" not in ome:
            return None
        try:
            multiscale = ome["multiscales"][0]
            axes, units = _axes(multiscale.get("axes"), name)
            datasets = multiscale["datasets"]
            paths = tuple(str(dataset["path"]) for dataset in datasets)
            common = _scale(multiscale)
            scales = tuple(_product(_scale(dataset), common) for dataset in datasets)
            channels = (ome.get("omero") or attributes.get("omero") or {}).get("channels") or ()
            names = tuple(str(one.get("label") or number) for number, one in enumerate(channels))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"The OME-Zarr metadata of {name} cannot be understood ({type(error).__name__}: {error}). Expected "
                '"multiscales" with "axes" and "datasets"; open one of its arrays instead.'
            ) from error
        if not paths:
            raise InvalidInputError(f"The OME-Zarr metadata of {name} list no resolution level.")
        return cls(paths, axes, scales, units, names)


def axis_letter(name: object) -> str:
    """Letter of an axis by its name: "time" and "T" are t."""
    word = str(name).casefold()
    return _AXIS_WORDS.get(word, word)


def _axes(axes: Sequence[Any] | None, name: str) -> tuple[str | None, dict[str, str]]:
    if axes is None:
        return None, {}
    letters, units = [], {}
    for axis in axes:
        # 0.3 gave names alone
        described = axis if isinstance(axis, Mapping) else {"name": axis}
        letter = "c" if described.get("type") == "channel" else axis_letter(described["name"])
        letter = "t" if described.get("type") == "time" else letter
        if letter not in tuple("tczyx"):
            raise InvalidInputError(
                f"{name} has an axis {described['name']!r}, which is none of t, c, z, y, x. Name its axes with axes=."
            )
        letters.append(letter)
        if described.get("unit"):
            units[letter] = str(described["unit"])
    return "".join(letters), units


def _scale(described: Mapping[str, Any]) -> tuple[float, ...]:
    for transformation in described.get("coordinateTransformations") or ():
        if transformation.get("type") == "scale" and "scale" in transformation:
            return tuple(float(step) for step in transformation["scale"])
    return ()


def _product(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    if not first or not second:
        return first or second
    return tuple(one * other for one, other in zip(first, second, strict=True))
