"""Tracks as other software writes them: where cells are, and which of these places follow each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from sam2_core.errors import InvalidInputError
from sam2_core.session.mask_pixels import MaskPixels


@dataclass(frozen=True)
class TrackNode:
    """One cell on one frame.

    Attributes
    ----------
    frame : int
    x, y : float
        Pixels of the frame; the first one's centre is (0, 0).
    object_id : int, optional
        Which object it belongs to, where the file says so.
    label : int, optional
        Its value in the labels beside the file, where the file says so.
    name : str
    pixels : MaskPixels, optional
        Its mask, where the file has it.
    """

    frame: int
    x: float
    y: float
    object_id: int | None = None
    label: int | None = None
    name: str = ""
    pixels: MaskPixels | None = None


@dataclass(frozen=True)
class Tracklet:
    """One object: its places in the order of their frames, and the numbers of the tracklets that it came from."""

    nodes: list[TrackNode]
    parents: tuple[int, ...] = ()

    @property
    def name(self) -> str | None:
        """What all its places are called, if they are called the same."""
        names = {node.name for node in self.nodes}
        return names.pop() or None if len(names) == 1 else None


@dataclass(frozen=True)
class TrackGraph:
    """Places and what follows what.

    Attributes
    ----------
    nodes : dict of int to TrackNode
    edges : list of (int, int)
        From a node to one on a later frame.
    """

    nodes: dict[int, TrackNode]
    edges: list[tuple[int, int]] = field(default_factory=list)

    def require_within(self, frame_count: int, frame_size: tuple[int, int]) -> None:
        """Refuse a graph of another stack.

        Parameters
        ----------
        frame_count : int
        frame_size : (int, int)
            Height and width.

        Raises
        ------
        InvalidInputError
            A place outside the stack; an edge to nowhere, or that does not go forward.
        """
        height, width = frame_size
        for number, node in self.nodes.items():
            if not 0 <= node.frame < frame_count:
                raise InvalidInputError(
                    f"Node {number} is on frame {node.frame}; the session has frames 0 to {frame_count - 1}."
                )
            if not (-0.5 <= node.x < width - 0.5 and -0.5 <= node.y < height - 0.5):
                raise InvalidInputError(
                    f"Node {number} is at x={node.x:g}, y={node.y:g} pixels, outside the frames, which are {width} "
                    f"wide and {height} high. Open the stack with the scale that the tracks were made with."
                )
        for source, target in self.edges:
            missing = [end for end in (source, target) if end not in self.nodes]
            if missing:
                raise InvalidInputError(f"The edge from {source} to {target} ends nowhere: no node {missing[0]}.")
            if self.nodes[source].frame >= self.nodes[target].frame:
                raise InvalidInputError(
                    f"Edges go from a frame to a later one; that from node {source} to node {target} goes from frame "
                    f"{self.nodes[source].frame} to {self.nodes[target].frame}."
                )

    def tracklets(self) -> dict[int, Tracklet]:
        """The objects, by number.

        Where nodes name their objects, and these are paths through the graph, they are the objects; else an object goes
        on as long as just one place follows another, and ends at divisions and mergers.
        """
        groups = self._named() or self._paths()
        of = {node: number for number, group in groups.items() for node in group}
        parents: dict[int, set[int]] = {}
        for source, target in self.edges:
            if of[source] != of[target]:
                parents.setdefault(of[target], set()).add(of[source])
        return {
            number: Tracklet([self.nodes[node] for node in group], tuple(sorted(parents.get(number, ()))))
            for number, group in groups.items()
        }

    def _named(self) -> dict[int, list[int]] | None:
        """Nodes by the objects that they name; None if they name none, or something else than a path through time."""
        groups: dict[int, list[int]] = {}
        for number, node in self.nodes.items():
            if node.object_id is None:
                return None
            groups.setdefault(node.object_id, []).append(number)
        edges = set(self.edges)
        ends: set[tuple[int, int]] = set()
        for group in groups.values():
            group.sort(key=lambda number: self.nodes[number].frame)
            steps = set(pairwise(group))
            if not steps <= edges:
                return None
            edges -= steps
            ends.add((group[0], group[-1]))
        first, last = {one for one, _ in ends}, {one for _, one in ends}
        is_lineage = all(source in last and target in first for source, target in edges)
        return dict(sorted(groups.items())) if is_lineage else None

    def _paths(self) -> dict[int, list[int]]:
        """Nodes by the unbranched paths that they lie on, numbered from 1 by first frame."""
        ahead = Counter(source for source, _ in self.edges)
        behind = Counter(target for _, target in self.edges)
        following = {source: target for source, target in self.edges if ahead[source] == 1 and behind[target] == 1}
        begun = sorted(set(self.nodes) - set(following.values()), key=lambda number: (self.nodes[number].frame, number))
        groups = {}
        for number, node in enumerate(begun, start=1):
            path = [node]
            while path[-1] in following:
                path.append(following[path[-1]])
            groups[number] = path
        return groups
