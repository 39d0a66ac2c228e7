"""The metadata that NGFF 0.4 and 0.5 ask for of a label image, and the arrays that go with them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import zarr

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.ome_zarr import combined_scale, described_axis, described_letter

_INNER, _SHARD, _SMALLEST = 512, 2048, 256


@dataclass(frozen=True)
class Multiscale:
    """What multiscales metadata says: axes and levels."""

    version: str
    axes: tuple[dict[str, Any], ...]
    datasets: tuple[dict[str, Any], ...]
    name: str | None = None
    transforms: tuple[dict[str, Any], ...] = ()

    @property
    def letters(self) -> str:
        """The axes as letters, such as "tczyx", whatever they are called."""
        return axes_letters(self.axes)

    def scale(self, axis: str) -> float:
        """Physical size of a pixel of the largest level along an axis, 1.0 where unknown."""
        number = self.letters.find(axis)
        steps = combined_scale(self.datasets[0], {"coordinateTransformations": self.transforms})
        return steps[number] or 1.0 if steps and number >= 0 else 1.0

    def unit(self, axis: str) -> str | None:
        """Unit along an axis."""
        number = self.letters.find(axis)
        return self.axes[number].get("unit") if number >= 0 else None


def axes_letters(axes: Sequence[Mapping[str, Any]]) -> str:
    """One letter for each axis; "?" for those that are none of t, c, z, y, x."""
    letters = (described_letter(axis) for axis in axes)
    return "".join(letter if letter in tuple("tczyx") else "?" for letter in letters)


def ngff_attributes(group: zarr.Group) -> tuple[str, Mapping[str, Any]]:
    """Return the version of NGFF and the attributes it speaks of: those under "ome" (0.5) or all (0.4)."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome")
    if isinstance(ome, Mapping):
        return "0.5", ome
    return "0.4", attributes


def multiscale(group: zarr.Group, name: str) -> Multiscale | None:
    """Read the first multiscale image of a group; None where it is none.

    Raises
    ------
    InvalidInputError
        Malformed metadata.
    """
    version, attributes = ngff_attributes(group)
    if "multiscales" not in attributes:
        return None
    try:
        first = attributes["multiscales"][0]
        axes = tuple(dict(described_axis(axis)) for axis in first.get("axes") or "tczyx")
        transforms = tuple(dict(transform) for transform in first.get("coordinateTransformations") or ())
        levels = tuple(dict(level) for level in first["datasets"])
        found = Multiscale(version, axes, levels, first.get("name"), transforms)
        complete = (
            found.datasets and all("path" in level for level in found.datasets) and {"y", "x"} <= set(found.letters)
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"The multiscales metadata of {name} is malformed ({error}).") from error
    if not complete:
        raise InvalidInputError(f"The multiscales metadata of {name} lacks axes y and x or the levels' paths.")
    return found


@dataclass(frozen=True)
class LevelPlan:
    """One level to be written."""

    path: str
    shape: tuple[int, ...]
    transforms: list[dict[str, Any]]


