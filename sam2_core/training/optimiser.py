"""An optimiser whose options follow schedules, chosen for each parameter by name patterns and module classes."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from sam2_core.errors import ConfigError
from sam2_core.training.schedules import Schedule, ValueScaler
from sam2_core.training.sharding import is_sharded


@dataclass(frozen=True)
class OptionRule:
    """How one option (lr, weight_decay, …) runs for some parameters.

    Attributes
    ----------
    option : str
    scheduler : callable, optional
        None leaves the optimiser's own value.
    parameter_names : frozenset of str
    """

    option: str
    scheduler: Schedule | None
    parameter_names: frozenset[str] = field(default_factory=frozenset)


#: Changes the rules of each option, given the model.
RuleModifier = Callable[[list[list[OptionRule]], nn.Module], list[list[OptionRule]]]


class ScheduledOptimiser:
    """A torch optimiser and the schedules of its parameter groups.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    schedules : sequence of mapping of str to callable
        For each group, option to schedule.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedules: Sequence[Mapping[str, Schedule]]) -> None:
        self.optimizer = optimizer
        self.schedules = [dict(each) for each in schedules]
        self.set(0.0)

    def set(self, where: float) -> None:
        """Give all options the values of a moment of the training, from 0 to 1."""
        for group, schedules in zip(self.optimizer.param_groups, self.schedules, strict=True):
            for option, schedule in schedules.items():
                group[option] = schedule(where)


def construct_optimizer(
    model: nn.Module,
    optimizer: Callable[..., torch.optim.Optimizer],
    options: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    param_group_modifiers: Iterable[RuleModifier] = (),
    param_allowlist: Iterable[str] | None = None,
) -> ScheduledOptimiser:
    """Build an optimiser for the parameters of a model that are trained.

    Parameters
    ----------
    model : nn.Module
    optimizer : callable
        Given parameter groups, makes the optimiser.
    options : mapping, optional
        For each option rules with ``scheduler``, ``param_names`` (patterns) and ``module_cls_names`` (classes); one
        rule without either is for all other parameters.
    param_group_modifiers : iterable of callable
        Such as :func:`layer_decay_param_modifier`.
    param_allowlist : iterable of str, optional
        Parameters to train; those that require gradients by default.

    Raises
    ------
    ConfigError
        A pattern that matches nothing, a parameter with two rules for one option, two default rules, or nothing that
        is trained.
    """
    named = dict(model.named_parameters())
    if param_allowlist is None:
        allowed = {name for name, parameter in named.items() if parameter.requires_grad}
    else:
        allowed = set(param_allowlist)
    if not allowed:
        raise ConfigError("nothing is left to train: every parameter is frozen")
    if not options:
        parts = _alike([p for name, p in named.items() if name in allowed])
        return ScheduledOptimiser(optimizer([{"params": part} for part in parts]), [{}] * len(parts))
    rules = [_rules_of(option, each, model) for option, each in options.items()]
    for modifier in param_group_modifiers:
        rules = modifier(rules, model)
    groups, schedules = [], []
    for combination in itertools.product(*rules):
        names = frozenset.intersection(*(rule.parameter_names for rule in combination)) & allowed
        scheduled = {rule.option: rule.scheduler for rule in combination if rule.scheduler is not None}
        for part in _alike([parameter for name, parameter in named.items() if name in names]):
            groups.append({"params": part})
            schedules.append(scheduled)
    covered = [id(parameter) for group in groups for parameter in group["params"]]
    if len(covered) != len(set(covered)):
        raise ConfigError("a parameter is matched by two rules of one option; make their patterns exclude each other")
    return ScheduledOptimiser(optimizer(groups), schedules)


