"""An object's volume carried from one time to the next: its slices tracked along t, and then reconciled along z.

Slice by slice an object is followed well where it changes little, but nothing holds its slices together: some slip to a
neighbour, or lose it, and where it moves along z nobody looks for it. So its slices at the new time are tracked along z
too, from those that are surest. Slices on which both ways of tracking agree are believed, and everything else is taken
from a second pass along z, which starts from all of those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sam2_core.errors import InvalidInputError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.line_tracking import LineTrack, LineTracking, TrackedMask

#: An object's masks by their places along z.
Slices: TypeAlias = dict[int, TrackedMask]

#: How often tracking along z begins anew from another slice, where few slices agree with it.
SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class CarryingOptions:
    """How volumes are carried.

    Attributes
    ----------
    reconciles : bool
        Whether slices are reconciled along z; else each is what was tracked along t.
    agreement : float
        IoU from which on the two ways of tracking a slice agree, above 0 to 1.
    growth : int
        By how many slices an object may begin earlier or end later along z than at the time before.
    remembered : int
        How many times before are remembered, at least 1.
    """

    reconciles: bool = True
    agreement: float = 0.7
    growth: int = 2
    remembered: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.agreement <= 1:
            raise InvalidInputError(f"agreement is an IoU above 0, at most 1; got {self.agreement}.")
        if self.growth < 0 or self.remembered < 1:
            raise InvalidInputError(
                f"growth is 0 slices or more and remembered 1 time or more; got {self.growth} and {self.remembered}."
            )


@dataclass
class Volume:
    """One object at one time.

    Attributes
    ----------
    fixed : dict of int to MaskPixels
        Slices that stay as they are, empty ones too.
    along_t, along_z : dict of int to TrackedMask
        What each way of tracking found.
    anchors : set of int
        Slices that are believed: the fixed ones, and those on which both agree.
    """

    fixed: Mapping[int, MaskPixels]
    along_t: Slices = field(default_factory=dict)
    along_z: Slices = field(default_factory=dict)
    anchors: set[int] = field(default_factory=set)

    def known(self) -> dict[int, MaskPixels]:
        """Slices that are not empty, of those that are fixed and those tracked along t."""
        tracked = {place: one.mask for place, one in self.along_t.items() if place not in self.fixed}
        return {place: mask for place, mask in {**tracked, **self.fixed}.items() if mask.area}

    def seeds(self) -> list[int]:
        """Slices to begin tracking along z with, best first: large ones of which the model is sure."""
        fixed = [place for place, mask in self.fixed.items() if mask.area]
        if fixed:
            return fixed
        return sorted(self.known(), key=lambda place: -self.along_t[place].sureness * self.along_t[place].mask.area)

    def agreeing(self, along_z: Slices, agreement: float) -> set[int]:
        """Slices on which tracking along t and along z agree, and the fixed ones."""
        known = self.known()
        same = {
            place for place, mask in known.items() if place in along_z and mask.iou(along_z[place].mask) >= agreement
        }
        return same | {place for place in self.fixed if place in known}

    def reconciled(self) -> Slices:
        """Believed slices as they are, all others as tracked along z, as far as they hang together with those."""
        fixed = {place: TrackedMask(mask) for place, mask in self.fixed.items()}
        if not self.anchors:
            return {**self.along_t, **fixed}
        believed = {place: self.along_t[place] for place in self.anchors if place in self.along_t}
        found = {**self.along_z, **believed, **fixed}
        for step, edge in ((1, max(self.anchors)), (-1, min(self.anchors))):
            while (edge := edge + step) in found and found[edge].mask.area:
                pass
            # beyond a slice without it an object does not come back
            found = {place: one for place, one in found.items() if (place - edge) * step < 0 or place in self.fixed}
        return found


class VolumeCarrying:
    """Carries volumes over lines of frames: line after line, each slice from the line before.

    Parameters
    ----------
    tracking : LineTracking
    lines : sequence of range
        Frames along z at each time, in the order in which times are gone over; the first has the volumes.
    masks : mapping of int to mapping of int to MaskPixels
        By object and frame: its volume on the first line, and masks on the others that stay as they are.
    options : CarryingOptions
    axes : (str, str)
        Of a step from one line to the next, and along the lines: ("t", "z").
    """

    def __init__(
        self,
        tracking: LineTracking,
        lines: Sequence[range],
        masks: Mapping[int, Mapping[int, MaskPixels]],
        options: CarryingOptions,
        axes: tuple[str, str] = ("t", "z"),
    ) -> None:
        self._tracking = tracking
        self._lines = lines
        self._masks = masks
        self._options = options
        self._along_t, self._along_z = axes

    @property
    def unit_count(self) -> int:
        """How many units of work there are: each slice once along t, and once along z."""
        return 2 * len(self._lines[0]) * (len(self._lines) - 1)

    def run(self) -> Iterator[tuple[int, dict[int, dict[int, TrackedMask]]]]:
        """Carry.

        Yields
        ------
        done : int
            Units of work.
        masks : dict of int to dict of int to TrackedMask
            What is new: by frame and object, for all frames of a line once it is done; else empty.
        """
        depth = len(self._lines[0])
        volumes: deque[dict[int, dict[int, MaskPixels]]] = deque(maxlen=self._options.remembered)
        volumes.append({one: _filled(self._fixed(one, 0)) for one in self._masks})
        done = 0
        for number in range(1, len(self._lines)):
            now = {one: Volume(self._fixed(one, number)) for one in self._masks}
            for place in range(depth):
                self._track_along_t(now, volumes, number, place)
                done += 1
                yield done, {}
            if self._options.reconciles:
                for _ in self._track_along_z(now, number):
                    yield done, {}
            done += depth
            found = {one: volume.reconciled() for one, volume in now.items()}
            nothing = TrackedMask(MaskPixels.empty())
            yield (
                done,
                {
                    frame: {one: slices.get(place, nothing) for one, slices in found.items()}
                    for place, frame in enumerate(self._lines[number])
                },
            )
            volumes.append(
                {one: _filled({place: each.mask for place, each in slices.items()}) for one, slices in found.items()}
            )

    def _fixed(self, object_id: int, number: int) -> dict[int, MaskPixels]:
        """Masks that are given, by their places on a line."""
        line = self._lines[number]
        return {line.index(frame): mask for frame, mask in self._masks[object_id].items() if frame in line}

    def _track_along_t(
        self,
        now: Mapping[int, Volume],
        volumes: Sequence[Mapping[int, Mapping[int, MaskPixels]]],
        number: int,
        place: int,
    ) -> None:
        """Track a slice of all objects from the line before to this one."""
        frames = [line[place] for line in self._lines[number - len(volumes) : number + 1]]
        last = len(volumes)
        objects = {}
        for one, volume in now.items():
            earlier = {step: masks[one][place] for step, masks in enumerate(volumes) if place in masks[one]}
            if last - 1 in earlier and place not in volume.fixed:
                objects[one] = LineTrack(earlier, (last, last))
        if objects:
            for step, found in self._tracking.track(frames, self._along_t, objects):
                for one, mask in found.items():
                    if step == last and one in objects:
                        now[one].along_t[place] = mask

    def _track_along_z(self, now: Mapping[int, Volume], number: int) -> Iterator[None]:
        """Track along the line from a sure slice, and once more from all those that agree with what was found so."""
        left = {one: volume.seeds() for one, volume in now.items()}
        for _ in range(SEEDS):
            tracks = {}
            for one, seeds in left.items():
                volume = now[one]
                if not seeds:
                    continue
                known = volume.known()
                chosen = [place for place in seeds if place in volume.fixed] or seeds[:1]
                tracks[one] = LineTrack({place: known[place] for place in chosen}, self._reach(known))
            found: dict[int, Slices] = {one: {} for one in tracks}
            yield from self._gather(tracks, number, found)
            for one, along_z in found.items():
                volume = now[one]
                agreeing = volume.agreeing(along_z, self._options.agreement)
                if len(agreeing) > len(volume.anchors):
                    volume.anchors, volume.along_z = agreeing, along_z
                # most of its slices agree, or they are a person's: no better beginning is looked for
                is_settled = bool(_filled(volume.fixed)) or 2 * len(volume.anchors) > len(volume.known())
                left[one] = [] if is_settled else [place for place in left[one] if place not in agreeing]
        tracks = {}
        for one, volume in now.items():
            known = volume.known()
            is_open = any(
                mask.mask.area or known.get(place)
                for place, mask in volume.along_z.items()
                if place not in volume.anchors
            )
            if len(volume.anchors) > 1 and is_open:
                tracks[one] = LineTrack({place: known[place] for place in volume.anchors}, self._reach(known))
        found = {one: {} for one in tracks}
        yield from self._gather(tracks, number, found)
        for one, along_z in found.items():
            now[one].along_z = along_z

    def _gather(self, tracks: Mapping[int, LineTrack], number: int, found: Mapping[int, Slices]) -> Iterator[None]:
        if tracks:
            for place, masks in self._tracking.track(self._lines[number], self._along_z, tracks):
                for one, mask in masks.items():
                    if one in found and tracks[one].reach[0] <= place <= tracks[one].reach[1]:
                        found[one][place] = mask
                yield

    def _reach(self, known: Mapping[int, MaskPixels]) -> tuple[int, int]:
        growth, depth = self._options.growth, len(self._lines[0])
        return max(0, min(known) - growth), min(depth - 1, max(known) + growth)


def _filled(masks: Mapping[int, MaskPixels]) -> dict[int, MaskPixels]:
    return {place: mask for place, mask in masks.items() if mask.area}
