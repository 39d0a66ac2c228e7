"""Which propagator ``--propagator`` and ``--option`` ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sam2_core.cli.track_plan import Direction
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import Propagator, get_plugins, options_of, parsed_options


@dataclass(frozen=True)
class PropagatorOption:
    """A propagator that was asked for.

    Attributes
    ----------
    name : str
    options : dict
        As it takes them.
    has_direction : bool
        Whether it goes forward and backward as it is told; one that does not goes over the stack as it likes.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    has_direction: bool = True

    @classmethod
    def parsed(
        cls, name: str | None, texts: Sequence[str], direction: Direction
    ) -> tuple[PropagatorOption | None, Direction]:
        """Look a propagator up and read its options.

        Parameters
        ----------
        name : str, optional
        texts : sequence of str
            ``key=value`` each.
        direction : Direction
            What ``--direction`` says.

        Returns
        -------
        PropagatorOption or None
            None for plain tracking.
        Direction
            That of the propagators that are nothing but a direction.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Options without a propagator, or one that it does not have or cannot read.
        PluginError
            There is no propagator of that name.
        """
        given = {}
        for text in texts:
            key, separator, value = text.partition("=")
            if not separator or not key.strip():
                raise InvalidInputError(f"--option is KEY=VALUE, such as reach=30; got {text!r}.")
            given[key.strip().replace("-", "_")] = value.strip()
        if name is None:
            if given:
                raise InvalidInputError("--option is for a propagator; name one with --propagator.")
            return None, direction
        function = get_plugins().find(Propagator, name).contribution.propagate
        names = {option.name for option in options_of(function)}
        if "direction" in given:
            raise InvalidInputError("Say which way with --direction, not with --option.")
        options = parsed_options(function, given)
        if name in list(Direction):
            if direction not in (Direction.BOTH, name):
                raise InvalidInputError(f"--propagator {name} and --direction {direction.value} say different things.")
            return None, Direction(name)
        if "direction" not in names and direction is not Direction.BOTH:
            raise InvalidInputError(f"The propagator {name} has no direction; leave --direction out.")
        return cls(name, options, "direction" in names), direction

    def as_dict(self) -> dict[str, str]:
        """What is the same when a run is continued."""
        return {"propagator": self.name, **{key: repr(value) for key, value in sorted(self.options.items())}}
