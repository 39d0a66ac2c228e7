"""Mask filters one after another, each with its options, on masks and on labels."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks.manager import Plugins, Registered
from sam2_core.hooks.mask_filter import MaskFilter
from sam2_core.hooks.options import checked_options, parsed_options
from sam2_core.hooks.process import get_plugins

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Pixels around an object that a filter is shown with it, and may add to it.
MARGIN: Final = 32


@dataclass(frozen=True)
class FilterChain:
    """Filters in the order in which they are applied.

    Attributes
    ----------
    steps : tuple of (Registered of MaskFilter, dict)
        Each filter and its options.
    plugins : Plugins, optional
        Where they are from.
    """

    steps: tuple[tuple[Registered[MaskFilter], Mapping[str, Any]], ...] = ()
    plugins: Plugins | None = None

    @classmethod
    def of(cls, filters: Iterable[str | tuple[str, Mapping[str, Any]]], plugins: Plugins | None = None) -> Self:
        """Find filters by name.

        Parameters
        ----------
        filters : iterable of str or (str, mapping)
            A name with options as on the command line, ``"fill-holes:max_area=50"``, or a name and its options.
        plugins : Plugins, optional
            The process's by default.

        Raises
        ------
        PluginError
            There is no such filter.
        InvalidInputError, InvalidTypeError
            An option that it does not have, or of another type.
        """
        known = get_plugins() if plugins is None else plugins
        steps = []
        for one in filters:
            name, given = (one, None) if isinstance(one, str) else one
            text = ""
            if given is None:
                name, _, text = name.partition(":")
            registered = known.find(MaskFilter, name)
            apply = registered.contribution.apply
            options = parsed_options(apply, _pairs(text, name)) if given is None else checked_options(apply, given)
            steps.append((registered, options))
        return cls(tuple(steps), known)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __str__(self) -> str:
        return ", ".join(
            registered.contribution.name + "".join(f":{name}={value}" for name, value in sorted(options.items()))
            for registered, options in self.steps
        )

    def apply(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Filter one mask.

        Parameters
        ----------
        mask : ndarray (y, x) bool
            The whole frame, or a part with the whole object and :data:`MARGIN` pixels around it within the frame. Not
            changed.

        Returns
        -------
        ndarray (y, x) bool
            Perhaps empty; `mask` itself where there is nothing to do.

        Raises
        ------
        PluginError
            A filter failed, or returned something else than a mask of this shape.
        """
        plugins = get_plugins() if self.plugins is None else self.plugins
        found = mask
        for registered, options in self.steps:
            if not found.any():
                return found
            given = found.copy()
            given.flags.writeable = False
            found = plugins.call(
                registered,
                registered.contribution.apply,
                given,
                check=functools.partial(_require_mask, shape=found.shape),
                **options,
            )
        return found

    def apply_to_labels(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Filter every object of a label image.

        Pixels that a filter adds to an object become its own only where there is no other; those it takes away become
        background.

        Parameters
        ----------
        labels : ndarray (y, x) of integers
            0 is background. Not changed.

        Returns
        -------
        ndarray (y, x)
            Of the same dtype; `labels` itself where there are no filters.
        """
        if not self.steps:
            return labels
        from scipy.ndimage import find_objects

        filtered = labels.copy()
        for number, box in _boxes(labels, find_objects):
            window = widened(box, labels.shape)
            mask = labels[window] == number
            found = self.apply(mask)
            part = filtered[window]
            part[mask & ~found] = 0
            part[found & ~mask & (labels[window] == 0) & (part == 0)] = number
        return filtered


def widened(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """A window with :data:`MARGIN` pixels around it, cut to the frame."""
    return tuple(
        slice(max(0, side.start - MARGIN), min(size, side.stop + MARGIN)) for side, size in zip(box, shape, strict=True)
    )


def _boxes(labels: npt.NDArray[Any], find_objects: Any) -> Iterable[tuple[int, tuple[slice, ...]]]:
    """Each number of a label image and the box around its pixels; numbers may be large and far between."""
    import numpy as np

    numbers, places = np.unique(labels, return_inverse=True)
    boxes = find_objects(places.reshape(labels.shape) + 1)
    for number, box in zip(numbers.tolist(), boxes, strict=True):
        if number:
            yield number, box


def _require_mask(result: object, shape: tuple[int, ...]) -> None:
    import numpy as np

    if not isinstance(result, np.ndarray) or result.dtype != np.bool_ or result.shape != shape:
        got = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else f"{result!r:.100}"
        raise InvalidTypeError(f"a mask filter must return an array of bool of shape {shape}; got {got}")


def _pairs(text: str, name: str) -> dict[str, str]:
    pairs = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidInputError(
                f"Cannot understand {part!r} of the filter {name}: expected OPTION=VALUE, as in {name}:{part}=3."
            )
        pairs[key.strip()] = value.strip()
    return pairs
