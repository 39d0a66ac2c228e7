"""Segment and track objects on planes larger than the model sees, tile by tile."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_core.inference.mask_depth import innermost
from sam2_core.inference.place_tracker import DEFAULT_BUDGET_BYTES
from sam2_core.inference.plane_correction import PlaneCorrection
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import Tile, TileGrid, Window
from sam2_core.inference.tile_masks import ObjectMask, linked_parts, merged_part
from sam2_core.inference.tile_prompts import prompt_in_window
from sam2_core.inference.tile_state import PlaneState
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

#: A cell of the model's mask grid, in pixels of its input: closer than this to a tile's border a mask may be cut off.
_MASK_CELL = 4
#: Share of what a neighbour handed over that has to be found again, for the rest to be trusted.
_LEAST_AGREEMENT = 0.5


#: Specks of less than this share of a mask lead nowhere: they are the model's noise more often than the object.
_LEAST_BEYOND = 0.01


class TiledState(PlaneState):
    """A stack being worked on in tiles, as :meth:`TiledTracker.init_state` hands it out; its places are the tiles.

    Attributes
    ----------
    grid : TileGrid
        The tiles.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        stack: FrameStack,
        grid: TileGrid,
        budget_bytes: int,
        folder: Path | None = None,
        store: EmbeddingStore | None = None,
    ) -> None:
        self.grid = grid
        tiles = {"tile_size": list(grid.tile_size), "halo": grid.halo}
        super().__init__(predictor, stack, budget_bytes, folder, tiles, store)

    def frames_of(self, place: int) -> FrameStack:
        """Return the frames that a tile shows."""
        return WindowFrames(self.stack, self.grid[place].window)

    def window_of(self, place: int, frame_index: int) -> Window:
        """Return the part of a frame that a tile shows, the same on every frame."""
        return self.grid[place].window


@dataclass
class TilesFollowed:
    """Where objects are while they are followed, by their numbers.

    Attributes
    ----------
    active : dict of int to set of int
        The tiles in which each is looked for.
    last_seen : dict of int to (float, float) or None
        The middle, (x, y), of each when it was last seen.
    """

    active: dict[int, set[int]]
    last_seen: dict[int, tuple[float, float] | None]


