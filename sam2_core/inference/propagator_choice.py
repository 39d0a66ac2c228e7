"""Which propagator carries objects through a stack, with which options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import FrameDone, Propagator, Registered, Tracking, TrackingDirection, get_plugins
from sam2_core.hooks.options import checked_options
from sam2_core.inference.propagation import Direction
from sam2_core.inference.video_tracker import Cancelled

#: The masks of a frame.
Masks = TypeVar("Masks", covariant=True)


class TrackedFrames(Protocol[Masks]):
    """A :class:`~sam2_core.hooks.Tracking` whose masks those get who asked for it."""

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""

    def results(self, done: FrameDone) -> Masks | None:
        """Return the masks of a frame that is done; None where the caller has them already."""


def sweeps(tracking: Tracking, *, direction: TrackingDirection = "forward") -> Iterator[FrameDone]:
    """Track as the model was made to, in one direction or both: what happens where no propagator is named."""
    for frames in tracking.passes(direction):
        yield from tracking.sweep(frames)


@dataclass(frozen=True)
class PropagatorChoice:
    """A propagator and its options.

    Attributes
    ----------
    function : callable
    options : dict
        Checked.
    name : str or None
        None for plain sweeps.
    registered : Registered, optional
        Whose it is.
    """

    function: Callable[..., Iterator[FrameDone]]
    options: dict[str, Any]
    name: str | None = None
    registered: Registered[Propagator] | None = None

    @classmethod
    def of(
        cls,
        propagator: str | Propagator | None,
        direction: Direction | None,
        reverse: bool,
        options: Mapping[str, Any],
    ) -> PropagatorChoice:
        """Look a propagator up and check its options.

        Parameters
        ----------
        propagator : str, Propagator or None
            A name, or one that is not registered; None for plain sweeps.
        direction : {"forward", "backward", "both"}, optional
        reverse : bool
            Short for "backward".
        options : mapping of str to Any

        Raises
        ------
        PluginError
            There is none of that name.
        InvalidInputError, InvalidTypeError
            There is no such direction or option, or its value cannot be used.
        """
        chosen = direction or ("backward" if reverse else None)
        if chosen not in (None, "forward", "backward", "both") or (reverse and chosen != "backward"):
            raise InvalidInputError(
                f'direction is "forward", "backward" or "both" (reverse=True means "backward"); got {direction!r}'
                f"{' with reverse=True' if reverse else ''}."
            )
        wanted = dict(options) if chosen is None else {**options, "direction": chosen}
        if propagator is None:
            return cls(sweeps, checked_options(sweeps, wanted))
        if isinstance(propagator, Propagator):
            propagator.check()
            return cls(propagator.propagate, checked_options(propagator.propagate, wanted), propagator.name)
        registered = get_plugins().find(Propagator, propagator)
        function = registered.contribution.propagate
        return cls(function, checked_options(function, wanted), propagator, registered)

    def description(self) -> dict[str, Any]:
        """What is the same when a propagation is resumed."""
        return {"propagator": self.name, "options": {name: repr(value) for name, value in sorted(self.options.items())}}

    def run(self, tracking: TrackedFrames[Masks]) -> Iterator[Masks]:
        """Propagate, and hand out the masks of each frame that is done.

        Raises
        ------
        PluginError
            The propagator failed; says whose it is.
        """
        steps = self.function(tracking, **self.options)
        while True:
            # what the plugin does is the plugin's; what the caller does with a result is not
            with nullcontext() if self.registered is None else get_plugins().attributed(self.registered):
                try:
                    done = next(steps, None)
                except Cancelled:
                    return
                if done is None:
                    return
                if not _is_done(done, tracking.frame_count):
                    # one that is registered is blamed by name
                    kind = InvalidTypeError if self.registered is None else TypeError
                    raise kind(f"A propagator yields FrameDone, of frames of the stack; got {done!r}.")
                masks = tracking.results(done)
            if masks is not None:
                yield masks


def _is_done(what: object, frame_count: int) -> bool:
    """Whether a propagator yielded what it should."""
    return isinstance(what, FrameDone) and what.frame in range(frame_count)