@dataclass(frozen=True)
class LabelPlan:
    """What a label image will look like in its store.

    Parameters
    ----------
    version : str
        "0.4" (zarr 2) or "0.5" (zarr 3).
    axes : tuple of dict
    levels : tuple of LevelPlan
    frame_axis : str
        Axis letter, "" for a single plane, "tz" for z-stacks over time.
    fixed : dict
        Positions on the other axes.
    in_image : bool
        Whether the store holds the image.
    transforms : list of dict
        Of all levels, besides their own.
    """

    version: str
    axes: tuple[dict[str, Any], ...]
    levels: tuple[LevelPlan, ...]
    frame_axis: str
    fixed: dict[str, int]
    in_image: bool
    transforms: list[dict[str, Any]] = field(default_factory=list)

    @property
    def letters(self) -> str:
        """The axes as letters."""
        return axes_letters(self.axes)

    @property
    def position(self) -> str:
        """The fixed positions as text: the key of this stack among others in the same label image."""
        return position_key(self.fixed)

    def create_level(self, group: zarr.Group, level: LevelPlan, dtype: Any) -> None:
        """Create the array of one level: no two frames share a shard (0.5) or a chunk (0.4)."""
        sides = {"y": level.shape[-2], "x": level.shape[-1]}
        chunks = tuple(min(_INNER, sides[axis]) if axis in "yx" else 1 for axis in self.letters)
        if self.version == "0.4":
            whole = tuple(min(2 * _INNER, sides[axis]) if axis in "yx" else 1 for axis in self.letters)
            group.create_array(
                level.path,
                shape=level.shape,
                dtype=dtype,
                chunks=whole,
                fill_value=0,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
            return
        shards = tuple(
            chunk * -(-min(_SHARD, sides[axis]) // chunk) if axis in "yx" else 1
            for axis, chunk in zip(self.letters, chunks, strict=True)
        )
        group.create_array(
            level.path,
            shape=level.shape,
            dtype=dtype,
            chunks=chunks,
            shards=shards,
            fill_value=0,
            dimension_names=tuple(str(axis["name"]) for axis in self.axes),
        )

    def attributes(self, name: str, image_label: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes of the label group."""
        scale: dict[str, Any] = {
            "name": name,
            "axes": list(self.axes),
            "datasets": [{"path": level.path, "coordinateTransformations": level.transforms} for level in self.levels],
            "type": "mode",
        }
        if self.transforms:
            scale["coordinateTransformations"] = self.transforms
        if self.version == "0.4":
            return {
                "multiscales": [{"version": "0.4", **scale}],
                "image-label": {"version": "0.4", **image_label},
            }
        return {
            "ome": {"version": "0.5", "multiscales": [scale], "image-label": {"version": "0.5", **image_label}},
        }


def position_key(fixed: Mapping[str, int]) -> str:
    """Write positions on axes as text: what a stack is called among others in one label image."""
    return ",".join(f"{axis}={number}" for axis, number in sorted(fixed.items()))


def plan_alone(layout: LabelLayout) -> LabelPlan:
    """Plan a label image with no image: (z or t, y, x), or (t, z, y, x), halved along y and x until small."""
    frame_axis = "tz" if layout.grid is not None else "t" if layout.axis == "t" else "z"
    outer = (layout.length,) if layout.grid is None else layout.grid.sizes
    steps = layout.spacing[:1] if layout.grid is None else layout.grid.steps
    axes: list[dict[str, Any]] = [
        {"name": letter, "type": "time" if letter == "t" else "space"} for letter in f"{frame_axis}yx"
    ]
    for axis in axes:
        if layout.unit and axis["type"] == "space":
            axis["unit"] = layout.unit
    height, width = layout.frame_size
    levels: list[LevelPlan] = []
    while not levels or max(levels[-1].shape[-2:]) > _SMALLEST:
        shape = (*outer, -(-height // 2 ** len(levels)), -(-width // 2 ** len(levels)))
        _, y_step, x_step = layout.spacing
        scale = [*steps, y_step * height / shape[-2], x_step * width / shape[-1]]
        levels.append(LevelPlan(str(len(levels)), shape, [{"type": "scale", "scale": scale}]))
    return LabelPlan("0.5", tuple(axes), tuple(levels), frame_axis, {}, in_image=False)


def plan_in_image(
    image: zarr.Group, scales: Multiscale, layout: LabelLayout, at: Mapping[str, int], name: str
) -> LabelPlan:
    """Plan a label image for the image of its store: the image's axes but the channel, and its levels.

    Raises
    ------
    InvalidInputError
        The frames do not fit the image, or a position on another long axis is missing.
    """
    kept = [number for number, letter in enumerate(scales.letters) if letter != "c"]
    axes = tuple(scales.axes[number] for number in kept)
    letters = axes_letters(axes)
    if not letters.endswith("yx"):
        raise InvalidInputError(f"{name}: the image has axes {scales.letters}; labels need y and x as its last ones.")
    levels: list[LevelPlan] = []
    for level in scales.datasets:
        array = image.get(str(level["path"]))
        if not isinstance(array, zarr.Array) or array.ndim != len(scales.axes):
            raise InvalidInputError(f"{name}: the image lacks its level {level['path']}, or its axes do not fit.")
        transforms = _kept_transforms(level.get("coordinateTransformations") or (), kept) or [
            {"type": "scale", "scale": [1.0] * len(kept)}
        ]
        levels.append(LevelPlan(str(len(levels)), tuple(array.shape[number] for number in kept), transforms))
    sizes = dict(zip(letters, levels[0].shape, strict=True))
    outer = [letter for letter in letters if letter not in "yx"]
    unknown = set(at) - set(outer)
    if unknown:
        raise InvalidInputError(f"{name}: the image has axes {scales.letters}; there is no axis {min(unknown)!r}.")
    frame_axis = layout.axis if all(letter in outer and letter not in at for letter in layout.axis) else ""
    if not frame_axis and layout.grid is None:
        free = [letter for letter in outer if letter not in at and (sizes[letter] > 1 or layout.length > 1)]
        frame_axis = free[0] if len(free) == 1 else ""
    fixed = {letter: int(at.get(letter, 0)) for letter in outer if letter not in frame_axis}
    undecided = [letter for letter in fixed if letter not in at and sizes[letter] > 1]
    if undecided:
        raise InvalidInputError(
            f"{name}: the image is also long along {undecided[0]} ({sizes[undecided[0]]}). Say where these frames "
            f'belong, such as at={{"{undecided[0]}": 0}}.'
        )
    for letter, position in fixed.items():
        if not 0 <= position < sizes[letter]:
            raise InvalidInputError(
                f"{name}: axis {letter} of the image has positions 0 to {sizes[letter] - 1}; got {position}."
            )
    outer_sizes = tuple(sizes[letter] for letter in frame_axis) or (1,)
    expected = (*outer_sizes, sizes["y"], sizes["x"])
    given = (*((layout.length,) if layout.grid is None else layout.grid.sizes), *layout.frame_size)
    if expected != given:
        raise InvalidInputError(
            f"{name}: the image has (frames, height, width) {expected}, the labels "
            f"{given}. Labels in an image's own store must match it; write them to a "
            "store of their own."
        )
    common = _kept_transforms(scales.transforms, kept)
    return LabelPlan(scales.version, axes, tuple(levels), frame_axis, fixed, in_image=True, transforms=common)


def _kept_transforms(transforms: Sequence[Mapping[str, Any]], kept: Sequence[int]) -> list[dict[str, Any]]:
    """Scales and translations of the image along the axes that its labels have too."""
    return [
        {"type": kind, kind: [transform[kind][number] for number in kept]}
        for transform in transforms
        for kind in ("scale", "translation")
        if transform.get("type") == kind and kind in transform
    ]


@contextlib.contextmanager
def quiet_zarr() -> Iterator[None]:
    """Without zarr's warning that consolidated metadata is not yet in the zarr 3 specification."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
