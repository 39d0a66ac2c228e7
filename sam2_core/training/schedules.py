"""Values that change over a training: learning rates, weight decay. Each maps the share that is done, in [0, 1].

Names and formulas are those of fvcore's parameter schedulers, which official configurations use.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sam2_core.errors import ConfigError

Schedule: TypeAlias = Callable[[float], float]

# Rounding of the share must not keep a step from its own range.
_EPSILON = 1e-6


class ConstantParamScheduler:
    """Always ``value``."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.value


class CosineParamScheduler:
    """From ``start_value`` to ``end_value`` along half a cosine (Loshchilov & Hutter 2016, arXiv:1608.03983)."""

    def __init__(self, start_value: float, end_value: float) -> None:
        self.start_value, self.end_value = start_value, end_value

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.end_value + 0.5 * (self.start_value - self.end_value) * (1 + math.cos(math.pi * where))


class LinearParamScheduler:
    """From ``start_value`` to ``end_value`` in a straight line."""

    def __init__(self, start_value: float, end_value: float) -> None:
        self.start_value, self.end_value = start_value, end_value

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.end_value * where + self.start_value * (1 - where)


class ExponentialParamScheduler:
    """``start_value * decay ** where``."""

    def __init__(self, start_value: float, decay: float) -> None:
        self.start_value, self.decay = start_value, decay

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.start_value * self.decay**where


class PolynomialDecayParamScheduler:
    """``base_value * (1 - where) ** power``."""

    def __init__(self, base_value: float, power: float) -> None:
        self.base_value, self.power = base_value, power

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.base_value * (1 - where) ** self.power


class StepParamScheduler:
    """Each of ``values`` for an equal part; ``num_updates`` is accepted for official configurations."""

    def __init__(self, num_updates: float, values: Sequence[float]) -> None:
        if num_updates <= 0 or not values:
            raise ConfigError("a step schedule needs num_updates above 0 and at least one value")
        self.values = list(values)

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.values[min(int((where + _EPSILON) * len(self.values)), len(self.values) - 1)]


class StepWithFixedGammaParamScheduler(StepParamScheduler):
    """``base_value``, multiplied with ``gamma`` ``num_decays`` times at equal distances."""

    def __init__(self, base_value: float, num_decays: int, gamma: float, num_updates: int) -> None:
        if min(base_value, gamma, num_decays, num_updates) <= 0:
            raise ConfigError("base_value, num_decays, gamma and num_updates have to be above 0")
        values = [base_value]
        for _ in range(num_decays):
            values.append(values[-1] * gamma)
        super().__init__(num_updates, values)


class MultiStepParamScheduler:
    """Each of ``values`` up to one of ``milestones``, counted in updates of ``num_updates`` in all."""

    def __init__(
        self, values: Sequence[float], num_updates: int | None = None, milestones: Sequence[int] | None = None
    ) -> None:
        if milestones is None:
            if num_updates is None:
                raise ConfigError("a multi-step schedule needs num_updates or milestones")
            width = math.ceil(num_updates / len(values))
            milestones = [width * (index + 1) for index in range(len(values) - 1)]
        elif num_updates is None:
            num_updates, milestones = milestones[-1], milestones[:-1]
        limits = [0, *milestones, num_updates]
        if len(milestones) != len(values) - 1 or any(a >= b for a, b in itertools.pairwise(limits)):
            raise ConfigError(f"{len(values)} values need one rising milestone less below {num_updates}: {milestones}")
        self.values, self.milestones, self.num_updates = list(values), list(milestones), num_updates

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.values[bisect.bisect_right(self.milestones, int((where + _EPSILON) * self.num_updates))]


class CompositeParamScheduler:
    """Schedules one after another.

    Parameters
    ----------
    schedulers : sequence of callable
    lengths : sequence of float
        Share of the training of each; 1 in all.
    interval_scaling : sequence of {"rescaled", "fixed"}
        Whether a schedule runs through all of itself in its part, or only through the part that lies there.
    """

    def __init__(
        self, schedulers: Sequence[Schedule], lengths: Sequence[float], interval_scaling: Sequence[str]
    ) -> None:
        if not schedulers or len(schedulers) != len(lengths) or abs(sum(lengths) - 1) >= 1e-3:
            raise ConfigError(f"each of {len(schedulers)} schedules needs a length, 1 in all; got {list(lengths)}")
        if set(interval_scaling) - {"rescaled", "fixed"} or len(interval_scaling) != len(schedulers):
            raise ConfigError(f'interval_scaling is "rescaled" or "fixed" for each; got {list(interval_scaling)}')
        self.schedulers, self.interval_scaling = list(schedulers), list(interval_scaling)
        self.lengths = [*lengths[:-1], 1 - sum(lengths[:-1])]

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        index, end = 0, self.lengths[0]
        while where + _EPSILON > end and index < len(self.schedulers) - 1:
            index += 1
            end += self.lengths[index]
        if self.interval_scaling[index] == "rescaled":
            where = (where - (end - self.lengths[index])) / self.lengths[index]
        return self.schedulers[index](where)


class ValueScaler:
    """A schedule times ``mult_val``."""

    def __init__(self, scheduler: Schedule, mult_val: float) -> None:
        self.scheduler, self.mult_val = scheduler, mult_val

    def __call__(self, where: float) -> float:
        """Return the value at a moment of the training."""
        return self.scheduler(where) * self.mult_val
