"""Checks that every plugin has to pass, for the tests of plugin authors; pytest runs them."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Hashable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, TypeVar

from sam2_core.errors import Sam2Error
from sam2_core.hooks.array_context import ArrayContext
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.drawn_prompts import prompts_of
from sam2_core.hooks.filter_chain import FilterChain
from sam2_core.hooks.loss import Loss
from sam2_core.hooks.manager import Plugins, Registered
from sam2_core.hooks.markers import ENTRY_POINT_GROUP
from sam2_core.hooks.mask_filter import MaskFilter
from sam2_core.hooks.metric import Metric
from sam2_core.hooks.prompt_type import Drawn, PromptType
from sam2_core.hooks.propagator import FrameDone, Propagator
from sam2_core.hooks.scripted_tracking import ScriptedTracking
from sam2_core.hooks.selection import Selection
from sam2_core.hooks.session_event import SessionEvent
from sam2_core.hooks.specification import HOOK_OF_KIND, NOTIFICATIONS
from sam2_core.hooks.training_event import TrainingEvent
from sam2_core.hooks.volume_reader import VolumeReader

Kind = TypeVar("Kind", bound=Contribution)

#: What a plugin may import of this project; other names may change at any time.
PUBLIC = (
    "sam2_core",
    "sam2_core.hooks",
    "sam2_core.hooks.contract",
    "sam2_core.hooks.scripted_tracking",
    "sam2_core.volumes",
    "sam2_core.volumes.labels",
)


class PluginContract:
    """A test class to inherit from.

    Attributes
    ----------
    plugin : module
        The one that the entry point names.
    distribution : str, optional
        The installed distribution it belongs to, whose entry point is looked at.

    Examples
    --------
    >>> class TestMyPlugin(PluginContract):  # doctest: +SKIP
    ...     plugin = my_plugin
    ...     distribution = "my-plugin"
    """

    plugin: ClassVar[ModuleType]
    distribution: ClassVar[str | None] = None

    def added(self, kind: type[Kind]) -> dict[str, Registered[Kind]]:
        """What the plugin adds of one kind, beside nothing else."""
        return dict(self.plugins().contributions(kind))

    def plugins(self) -> Plugins:
        """A manager with this plugin alone, which raises at the first failure."""
        plugins = Plugins(Selection(), strict=True)
        plugins.register(self.plugin, name=self.plugin.__name__)
        return plugins

    def features(self, frame: int) -> Any:
        """Image features for prompt types that ask for them: three maps of noise. Override it for better ones."""
        import torch

        chance = torch.Generator().manual_seed(frame)
        sizes = ((8, 32, 32), (16, 16, 16), (32, 8, 8))
        return SimpleNamespace(maps=tuple(torch.randn(1, *size, generator=chance) for size in sizes))

    def test_it_does_something(self) -> None:
        """At least one hook adds or listens, and all that is added is sound."""
        plugins = self.plugins()
        added = [one for kind in HOOK_OF_KIND for one in plugins.contributions(kind).values()]
        heard = [hook for hook in NOTIFICATIONS if plugins.listeners(hook)]

        assert added or heard, f"{self.plugin.__name__} has no function marked with hookimpl that adds something"
        for one in added:
            assert one.contribution.summary.strip(), f"{one.contribution.name} needs a summary, for menus and lists"
            assert "\n" not in one.contribution.summary, f"the summary of {one.contribution.name} is one line"

    def test_it_adds_the_same_every_time(self) -> None:
        """A hook may be asked again, and says the same."""
        for kind in HOOK_OF_KIND:
            assert list(self.added(kind)) == list(self.added(kind)), f"{HOOK_OF_KIND[kind]} changes its mind"

    def test_its_names_are_free(self) -> None:
        """It goes together with what is built in."""
        plugins = Plugins(Selection(only_builtin=True), strict=True)
        plugins.load_installed()
        plugins.register(self.plugin, name=f"{self.plugin.__name__} under test")
        for kind in HOOK_OF_KIND:
            if self.added(kind):  # what is built in of other kinds need not be loaded
                plugins.contributions(kind)

    def test_it_imports_public_names_only(self) -> None:
        """Names that are not public may change at any time."""
        private = [f"{path.name}: {name}" for path in self._sources() for name in _imports(path) if _is_private(name)]

        assert not private, f"a plugin imports from {', '.join(PUBLIC)} only; found {private}"

    def test_its_entry_point_is_installed(self) -> None:
        """Its distribution names this module in the group ``sam2.plugins``."""
        if self.distribution is None:
            return
        named = [
            one.value
            for one in entry_points(group=ENTRY_POINT_GROUP)
            if one.dist is not None and one.dist.metadata["Name"] == self.distribution
        ]

        assert self.plugin.__name__ in named, f"{self.distribution} names {named or 'no plugin'} in {ENTRY_POINT_GROUP}"

    def test_its_prompt_types_give_prompts(self) -> None:
        """Whatever is drawn gives prompts that can be used, or an error for the user; what came is left as it was."""
        plugins = self.plugins()
        for name, registered in self.added(PromptType).items():
            for context in self._contexts():
                for drawn in _drawings(registered.contribution.gesture, context.frame):
                    before = _copies(drawn, context)
                    try:
                        prompts_of(name, drawn, context, plugins=plugins)
                    except Sam2Error:
                        # for the user to mend, unless the plugin is on record for it
                        if plugins.failures:
                            raise
                    _require_same(before, _copies(drawn, context), name)

    def test_its_filters_filter(self) -> None:
        """Masks of all kinds give masks of the same shape."""
        plugins = self.plugins()
        for name in self.added(MaskFilter):
            chain = FilterChain.of([name], plugins)
            for mask in _masks():
                chain.apply(mask)
                chain.apply_to_labels(mask.astype("uint16"))

    def test_its_propagators_propagate(self) -> None:
        """Objects that are seen, and ones that never are, come through the stack; what a person said stays."""
        frames, first, second = 6, _masks()[0], _masks()[3]
        prompts: dict[Hashable, dict[int, Any]] = {1: {2: first, 5: second}, 2: {0: second}}
        seen = [(first, 0.8, 5.0), (second, 0.6, 5.0), (first & second, 0.4, 5.0)]
        unseen = [(first & ~first, 0.1, -5.0)] * 3
        for name, registered in self.added(Propagator).items():
            for answer in (seen, unseen):
                tracking = ScriptedTracking(frames, prompts, lambda *asked, answer=answer: answer)
                before = dict(tracking.kept)
                done = tracking.run(registered.contribution)
                assert done, f"the propagator {name} does nothing"
                for one in done:
                    assert isinstance(one, FrameDone), f"the propagator {name} yields FrameDone; got {one!r}"
                    assert 0 <= one.frame < frames, f"the propagator {name} leaves the stack: frame {one.frame}"
                stays = all(tracking.kept[key] is kept for key, kept in before.items())
                assert stays, f"the propagator {name} changes a prompted mask"

    def test_its_metrics_measure(self) -> None:
        """Perfect, wrong and empty labels give numbers, the first of which ranks the perfect ones first."""
        import numpy as np

        truth = [mask.astype(np.uint16) for mask in _masks()]
        for name, registered in self.added(Metric).items():
            metric = registered.contribution
            ranked = []
            for predicted in (truth, [np.flip(one, 0) for one in truth], [np.zeros_like(one) for one in truth]):
                found = metric.measure(iter(list(zip(predicted, truth, strict=True))))
                assert isinstance(found, Mapping), f"the metric {name} returns a mapping; got {found!r}"
                assert found, f"the metric {name} measures nothing"
                assert all(isinstance(value, int | float) for value in found.values()), found
                ranked.append(float(next(iter(found.values()))))
            first = max if metric.better == "higher" else min
            known = [value for value in ranked if not math.isnan(value)]
            assert ranked[0] == first(known), f"the metric {name} likes other labels better than the truth: {ranked}"

    def test_its_losses_can_be_trained_with(self) -> None:
        """A loss for each candidate, finite and with a gradient."""
        if not self.added(Loss):
            return
        import torch

        targets = torch.zeros(2, 1, 16, 16)
        targets[0, :, 4:9, 5:10] = 1
        for name, registered in self.added(Loss).items():
            logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
            found = registered.contribution.compute(logits, targets)
            assert found.shape == (2, 3), f"the loss {name} returns (B, M), here (2, 3); got {tuple(found.shape)}"
            (gradient,) = torch.autograd.grad(found.sum(), logits)
            assert torch.isfinite(found).all(), f"the loss {name} is not finite"
            assert torch.isfinite(gradient).all(), f"the gradient of the loss {name} is not finite"
            assert gradient.any(), f"the gradient of the loss {name} is 0"

    def test_its_readers_know_what_is_not_theirs(self, tmp_path: Path) -> None:
        """Asked about anything, they answer with a number."""
        (tmp_path / "empty.bin").touch()
        for name, registered in self.added(VolumeReader).items():
            sources: list[Any] = [tmp_path / "empty.bin", tmp_path, "https://host/name", b"", [], None, 3]
            for source in sources:
                fit = registered.contribution.matches(source)
                assert isinstance(fit, int), f"the reader {name} says how well it fits by a whole number; got {fit!r}"
            assert registered.contribution.matches(tmp_path / "empty.bin") <= 1, f"the reader {name} claims any file"

    def test_it_only_listens(self) -> None:
        """Hooks that listen return nothing and raise nothing."""
        plugins = self.plugins()
        for event in (
            SessionEvent("opened", Path("session")),
            SessionEvent(
                "changed", Path("session"), "add points", frozenset({"prompt"}), frozenset({1}), frozenset({0})
            ),
            SessionEvent("job", Path("session"), "track", job_state="failed"),
            SessionEvent("closed", Path("session")),
        ):
            plugins.notify("sam2_session_event", event=event)
        for told in (TrainingEvent("start"), TrainingEvent("step", 1, 2, {"loss": math.nan}), TrainingEvent("end", 2)):
            plugins.notify("sam2_training_event", event=told)

    def _sources(self) -> list[Path]:
        file = Path(str(inspect.getsourcefile(self.plugin)))
        return sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]

    def _contexts(self) -> Iterator[ArrayContext]:
        import numpy as np

        images = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3)).astype(np.uint8)
        labels = np.zeros((2, 48, 64), np.int32)
        labels[:, 10:20, 10:24] = 1
        yield ArrayContext(images, labels=labels, object_id=1, frame=1, features=self.features)
        yield ArrayContext(images, features=self.features)
        yield ArrayContext(images[:1, :1, :1], features=self.features)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name.startswith("_"))


def _is_private(name: str) -> bool:
    return name.partition(".")[0] == "sam2_core" and name not in PUBLIC


def _drawings(gesture: str, frame: int) -> Iterator[Drawn]:
    import numpy as np

    lines: dict[str, list[list[tuple[float, float]]]] = {
        "point": [[(12, 14)], [(0, 0)], [(900, -5)]],
        "box": [[(5, 6), (30, 25)], [(30, 25), (5, 6)], [(8, 8), (8, 8)], [(-50, -40), (500, 400)]],
        "path": [[(12, 14)], [(5, 5), (20, 9), (30, 30)], [(-9, -9), (200, 200)]],
        "polygon": [[(5, 5), (30, 6), (20, 30)], [(5, 5), (5, 5), (5, 5)], [(-9, -9), (300, -9), (300, 300)]],
    }
    for positive in (True, False):
        for points in lines.get(gesture, []):
            yield Drawn(gesture, frame, positive, np.array(points, np.float32))  # type: ignore[arg-type]
        if gesture == "none":
            yield Drawn("none", frame, positive)
        if gesture == "brush":
            for mask in _masks():
                yield Drawn("brush", frame, positive, mask=mask)


def _masks() -> list[Any]:
    import numpy as np

    blob = np.zeros((48, 64), bool)
    blob[10:30, 12:40] = True
    blob[15:18, 20:24] = False
    dot = np.zeros_like(blob)
    dot[0, 0] = True
    noise = np.random.default_rng(0).random(blob.shape) < 0.3
    return [blob, np.zeros_like(blob), np.ones_like(blob), dot, noise]


def _copies(drawn: Drawn, context: ArrayContext) -> list[Any]:
    given = (drawn.points, drawn.mask, context.image(), context.labels())
    return [None if one is None else one.copy() for one in given]


def _require_same(before: list[Any], after: list[Any], name: str) -> None:
    for one, other in zip(before, after, strict=True):
        assert one is None or (one == other).all(), f"the prompt type {name} changes what it was given"
