"""Keeps what the network was told in step with what a session says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from sam2_core.session.worker.line_networks import Found, LineNetwork
from sam2_core.session.worker.messages import FrameStatement, MaskData, ObjectStatement


class ToldObjects:
    """The objects that the network knows, and what it was told of them.

    The network remembers an object by its prompts, its locked masks and the frames it was tracked over. Whatever else
    changes an object (an undo, a painted mask, a merge) makes it forgotten and told anew.

    Parameters
    ----------
    network : LineNetwork
    """

    def __init__(self, network: LineNetwork) -> None:
        self._network = network
        self._told: dict[int, dict[int, FrameStatement]] = {}
        self._generations: dict[int, int] = {}
        self._latest: dict[int, ObjectStatement] = {}

    def hear(self, statements: Iterable[ObjectStatement]) -> None:
        """Take statements; nothing is told to the network yet."""
        for one in statements:
            known = self._latest.get(one.id)
            if known is None or known.revision < one.revision:
                self._latest[one.id] = one

    def outdate(self, object_ids: Iterable[int]) -> None:
        """Note that what the network found of objects does not hold any more; they are told anew when asked for."""
        for object_id in object_ids:
            if object_id in self._generations:
                self._generations[object_id] = -1

    def keep_only(self, existing: Collection[int]) -> None:
        """Forget objects that are gone."""
        for gone in [one for one in self._latest if one not in existing]:
            self._forget(gone)
            del self._latest[gone]

    def are_all_in(self, existing: Collection[int]) -> bool:
        """Whether all objects that the network knows are still there."""
        return self._told.keys() <= set(existing)

    def must_forget(self, object_id: int) -> bool:
        """Whether an object has to be told from the beginning, because what was found of it does not hold any more."""
        told, statement = self._told.get(object_id), self._latest[object_id]
        if told is None:
            return False
        return self._generations[object_id] != statement.generation or not told.keys() <= statement.frame_numbers()

    def knows(self, object_id: int) -> bool:
        """Whether the network was told of an object."""
        return object_id in self._told

    def bring_up_to_date(self, object_ids: Iterable[int], but_for: int | None = None) -> None:
        """Tell what is not known yet; prompts on the frame `but_for` are told by :meth:`answer`."""
        for object_id in object_ids:
            statement = self._latest[object_id]
            prompts = {one.frame: one for one in statement.frames if not one.locked}
            if self.must_forget(object_id):
                self._forget(object_id)
            if object_id not in self._told:
                # a mask that becomes locked makes a new generation, so that this is the only time to tell of it
                for one in statement.frames:
                    if one.locked:
                        self._tell(object_id, one)
                        self._told[object_id][one.frame] = prompts.get(one.frame, one)
            told = self._told.get(object_id, {})
            for frame, prompt in sorted(prompts.items()):
                if frame != but_for and told.get(frame) != prompt:
                    self._tell(object_id, prompt)

    def answer(self, object_id: int, frame: int, before: MaskData | None = None) -> Found | None:
        """Tell what is said of an object on a frame, and return its mask there; None if nothing is said any more.

        Clicks correct the mask that is there. Where the network has not found it itself (an undo, a merge, another
        worker in between), it is told of it first.
        """
        self.bring_up_to_date([object_id], but_for=frame)
        said = [one for one in self._latest[object_id].frames if one.frame == frame and not one.locked]
        if not said:
            return None
        if before is not None and said[0].mask is None and not self._network.has_found(object_id, frame):
            self._tell(object_id, FrameStatement(frame, mask=before))
        return self._tell(object_id, said[0])()

    def close(self) -> None:
        """Let go of everything."""
        self._told.clear()
        self._latest.clear()

    def _tell(self, object_id: int, one: FrameStatement) -> Callable[[], Found]:
        found = self._network.tell(object_id, one)
        self._told.setdefault(object_id, {})[one.frame] = one
        self._generations[object_id] = self._latest[object_id].generation
        return found

    def _forget(self, object_id: int) -> None:
        self._network.forget(object_id)
        self._told.pop(object_id, None)
        self._generations.pop(object_id, None)
