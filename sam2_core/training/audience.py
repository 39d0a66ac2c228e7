"""Who hears of a training: listeners, plugins, and the callbacks that its configuration chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sam2_core.errors import InvalidTypeError
from sam2_core.hooks import TrainingCallback, TrainingEvent, TrainingRun, get_plugins
from sam2_core.training.choices import choose

Listener = Callable[[TrainingEvent], None]


class Audience:
    """Told of every event, in this order: listeners, plugins with the hook ``sam2_training_event``, callbacks.

    Parameters
    ----------
    listeners : sequence of callable
    callbacks : sequence of str or mapping
        Of kind :class:`~sam2_core.hooks.TrainingCallback`; see :func:`~sam2_core.training.choices.choose`.
    is_present : bool
        Whether there is anybody; False in all processes of a training but the first.

    Raises
    ------
    ConfigError, PluginError, InvalidInputError, InvalidTypeError
        See :func:`~sam2_core.training.choices.choose`.
    """

    def __init__(
        self, listeners: Sequence[Listener], callbacks: Sequence[str | Mapping[str, Any]], *, is_present: bool
    ) -> None:
        self._is_present = is_present
        self._listeners = list(listeners)
        choices = [
            choose(TrainingCallback, given, f"trainer.callbacks[{index}]", lambda callback: callback.make)
            for index, given in enumerate(callbacks)
        ]
        self._callbacks = [(choice, choice.call(check=_require_callable)) for choice in choices if is_present]

    def hear(self, event: TrainingEvent, run: TrainingRun) -> None:
        """Tell everybody.

        Raises
        ------
        PluginError
            A callback failed; names its plugin. A plugin that only listens and fails is switched off.
        """
        if not self._is_present:
            return
        for listener in self._listeners:
            listener(event)
        plugins = get_plugins()
        plugins.notify("sam2_training_event", event=event)
        for choice, on_event in self._callbacks:
            with plugins.attributed(choice.registered):
                on_event(event, run)


def _require_callable(found: Any) -> None:
    if not callable(found):
        raise InvalidTypeError(f"make returns on_event(event, run), something callable; got {found!r:.200}")
