"""The plugin manager: what is loaded, what it adds, and what happens when it fails.

pluggy itself isolates nothing: one plugin that raises ends the call for all. Here every implementation is called by
itself. One that fails while it is imported, registered or asked what it adds is put on record, switched off with
everything it added, and the rest goes on.
"""

from __future__ import annotations

import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pluggy

from sam2_core.errors import InvalidInputError, InvalidTypeError, PluginError, Sam2Error
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.discovery import FoundPlugin, find_plugins
from sam2_core.hooks.failure import Phase, PluginFailure
from sam2_core.hooks.markers import PROJECT
from sam2_core.hooks.options import checked_options
from sam2_core.hooks.selection import OWN_DISTRIBUTION, STRICT_VARIABLE, Selection, is_yes
from sam2_core.hooks.specification import HOOK_OF_KIND, Sam2Specification

Kind = TypeVar("Kind", bound=Contribution)
Returned = TypeVar("Returned")
Item = TypeVar("Item")


class PluginWarning(UserWarning):
    """A plugin failed and was switched off."""


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin and where it comes from; `distribution` and `version` are empty for one registered by hand."""

    name: str
    distribution: str
    version: str
    plugin: object


@dataclass(frozen=True)
class Registered(Generic[Kind]):
    """A contribution and the plugin that added it."""

    contribution: Kind
    plugin: LoadedPlugin


class Plugins:
    """Plugins and what they add; one instance, :func:`~sam2_core.hooks.process.get_plugins`, serves the process.

    Parameters
    ----------
    selection : Selection, optional
        Which installed plugins are loaded; read from the environment by default.
    strict : bool, optional
        Raise at the first failure instead of switching the plugin off; by default as ``SAM2_PLUGINS_STRICT`` says.
    """

    def __init__(self, selection: Selection | None = None, *, strict: bool | None = None) -> None:
        self.selection = Selection.from_environment() if selection is None else selection
        self.strict = is_yes(os.environ, STRICT_VARIABLE) if strict is None else strict
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Sam2Specification)
        self._loaded: dict[str, LoadedPlugin] = {}
        self._refused: dict[str, tuple[FoundPlugin, str]] = {}
        self._failures: list[PluginFailure] = []
        self._collected: dict[type[Contribution], dict[str, Registered[Any]]] = {}
        self._lock = threading.RLock()

    @property
    def loaded(self) -> list[LoadedPlugin]:
        """The plugins that are on, built-in ones first, each group by name."""
        return sorted(self._loaded.values(), key=lambda one: (one.distribution != OWN_DISTRIBUTION, one.name))

    @property
    def refused(self) -> list[tuple[FoundPlugin, str]]:
        """Installed plugins that the selection leaves out, and why."""
        return [self._refused[name] for name in sorted(self._refused)]

    @property
    def failures(self) -> list[PluginFailure]:
        """Everything that went wrong, in order."""
        return list(self._failures)

    def load_installed(self, found: Iterator[FoundPlugin] | None = None) -> None:
        """Load the installed plugins that the selection wants; built-in ones first.

        Parameters
        ----------
        found : iterator of FoundPlugin, optional
            What there is; looked up in the environment by default.
        """
        every = list(find_plugins() if found is None else found)
        for one in sorted(every, key=lambda one: one.distribution != OWN_DISTRIBUTION):
            reason = self.selection.refusal(one.name, one.distribution)
            if reason:
                self._refused[one.name] = (one, reason)
                continue
            try:
                plugin = one.entry_point.load()
            except (Exception, SystemExit) as error:  # whatever a module does while it is imported
                self._fail(error, one.name, one.distribution, one.version, "import", one.entry_point.value)
                continue
            self.register(plugin, name=one.name, distribution=one.distribution, version=one.version)

    def register(self, plugin: object, *, name: str | None = None, distribution: str = "", version: str = "") -> bool:
        """Switch a plugin on.

        Parameters
        ----------
        plugin : module or object
            Its functions marked with ``hookimpl`` are its hooks.
        name : str, optional
            Its module's or class's name by default.
        distribution, version : str
            Where it comes from.

        Returns
        -------
        bool
            Whether it is on; if not, :attr:`failures` says why.

        Raises
        ------
        PluginError
            It failed, and `strict`.
        """
        if name is None:
            name = plugin.__name__ if isinstance(plugin, types.ModuleType) else type(plugin).__name__
        with self._lock:
            try:
                self._require_free(name)
                self._manager.register(plugin, name=name)
                self._require_known_hooks(plugin)
            except Exception as error:
                if self._manager.get_plugin(name) is plugin:
                    self._manager.unregister(plugin)
                self._fail(error, name, distribution, version, "register", name)
                return False
            self._loaded[name] = LoadedPlugin(name, distribution, version, plugin)
            self._collected.clear()
            return True

    def unregister(self, name: str) -> None:
        """Switch a plugin off, with everything it added; one that is not on is left as it is."""
        with self._lock:
            one = self._loaded.pop(name, None)
            if one is not None:
                self._manager.unregister(one.plugin)
                self._collected.clear()

    def contributions(self, kind: type[Kind]) -> Mapping[str, Registered[Kind]]:
        """List everything of one kind that plugins add, by name: built-in ones first, then by plugin.

        Each plugin is asked once. One whose hook raises, that returns something else than contributions of this kind,
        or that takes a name which is taken, is switched off.

        Parameters
        ----------
        kind : type
            A subclass of :class:`~sam2_core.hooks.contributions.Contribution`.

        Returns
        -------
        mapping of str to Registered
        """
        with self._lock:
            while kind not in self._collected:
                found = self._collect(kind)
                if found is not None:
                    self._collected[kind] = found
            return dict(self._collected[kind])

    def find(self, kind: type[Kind], name: str) -> Registered[Kind]:
        """Find a contribution by name.

        Raises
        ------
        PluginError
            There is none; says which there are, and which plugins failed that may have had it.
        """
        known = self.contributions(kind)
        if name in known:
            return known[name]
        failed = "".join(f" ({failure})" for failure in self._failures if failure.phase != "call")
        raise PluginError(
            f"There is no {_words(kind)} named {name!r}. There are: {', '.join(known) or 'none'}.{failed}"
        )

    def notify(self, hook: str, **arguments: Any) -> None:
        """Tell every plugin that something happened.

        One that raises, or returns something, is switched off, and the others still hear of it.

        Parameters
        ----------
        hook : str
            Name of a notification hook, such as ``"sam2_session_event"``.
        **arguments
            Those of its specification.
        """
        for one in self.listeners(hook):
            try:
                _require_nothing(self._call_alone(one, hook, **arguments), hook)
            except Exception as error:
                self._switch_off(error, one, "call", hook)

    def call(
        self,
        registered: Registered[Any],
        function: Callable[..., Returned],
        *arguments: Any,
        check: Callable[[Returned], None] | None = None,
        **options: Any,
    ) -> Returned:
        """Call what a contribution holds; see :meth:`attributed` for what becomes of an error.

        Parameters
        ----------
        registered : Registered
            The contribution.
        function : callable
            What it holds.
        *arguments, **options
            For the function. The options are its keyword-only parameters, and are looked at first.
        check : callable, optional
            Raises if what the function returned cannot be used, which is the plugin's fault and not its user's.

        Returns
        -------
        Any
            What the function returned.

        Raises
        ------
        PluginError
            It raised something unexpected, or returned what cannot be used.
        InvalidInputError, InvalidTypeError
            There is no such option, or its value cannot be used.
        """
        chosen = checked_options(function, options)
        with self.attributed(registered):
            returned = function(*arguments, **chosen)
        if check is not None:
            with self._blaming(registered):
                check(returned)
        return returned

    def collect(
        self,
        registered: Registered[Any],
        function: Callable[..., Iterable[Item]],
        *arguments: Any,
        check: Callable[[Item], None],
        **options: Any,
    ) -> list[Item]:
        """Call a function that returns several things, or yields them, and look at each; else as :meth:`call`."""
        chosen = checked_options(function, options)
        with self.attributed(registered):
            # a generator runs only here
            items = list(function(*arguments, **chosen))
        with self._blaming(registered):
            for item in items:
                check(item)
        return items

    @contextmanager
    def attributed(self, registered: Registered[Any]) -> Iterator[None]:
        """Run what a contribution does; an error says whose it is and goes on to the caller.

        What a contribution changes is a person's data: its errors are put on record and raised, never swallowed.

        Raises
        ------
        PluginError
            From whatever was raised within. ``Sam2Error``, which says what the user can do, running out of memory and
            being interrupted stay what they are.
        """
        try:
            yield
        except (Sam2Error, MemoryError):
            raise
        except Exception as error:
            if _is_out_of_memory(error):
                raise
            raise self._blamed(error, registered) from error

    @contextmanager
    def _blaming(self, registered: Registered[Any]) -> Iterator[None]:
        """Look at what a plugin returned: whatever is wrong with it is the plugin's fault."""
        try:
            yield
        except Exception as error:
            raise self._blamed(error, registered) from error

    def _blamed(self, error: Exception, registered: Registered[Any]) -> PluginError:
        """Put an error in what a plugin added on record, and say whose it is."""
        owner, contribution = registered.plugin, registered.contribution
        failure = self._record(error, owner.name, owner.distribution, owner.version, "call", contribution.name)
        return PluginError(f"The {_words(type(contribution))} {contribution.name!r} failed. {failure}")

    def _collect(self, kind: type[Kind]) -> dict[str, Registered[Kind]] | None:
        """Ask every plugin once; None if one had to be switched off, so that all is asked anew."""
        hook = HOOK_OF_KIND[kind]
        found: dict[str, Registered[Kind]] = {}
        for one in self.loaded:
            try:
                if self._implements(one, hook):
                    _add(found, one, _checked(self._call_alone(one, hook), kind, hook))
            except Exception as error:
                self._switch_off(error, one, "collect", hook)
                return None
        return found

    def listeners(self, hook: str) -> list[LoadedPlugin]:
        """The plugins that hear of something: of the hook ``"sam2_session_event"``, for instance."""
        return [one for one in self.loaded if self._implements(one, hook)]

    def _implements(self, one: LoadedPlugin, hook: str) -> bool:
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return any(implementation.plugin is one.plugin for implementation in implementations)

    def _call_alone(self, one: LoadedPlugin, hook: str, **arguments: Any) -> Any:
        """Call one plugin's implementation of a hook, through pluggy: it may take fewer arguments than there are."""
        others = [other.plugin for other in self._loaded.values() if other is not one]
        results = self._manager.subset_hook_caller(hook, others)(**arguments)
        return results[0] if results else None

    def _require_free(self, name: str) -> None:
        other = self._loaded.get(name)
        if other is not None:
            raise InvalidInputError(
                f"a plugin named {name!r} is there already, from {other.distribution or 'this process'}; give the "
                "entry point another name"
            )

    def _require_known_hooks(self, plugin: object) -> None:
        for caller in self._manager.get_hookcallers(plugin) or []:
            optional = all(
                implementation.optionalhook
                for implementation in caller.get_hookimpls()
                if implementation.plugin is plugin
            )
            if not caller.has_spec() and not optional:
                known = ", ".join(name for name in vars(Sam2Specification) if name.startswith("sam2_"))
                raise InvalidInputError(
                    f"there is no hook {caller.name}; hooks are: {known}. For a hook of a later version, mark it "
                    "with hookimpl(optionalhook=True)"
                )

    def _switch_off(self, error: BaseException, one: LoadedPlugin, phase: Phase, where: str) -> None:
        self.unregister(one.name)
        self._fail(error, one.name, one.distribution, one.version, phase, where)

    def _fail(self, error: BaseException, name: str, distribution: str, version: str, phase: Phase, where: str) -> None:
        failure = self._record(error, name, distribution, version, phase, where)
        if self.strict:
            raise PluginError(str(failure)) from error
        said = str(failure).rstrip(".")
        warnings.warn(
            f"{said}. It is switched off; 'sam2 plugins list' shows the traceback.", PluginWarning, stacklevel=2
        )

    def _record(
        self, error: BaseException, name: str, distribution: str, version: str, phase: Phase, where: str
    ) -> PluginFailure:
        failure = PluginFailure.of(
            error, plugin=name, distribution=distribution, version=version, phase=phase, where=where
        )
        self._failures.append(failure)
        return failure


