"""Segment and track objects on planes larger than the model sees, tile by tile."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import Tile, TileGrid, Window
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks, linked_parts, merged_part
from sam2_core.inference.tile_plane import DEFAULT_BUDGET_BYTES, PlaneTracker
from sam2_core.inference.tile_prompts import checked_plane_mask, checked_plane_prompt, prompt_in_window
from sam2_core.inference.tile_state import PlaneObject, PlanePrompt, PlaneState
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_prompts import checked_frame_index
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import FrameSource, open_frames

#: A cell of the model's mask grid, in pixels of its input: closer than this to a tile's border a mask may be cut off.
_MASK_CELL = 4
#: Share of what a neighbour handed over that has to be found again, for the rest to be trusted.
_LEAST_AGREEMENT = 0.5


#: Specks of less than this share of a mask lead nowhere: they are the model's noise more often than the object.
_LEAST_BEYOND = 0.01
#: Object id, in the tiles' videos, of a mask that is followed and not kept.
_GUEST = object()


class TiledState(PlaneState):
    """A stack being worked on in tiles, as :meth:`TiledTracker.init_state` hands it out; its places are the tiles.

    Attributes
    ----------
    grid : TileGrid
        The tiles.
    """

    def __init__(self, predictor: SAM2VideoPredictor, stack: FrameStack, grid: TileGrid, budget_bytes: int) -> None:
        super().__init__(predictor, stack, budget_bytes)
        self.grid = grid

    def frames_of(self, place: int) -> FrameStack:
        """Return the frames that a tile shows."""
        return WindowFrames(self.stack, self.grid[place].window)

    def window_of(self, place: int, frame_index: int) -> Window:
        """Return the part of a frame that a tile shows, the same on every frame."""
        return self.grid[place].window


class TiledTracker(PlaneTracker[TiledState]):
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

    def init_state(self, source: FrameSource) -> TiledState:
        """Open a picture or a stack; nothing is read yet.

        Parameters
        ----------
        source : path, bytes, array, list or FrameStack
            See :func:`sam2_core.volumes.frames.open_frames`.

        Returns
        -------
        TiledState
            To be passed to every other method.

        Raises
        ------
        MissingFileError, InvalidInputError, InvalidTypeError
            Not a supported source, or a tile size or halo that does not fit it.
        """
        stack = open_frames(source)
        grid = TileGrid.for_model(stack.frame_size, self.predictor.input_size, tile_size=self.tile_size, halo=self.halo)
        return TiledState(self.predictor, stack, grid, self.memory_budget_bytes)

    def prompt_points(
        self,
        state: TiledState,
        frame_index: int,
        object_id: Hashable,
        points: Any = None,
        labels: Any = None,
        *,
        box: Any = None,
        clear_old_points: bool = True,
    ) -> PlaneMasks:
        """Say where an object is on a frame, by points, a box, or both.

        Parameters
        ----------
        state : TiledState
            The stack, from :meth:`init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        points : array_like, optional
            (P, 2) real numbers, each point (x, y), x first, in pixels of the plane.
        labels : array_like, optional
            (P,), given if and only if there are points: 1 on the object, 0 beside it.
        box : array_like, optional
            (4,) real numbers (x0, y0, x1, y1) in pixels of the plane.
        clear_old_points : bool
            Replace the points given earlier on this frame rather than add to them. A box needs this.

        Returns
        -------
        PlaneMasks
            All objects on this frame.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`SAM2VideoPredictor.prompt_points`; nothing is changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        prompt = checked_plane_prompt(points, labels, box, state.stack.frame_size, replaces=clear_old_points)
        tracked = state.object_or_new(object_id)
        known = state.records.parts(frame_index, tracked.number)
        targets = self._tiles_of(state, prompt, known)
        self._forget(state, tracked, frame_index, keep=targets, handed_only=not clear_old_points)
        found = {}
        for tile in targets:
            if (local := prompt_in_window(prompt, tile.window)) is not None:
                found[tile] = self._answer(state, tracked, frame_index, tile.index, local)
        state.objects[object_id] = tracked
        return self._finished(state, tracked, frame_index, found)

    def prompt_mask(
        self,
        state: TiledState,
        frame_index: int,
        object_id: Hashable,
        mask: Any,
        *,
        origin: tuple[int, int] | None = None,
    ) -> PlaneMasks:
        """Say which pixels of a frame an object covers.

        Parameters
        ----------
        state : TiledState
            The stack, from :meth:`init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        mask : array_like or ObjectMask
            (y, x), the object is where it is not 0: of the plane's size, or of any size with ``origin``.
        origin : (int, int), optional
            (x, y) of the mask's first pixel in the plane.

        Returns
        -------
        PlaneMasks
            All objects on this frame.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`SAM2VideoPredictor.prompt_mask`, or the mask is empty or lies outside the plane. Nothing is
            changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        given = checked_plane_mask(mask, origin, state.stack.frame_size, object_id)
        tracked = state.object_or_new(object_id)
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
        state.objects[object_id] = tracked
        return self._finished(state, tracked, frame_index, found, is_whole=True)

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
        guest = PlaneObject(_GUEST, 0)
        self._hand_over(state, guest, frame_index, parts, self._cutting_distance(state.grid))
        for place in state.videos:
            self._leave(state, guest, place)
        return found if len(parts) == 1 else merged_part(found.object_id, parts)

    # -- prompts -------------------------------------------------------------------------------------------------------

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

    def _finished(
        self,
        state: TiledState,
        tracked: PlaneObject,
        frame_index: int,
        found: dict[Tile, ObjectMask],
        *,
        is_whole: bool = False,
    ) -> PlaneMasks:
        """Hand on what a prompt found, and keep it."""
        if not is_whole:
            self._hand_over(state, tracked, frame_index, found, self._handing_distance(state))
        parts = {tile.index: part for tile, part in found.items()}
        kept = {
            place: part
            for place, part in state.records.parts(frame_index, tracked.number).items()
            if place not in parts and place in tracked.prompted_on(frame_index)
        }
        state.records.put(frame_index, tracked.number, {**kept, **parts})
        return self.masks_on_frame(state, frame_index)

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

    def _propagated(
        self, state: TiledState, frames: Sequence[int], reverse: bool, stop_when_empty: int | None
    ) -> Iterator[PlaneMasks]:
        if not frames:
            return
        objects = list(state.objects.values())
        previous = frames[0] + (1 if reverse else -1)
        near = self._handing_distance(state)
        active = {tracked.object_id: self._tiles_at_start(state, tracked, frames[0], previous) for tracked in objects}
        last_seen = {tracked.object_id: self._seen_at(state, tracked, (frames[0], previous)) for tracked in objects}
        for count, frame_index in enumerate(frames):
            objects = [tracked for tracked in objects if state.objects.get(tracked.object_id) is tracked]
            if not objects:
                return
            for tracked in objects:
                active[tracked.object_id].update({state.grid[tile] for tile in tracked.prompted_on(frame_index)})
            going_on = [
                tracked
                for tracked in objects
                if not self._has_ended(state, tracked, frame_index, reverse, stop_when_empty)
            ]
            found: dict[Hashable, dict[Tile, ObjectMask]] = {tracked.object_id: {} for tracked in going_on}
            # to and fro, so that the tiles that stay open are those that come next
            in_use = set().union(*(active[tracked.object_id] for tracked in going_on))
            for tile in sorted(in_use, reverse=bool(count % 2), key=lambda tile: tile.index):
                here = [tracked for tracked in going_on if tile in active[tracked.object_id]]
                for tracked, part in self._tracked_in_place(state, tile.index, here, frame_index, previous, reverse):
                    found[tracked.object_id][tile] = part
            for tracked in going_on:
                parts, seen_at = found[tracked.object_id], last_seen[tracked.object_id]
                # a tile that took up something else is not followed; where nothing was found all go on looking
                followed = {tile: parts[tile] for tile in linked_parts(parts, seen_at)} or parts
                self._hand_over(state, tracked, frame_index, followed, near)
                whole = merged_part(tracked.object_id, followed)
                looking = {tile for tile, part in parts.items() if not part.window.area and _reaches(whole, tile)}
                active[tracked.object_id] = {*followed, *looking}
                last_seen[tracked.object_id] = whole.centroid if whole.window.area else seen_at
                state.records.put(frame_index, tracked.number, {tile.index: part for tile, part in followed.items()})
            previous = frame_index
            yield self._results(state, frame_index, objects)

    def _tiles_at_start(self, state: TiledState, tracked: PlaneObject, frame_index: int, previous: int) -> set[Tile]:
        """Tiles in which an object is followed from a frame on: those it was found in there, else the prompted ones."""
        for known_frame in (frame_index, previous):
            parts = state.records.parts(known_frame, tracked.number)
            tiles = linked_parts({state.grid[tile]: part for tile, part in parts.items()})
            if tiles:
                return set(tiles)
        return {state.grid[tile] for tile in tracked.prompted_by_a_person()}

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
    depth = ndimage.distance_transform_edt(np.pad(part.mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), part.mask.shape)
    return np.array([[part.window.left + column + 0.5, part.window.top + row + 0.5]], np.float32)
