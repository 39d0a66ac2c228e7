"""What OME-Zarr (NGFF 0.1 to 0.5) says of an image: its levels, axes, physical scale and channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sam2_core.errors import InvalidInputError

_AXES = tuple("tczyx")
_AXIS_WORDS = {"time": "t", "channel": "c", "channels": "c", "ch": "c", "depth": "z"}


@dataclass(frozen=True)
class OmeImage:
    """One multiscale image.

    Parameters
    ----------
    paths : tuple of str
        Array of each resolution level, finest first.
    axes : str or None
        Letters in the arrays' order; ``None`` where the version of the format did not name them, or named others.
    scales : tuple of tuple of float
        For each level, the physical size of a step along each dimension; empty where it is not given.
    units : dict of str to str
    channel_names : tuple of str
    foreign_axes : tuple of str
        Names of axes that are none of t, c, z, y, x.
    """

    paths: tuple[str, ...]
    axes: str | None
    scales: tuple[tuple[float, ...], ...]
    units: dict[str, str]
    channel_names: tuple[str, ...]
    foreign_axes: tuple[str, ...] = ()

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
            axes, foreign, units = _axes(multiscale.get("axes"))
            datasets = multiscale["datasets"]
            paths = tuple(str(dataset["path"]) for dataset in datasets)
            scales = tuple(combined_scale(dataset, multiscale) for dataset in datasets)
            channels = (ome.get("omero") or attributes.get("omero") or {}).get("channels") or ()
            names = tuple(str(one.get("label") or number) for number, one in enumerate(channels))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"The OME-Zarr metadata of {name} cannot be understood ({type(error).__name__}: {error}). Expected "
                '"multiscales" with "axes" and "datasets"; open one of its arrays instead.'
            ) from error
        if not paths:
            raise InvalidInputError(f"The OME-Zarr metadata of {name} list no resolution level.")
        return cls(paths, axes, scales, units, names, foreign)


def axis_letter(name: object) -> str:
    """Letter of an axis by its name: "time" and "T" are t."""
    word = str(name).casefold()
    return _AXIS_WORDS.get(word, word)


def described_axis(axis: Any) -> Mapping[str, Any]:
    """What metadata say of an axis; versions up to 0.3 gave names alone."""
    return axis if isinstance(axis, Mapping) else {"name": axis}


def described_letter(axis: Mapping[str, Any]) -> str:
    """Letter of an axis by its type where that says it, else by its name; the name where it is none of ours."""
    known = {"channel": "c", "time": "t"}.get(str(axis.get("type")))
    return known or axis_letter(axis["name"])


def combined_scale(dataset: Mapping[str, Any], multiscale: Mapping[str, Any]) -> tuple[float, ...]:
    """Size of a step along each dimension of a level: its own scale times that of all levels; empty where unknown."""
    own, common = _scale(dataset), _scale(multiscale)
    if not own or not common:
        return own or common
    return tuple(one * other for one, other in zip(own, common, strict=True))


def _axes(axes: Sequence[Any] | None) -> tuple[str | None, tuple[str, ...], dict[str, str]]:
    """Letters, names of the axes that have none, and units."""
    if axes is None:
        return None, (), {}
    described = [described_axis(axis) for axis in axes]
    letters = [described_letter(axis) for axis in described]
    foreign = tuple(str(axis["name"]) for axis, letter in zip(described, letters, strict=True) if letter not in _AXES)
    units = {
        letter: str(axis["unit"])
        for axis, letter in zip(described, letters, strict=True)
        if axis.get("unit") and letter in _AXES
    }
    return None if foreign else "".join(letters), foreign, units


def _scale(described: Mapping[str, Any]) -> tuple[float, ...]:
    for transformation in described.get("coordinateTransformations") or ():
        if transformation.get("type") == "scale" and "scale" in transformation:
            return tuple(float(step) for step in transformation["scale"])
    return ()