def _alike(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Whole parameters and sharded ones, as far as there are any: optimisers step only one kind at a time."""
    whole = [p for p in parameters if not is_sharded(p)]
    sharded = [p for p in parameters if is_sharded(p)]
    return [part for part in (whole, sharded) if part]


def _rules_of(option: str, given: Sequence[Mapping[str, Any]], model: nn.Module) -> list[OptionRule]:
    """Rules of one option, which together cover all parameters."""
    every = [name for name, _ in model.named_parameters()]
    rules: list[OptionRule] = []
    default: Schedule | None = None
    has_default = False
    for each in given:
        scheduler = each.get("scheduler")
        if "param_names" not in each and "module_cls_names" not in each:
            if has_default:
                raise ConfigError(f"{option} has two rules without param_names; only one can be for all others")
            default, has_default = scheduler, True
            rules.append(OptionRule(option, scheduler))
            continue
        names = names_matching(each.get("param_names") or (), every)
        names |= _names_in_modules(each.get("module_cls_names") or (), model)
        rules.append(OptionRule(option, scheduler, frozenset(names)))
    others = frozenset(every) - frozenset().union(*(rule.parameter_names for rule in rules))
    if not has_default:
        return [*rules, OptionRule(option, None, others)]
    return [replace(rule, parameter_names=others) if rule.scheduler is default else rule for rule in rules]


def names_matching(patterns: Iterable[str], names: Iterable[str]) -> set[str]:
    """Names that match at least one of several patterns (``*``, ``?``).

    Raises
    ------
    ConfigError
        A pattern that matches none.
    """
    every = list(names)
    found: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(every, pattern)
        if not matching:
            raise ConfigError(f"pattern {pattern!r} matches no name; the names look like {', '.join(every[:3])}, …")
        found |= set(matching)
    return found


def _names_in_modules(classes: Iterable[str | type], model: nn.Module) -> set[str]:
    """Parameters that belong to modules of exactly these classes."""
    found: set[str] = set()
    for each in classes:
        kind = getattr(nn, each.removeprefix("torch.nn."), None) if isinstance(each, str) else each
        if not isinstance(kind, type):
            raise ConfigError(f"module_cls_names takes classes of torch.nn, such as torch.nn.LayerNorm; got {each!r}")
        owners = [each for each in model.named_modules() if each[1].__class__ is kind]
        names = {
            f"{prefix}.{name}" if prefix else name
            for prefix, module in owners
            for name, _ in module.named_parameters(recurse=False)
        }
        if not names:
            raise ConfigError(f"the model has no {each!r} with parameters")
        found |= names
    return found


def layer_decay_param_modifier(
    scheduler_cfgs: list[list[OptionRule]],
    model: nn.Module,
    layer_decay_value: float,
    layer_decay_min: float | None = None,
    apply_to: str | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
) -> list[list[OptionRule]]:
    """Lower the learning rate layer by layer towards the input (Clark et al. 2020, arXiv:2003.10555).

    Parameters
    ----------
    scheduler_cfgs : list of list of OptionRule
    model : nn.Module
    layer_decay_value : float
        Factor from one layer to the one below.
    layer_decay_min : float, optional
        Smallest factor.
    apply_to : str, optional
        Dotted name of the part with ``get_layer_id`` and ``get_num_layers``; the model itself by default.
    overrides : sequence of mapping
        With ``pattern`` and ``value``: parameters of that part whose factor is given.

    Returns
    -------
    list of list of OptionRule
    """
    part = model.get_submodule(apply_to or "")
    if not (callable(getattr(part, "get_num_layers", None)) and callable(getattr(part, "get_layer_id", None))):
        raise ConfigError(f"layer decay needs a part that numbers its layers; {apply_to or 'the model'} does not")
    count = int(part.get_num_layers()) + 1  # type: ignore[operator]
    factors = [layer_decay_value ** (count - index) for index in range(count + 1)]
    if layer_decay_min is not None:
        factors = [max(factor, layer_decay_min) for factor in factors]

    def layer_of(name: str) -> tuple[Any, float]:
        if not name.startswith(apply_to or ""):
            return count, factors[count]
        for override in overrides:
            if fnmatch.fnmatchcase(name, override["pattern"]):
                return override["pattern"], float(override["value"])
        layer = int(part.get_layer_id(name))  # type: ignore[operator]
        return layer, factors[layer]

    def split(rule: OptionRule) -> list[OptionRule]:
        if rule.option != "lr" or rule.scheduler is None:
            return [rule]
        layers: dict[Any, tuple[float, set[str]]] = {}
        for name in sorted(rule.parameter_names):
            layer, factor = layer_of(name)
            layers.setdefault(layer, (factor, set()))[1].add(name)
        return [
            OptionRule("lr", ValueScaler(rule.scheduler, factor), frozenset(names)) for factor, names in layers.values()
        ]

    return [[new for rule in rules for new in split(rule)] for rules in scheduler_cfgs]


class GradientClipper:
    """Scale the gradient down to a norm.

    Parameters
    ----------
    max_norm : float or None
        None leaves it as it is.
    norm_type : float
    """

    def __init__(self, max_norm: float | None = 1.0, norm_type: float = 2) -> None:
        self.max_norm, self.norm_type = max_norm, norm_type