def _add(found: dict[str, Registered[Kind]], one: LoadedPlugin, contributions: Iterator[Kind]) -> None:
    for contribution in contributions:
        name = contribution.name
        if name in found:
            raise InvalidInputError(
                f"the {_words(type(contribution))} {name!r} is there already, from plugin {found[name].plugin.name}; "
                "give it another name"
            )
        found[name] = Registered(contribution, one)


def _checked(result: Any, kind: type[Kind], hook: str) -> Iterator[Kind]:
    """The contributions a hook returned, each looked at."""
    if result is None:
        return
    try:
        items = list(result)
    except TypeError:
        raise InvalidTypeError(f"{hook} must return a list of {kind.__name__}; got {result!r}") from None
    for item in items:
        if not isinstance(item, kind):
            raise InvalidTypeError(f"{hook} must return a list of {kind.__name__}; an item of it is {item!r}")
        item.check()
        yield item


def _require_nothing(result: Any, hook: str) -> None:
    if result is not None:
        raise InvalidTypeError(f"{hook} only listens, and must return nothing; got {result!r:.200}")


def _words(kind: type[Contribution]) -> str:
    """A class's name as words: PromptType is a "prompt type"."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).strip()


def _is_out_of_memory(error: Exception) -> bool:
    # torch is not imported here; where it never was, nothing ran out of a GPU's memory
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
