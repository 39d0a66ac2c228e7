"""The stack, and the lines of its frames that are tracked over as stacks of their own, each with what it was told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sam2_core.inference.preset_names import Preset
from sam2_core.inference.stack_line import StackLine
from sam2_core.session.worker.line_networks import FollowingCrops, LineNetwork, WholeFrames
from sam2_core.session.worker.messages import FrameLine, FrameStatement, ObjectStatement
from sam2_core.session.worker.told_objects import ToldObjects

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: Lines that are kept when nobody works on them: that of the last click, and some that a person goes back to.
KEPT_LINES: Final = 4


class ToldLine:
    """Frames that are tracked over, and the objects that the network was told of there.

    Parameters
    ----------
    network : LineNetwork
        Its frame ``i`` is frame ``frames[i]`` of the stack.
    frames : range
    """

    def __init__(self, network: LineNetwork, frames: range) -> None:
        self.network = network
        self.frames = frames
        self.told = ToldObjects(network)
        self.user_count = 0

    def hear(self, statements: Iterable[ObjectStatement]) -> None:
        """Take statements about frames of the stack; see :meth:`ToldObjects.hear`."""
        self.told.hear(replace(one, frames=tuple(self._within(one))) for one in statements)

    def _within(self, statement: ObjectStatement) -> Iterator[FrameStatement]:
        return (
            replace(one, frame=self.frames.index(one.frame)) for one in statement.frames if one.frame in self.frames
        )


class ToldLines:
    """The whole stack and its lines, each as the presets look at it.

    What is found on one line may replace what was found on another that crosses it, or with another preset: who was
    found is told anew there.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
        The whole stack; it stays open.
    store : EmbeddingStore, optional
        Where features are looked for and kept.
    """

    def __init__(self, predictor: SAM2VideoPredictor, state: VideoState, store: EmbeddingStore | None = None) -> None:
        self._predictor = predictor
        self._state = state
        self._store = store
        self._whole = ToldLine(WholeFrames(predictor, state), range(state.num_frames))
        self._lines: OrderedDict[tuple[FrameLine | None, Preset], ToldLine] = OrderedDict()

    def of(self, line: FrameLine | None, preset: Preset = "exact") -> ToldLine:
        """The line of a request; None is the whole stack. It may be closed unless it is :meth:`used`."""
        if line is None and preset == "exact":
            return self._whole
        key = line, preset
        known = self._lines.get(key)
        if known is None:
            frames = range(self._state.num_frames) if line is None else line.frames
            known = self._lines[key] = ToldLine(self._network(line, preset), frames)
        self._lines.move_to_end(key)
        return known

    @contextmanager
    def used(self, line: ToldLine) -> Iterator[None]:
        """Keep a line open meanwhile, whatever other ones are worked on."""
        line.user_count += 1
        try:
            yield
        finally:
            line.user_count -= 1
            self._close_idle()

    def outdate_others(self, line: ToldLine | None, object_ids: Collection[int]) -> None:
        """Note that objects have new masks that were found on one line; what other lines found of them is void."""
        for other in (self._whole, *self._lines.values()):
            if other is not line:
                other.told.outdate(object_ids)

    def close(self) -> None:
        """Let go of everything that was told; the whole stack's state stays open."""
        for line in self._lines.values():
            line.told.close()
            line.network.close()
        self._lines.clear()
        self._whole.told.close()

    def forget_memories(self) -> None:
        """Let go of all mask memories; they are made from the records again."""
        for line in (self._whole, *self._lines.values()):
            line.network.forget_memories()

    def _close_idle(self) -> None:
        idle = [key for key, line in self._lines.items() if not line.user_count]
        for key in idle[: max(0, len(self._lines) - KEPT_LINES)]:
            line = self._lines.pop(key)
            line.told.close()
            line.network.close()

    def _network(self, line: FrameLine | None, preset: Preset) -> LineNetwork:
        if preset == "exact":
            assert line is not None, "the whole stack has its own"
            return WholeFrames(self._predictor, self._predictor.init_line(self._state, line.frames, line.axis))
        stack = self._state.images.stack
        return FollowingCrops(
            self._predictor, stack if line is None else StackLine(stack, line.frames, line.axis), self._store
        )