class TiledTracker(PlaneCorrection[TiledState, TilesFollowed]):
    """Track objects on planes of any size: a predictor that looks at them through tiles.

    Each prompt goes to the tile that answers for its place; a tile is read and encoded only if there is something to do
    in it. An object whose mask comes near the border of its tile's view is handed to the neighbour, with the part
    that the neighbour sees as mask prompt, and is tracked there too; its mask is what each tile finds in its own core.
    A plane that the model sees well is one tile, and results are those of the predictor itself.

    Methods are those of :class:`SAM2VideoPredictor` of the same names. Coordinates are pixels of the whole plane, and
    results hold each object's bounding box and the pixels in it (:class:`PlaneMasks`).

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work in the tiles.
    tile_size : int or (int, int), optional
        Side, or (height, width), of the tiles in pixels; by default the model's input, or the whole plane where it is
        up to 1.5 times as large (:meth:`TileGrid.for_model`). Tiles smaller than the input are magnified.
    halo : int, optional
        How far tiles see beyond their core; by default an eighth of a tile. At best as wide as a cell.
    memory_budget_bytes : int
        Size up to which tiles are kept open. A closed one is opened again from the object's prompts and its last mask.
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        *,
        tile_size: int | tuple[int, int] | None = None,
        halo: int | None = None,
        memory_budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        super().__init__(predictor, memory_budget_bytes)
        self.tile_size = tile_size
        self.halo = halo

    def completed(self, state: TiledState, frame_index: int, tile: Tile, found: ObjectMask) -> ObjectMask:
        """Follow a mask that a tile cuts off into its neighbours; no object is added to the state.

        Parameters
        ----------
        state : TiledState
            The stack, from :meth:`init_state`.
        frame_index : int
            Index of the frame, from 0.
        tile : Tile
            The tile in whose window the mask was found.
        found : ObjectMask
            The mask.

        Returns
        -------
        ObjectMask
            The whole mask; ``found`` itself where the tile sees all of it.
        """
        parts = {tile: found}
        guest = PlaneObject(None, state.new_number())
        self._hand_over(state, guest, frame_index, parts, self._cutting_distance(state.grid))
        for place in state.videos:
            self._leave(state, guest, place)
        return found if len(parts) == 1 else merged_part(found.object_id, parts)

    def _new_state(self, stack: FrameStack, folder: Path | None, store: EmbeddingStore | None) -> TiledState:
        grid = TileGrid.for_model(stack.frame_size, self.predictor.input_size, tile_size=self.tile_size, halo=self.halo)
        return TiledState(self.predictor, stack, grid, self.memory_budget_bytes, folder, store)

    # -- prompts -------------------------------------------------------------------------------------------------------

    def _placed_points(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, prompt: PlanePrompt
    ) -> dict[int, ObjectMask]:
        known = state.records.parts(frame_index, tracked.number)
        targets = self._tiles_of(state, prompt, known)
        self._forget(state, tracked, frame_index, keep=targets, handed_only=not prompt.replaces)
        found = {}
        for tile in targets:
            if (local := prompt_in_window(prompt, tile.window)) is not None:
                found[tile] = self._answer(state, tracked, frame_index, tile.index, local)
        self._hand_over(state, tracked, frame_index, found, self._handing_distance(state))
        return self._with_known(state, tracked, frame_index, found)

    def _placed_mask(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, given: ObjectMask
    ) -> dict[int, ObjectMask]:
        home = state.grid.at(*given.centroid)
        tiles = [home]
        if not home.window.holds(given.window):
            tiles += [
                tile
                for tile in state.grid.cores_touching(given.window)
                if tile != home and given.cut_to(tile.core).window.area
            ]
        self._forget(state, tracked, frame_index, keep=tiles, handed_only=False)
        found = {}
        for tile in tiles:
            part = given.cut_to(tile.window)
            if part.window.area:
                found[tile] = self._answer(state, tracked, frame_index, tile.index, PlanePrompt(mask=part))
        return self._with_known(state, tracked, frame_index, found)

    def _tiles_of(self, state: TiledState, prompt: PlanePrompt, known: dict[int, ObjectMask]) -> list[Tile]:
        """Tiles a prompt goes to: the one that answers for its place, and those the rest of it falls to."""
        positive = prompt.points[prompt.labels == 1]
        if prompt.box is not None:
            height, width = state.grid.frame_size
            x0, y0, x1, y1 = prompt.box
            middle = (max(x0, 0) + min(x1, width)) / 2, (max(y0, 0) + min(y1, height)) / 2
        else:
            middle = tuple((positive if len(positive) else prompt.points)[0].tolist())
        # a correction goes where the object is already followed
        tracking = [state.grid[tile] for tile, part in known.items() if part.window.area]
        tiles = [tile for tile in tracking if any(tuple(point) in tile.window for point in prompt.points.tolist())]
        if prompt.replaces or not tiles:
            home = state.grid.at(*middle)
            tiles = [home, *(tile for tile in tiles if tile != home and not prompt.replaces)]
        for x, y in positive.tolist():
            if not any((x, y) in tile.window for tile in tiles):
                tiles.append(state.grid.at(x, y))
        return tiles

    def _forget(
        self,
        state: TiledState,
        tracked: PlaneObject,
        frame_index: int,
        *,
        keep: Sequence[Tile],
        handed_only: bool,
    ) -> None:
        """Take back what was said on a frame, or handed on from it, in other tiles, which a new prompt replaces."""
        kept = {tile.index for tile in keep}
        for place in tracked.prompted_on(frame_index):
            is_handed = all(prompt.is_handed for prompt in tracked.prompts[place][frame_index])
            if place not in kept and (is_handed or not handed_only):
                tracked.forget(place, frame_index)
                self._leave(state, tracked, place)

    def _with_known(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, found: dict[Tile, ObjectMask]
    ) -> dict[int, ObjectMask]:
        """What a prompt found, and what is known from tiles that it does not concern."""
        parts = {tile.index: part for tile, part in found.items()}
        kept = {
            place: part
            for place, part in state.records.parts(frame_index, tracked.number).items()
            if place not in parts and place in tracked.prompted_on(frame_index)
        }
        return {**kept, **parts}

    # -- from tile to tile --------------------------------------------------------------------------------------------

    def _hand_over(
        self,
        state: TiledState,
        tracked: PlaneObject,
        frame_index: int,
        found: dict[Tile, ObjectMask],
        near: int,
    ) -> None:
        """Hand an object on to the tiles it reaches, and add what they find.

        Parameters
        ----------
        near : int
            Distance in pixels from the border of a tile's view at which a mask is handed on.
        """
        grid = state.grid
        if len(grid) == 1:
            return
        touching = self._cutting_distance(grid)
        queue = deque(found)
        while queue:
            tile = queue.popleft()
            part = found[tile]
            beyond = _outside(part, grid.inner_part(tile, near))
            if beyond.area < _LEAST_BEYOND * part.area or not beyond.window.area:
                continue
            is_cut = bool(_outside(part, grid.inner_part(tile, touching)).window.area)
            for neighbour in grid.cores_touching(beyond.window):
                if neighbour in found or not beyond.cut_to(neighbour.core).window.area:
                    continue
                found[neighbour] = self._handed(
                    state, tracked, frame_index, neighbour, part.cut_to(neighbour.window), is_cut=is_cut
                )
                queue.append(neighbour)

    def _handed(
        self,
        state: TiledState,
        tracked: PlaneObject,
        frame_index: int,
        tile: Tile,
        part: ObjectMask,
        *,
        is_cut: bool,
    ) -> ObjectMask:
        """Give a tile its part of an object; what the other tile could not see of it, it draws itself."""
        self._restore(state, tracked, tile.index)
        answer = self._prompted(state, tracked, frame_index, tile.index, PlanePrompt(mask=part))
        if is_cut:
            click = PlanePrompt(points=_deepest_point(part), labels=np.ones(1, np.int32))
            drawn = self._prompted(state, tracked, frame_index, tile.index, click)
            # the model may take the click for another thing: then the part is all that is sure
            if _agreement(drawn, part) >= _LEAST_AGREEMENT:
                answer = drawn
            else:
                answer = self._prompted(state, tracked, frame_index, tile.index, PlanePrompt(mask=part))
        if answer.window.area:
            tracked.add(tile.index, frame_index, PlanePrompt(mask=answer, is_handed=True))
        return answer

    def _cutting_distance(self, grid: TileGrid) -> int:
        """Pixels from the border of a tile's view within which a mask may be cut off: a cell of the mask grid."""
        shrinking = max(tile / side for tile, side in zip(grid.tile_size, self.predictor.input_size, strict=True))
        return min(grid.halo, max(2, math.ceil(_MASK_CELL * shrinking)))

    def _handing_distance(self, state: TiledState) -> int:
        """Pixels from the border of a tile's view within which an object is handed on."""
        cutting = self._cutting_distance(state.grid)
        # an object that may move on is handed before it is cut off
        return cutting if state.num_frames == 1 else max(cutting, state.grid.halo // 2)

    # -- propagation --------------------------------------------------------------------------------------------------

    def _followed_from(
        self, state: TiledState, objects: Sequence[PlaneObject], frame_index: int, previous: int
    ) -> TilesFollowed:
        return TilesFollowed(
            {one.number: self._tiles_at_start(state, one, frame_index, previous) for one in objects},
            {one.number: self._seen_at(state, one, (frame_index, previous)) for one in objects},
        )

    def _places(self, following: TilesFollowed, objects: Sequence[PlaneObject], frame_index: int) -> set[int]:
        for tracked in objects:
            following.active[tracked.number].update(tracked.prompted_on(frame_index))
        return set().union(*(following.active[tracked.number] for tracked in objects))

    def _follow(
        self,
        state: TiledState,
        following: TilesFollowed,
        objects: Sequence[PlaneObject],
        places: Sequence[int],
        frame_index: int,
        previous: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        near = self._handing_distance(state)
        active, last_seen = following.active, following.last_seen
        found: dict[int, dict[Tile, ObjectMask]] = {tracked.number: {} for tracked in objects}
        for place in places:
            here = [tracked for tracked in objects if place in active[tracked.number]]
            for tracked, part in self._tracked_in_place(state, place, here, frame_index, previous, should_stop):
                found[tracked.number][state.grid[place]] = part
        for tracked in objects:
            number = tracked.number
            parts, seen_at = found[number], last_seen[number]
            is_locked = tracked.is_locked(frame_index)
            if is_locked:
                known = state.records.parts(frame_index, number)
                parts = {state.grid[tile]: part for tile, part in known.items()}
            # a tile that took up something else is not followed; where nothing was found all go on looking
            followed = {tile: parts[tile] for tile in linked_parts(parts, seen_at)} or parts
            if not is_locked:
                self._hand_over(state, tracked, frame_index, followed, near)
            whole = merged_part(tracked.object_id, followed)
            looking = {tile for tile, part in parts.items() if not part.window.area and _reaches(whole, tile)}
            active[number] = {tile.index for tile in (*followed, *looking)}
            last_seen[number] = whole.centroid if whole.window.area else seen_at
            if not is_locked:
                state.records.put(frame_index, number, {tile.index: part for tile, part in followed.items()})

    def _noted(self, following: TilesFollowed) -> dict[str, Any]:
        return {
            "active": [[number, sorted(tiles)] for number, tiles in following.active.items()],
            "last_seen": [[number, seen_at] for number, seen_at in following.last_seen.items()],
        }

    def _following_from(self, state: TiledState, note: dict[str, Any]) -> TilesFollowed:
        return TilesFollowed(
            {number: set(tiles) for number, tiles in note["active"]},
            {number: None if seen_at is None else (seen_at[0], seen_at[1]) for number, seen_at in note["last_seen"]},
        )

    def _tiles_at_start(self, state: TiledState, tracked: PlaneObject, frame_index: int, previous: int) -> set[int]:
        """Tiles in which an object is followed from a frame on: those it was found in there, else the prompted ones."""
        for known_frame in (frame_index, previous):
            parts = state.records.parts(known_frame, tracked.number)
            tiles = linked_parts({state.grid[tile]: part for tile, part in parts.items()})
            if tiles:
                return {tile.index for tile in tiles}
        return set(tracked.prompted_by_a_person())

    def _seen_at(self, state: TiledState, tracked: PlaneObject, frames: Sequence[int]) -> tuple[float, float] | None:
        """Middle of an object on the first of some frames on which it is known."""
        for frame_index in frames:
            (known,) = self._results(state, frame_index, [tracked]).objects
            if known.window.area:
                return known.centroid
        return None

    def _joined(self, state: TiledState, object_id: Hashable, parts: dict[int, ObjectMask]) -> ObjectMask:
        return merged_part(object_id, {state.grid[tile]: part for tile, part in parts.items()})


def _reaches(found: ObjectMask, tile: Tile) -> bool:
    """Whether a tile sees any of a mask."""
    return bool(found.cut_to(tile.window).window.area)


def _outside(part: ObjectMask, inner: Window) -> ObjectMask:
    """The part of a mask that lies outside a window."""
    shared = part.window & inner
    if not shared.area:
        return part
    pixels = part.mask.copy()
    pixels[shared.within(part.window)] = False
    return ObjectMask.from_pixels(part.object_id, pixels, (part.window.top, part.window.left))


def _agreement(drawn: ObjectMask, part: ObjectMask) -> float:
    """Share of a part that was found again."""
    return drawn.overlap(part) / part.area if part.area else 0.0


def _deepest_point(part: ObjectMask) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(1, 2) as (x, y): the pixel of a mask that is farthest from its border, in pixels of the plane."""
    column, row = innermost(part.mask)
    return np.array([[part.window.left + column + 0.5, part.window.top + row + 0.5]], np.float32)
