"""Segment and track objects on planes larger than the model sees, tile by tile."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.tile_grid import Tile, TileGrid, Window
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks, linked_parts, merged_part
from sam2_core.inference.tile_prompts import checked_plane_mask, checked_plane_prompt, prompt_in_window
from sam2_core.inference.tile_state import PlaneObject, PlanePrompt, TiledState
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_prompts import checked_frame_index
from sam2_core.volumes.frames import FrameSource, open_frames

DEFAULT_BUDGET_BYTES = 2 * 2**30
#: A cell of the model's mask grid, in pixels of its input: closer than this to a tile's border a mask may be cut off.
_MASK_CELL = 4
#: Share of what a neighbour handed over that has to be found again, for the rest to be trusted.
_LEAST_AGREEMENT = 0.5


class TiledTracker:
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
        if memory_budget_bytes < 0:
            raise InvalidInputError(f"memory_budget_bytes is a number of bytes, 0 or more; got {memory_budget_bytes}.")
        self.predictor = predictor
        self.tile_size = tile_size
        self.halo = halo
        self.memory_budget_bytes = memory_budget_bytes

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
        grid = TileGrid.for_model(
            stack.frame_size, self.predictor.input_size, tile_size=self.tile_size, halo=self.halo
        )
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
        self._forget_handed(state, tracked, frame_index, keep=targets)
        found = {}
        for tile in targets:
            if (local := prompt_in_window(prompt, tile.window)) is not None:
                found[tile] = self._answer(state, tracked, frame_index, tile, local)
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
        self._forget_handed(state, tracked, frame_index, keep=tiles)
        found = {}
        for tile in tiles:
            part = given.cut_to(tile.window)
            if part.window.area:
                found[tile] = self._answer(state, tracked, frame_index, tile, PlanePrompt(mask=part))
        state.objects[object_id] = tracked
        return self._finished(state, tracked, frame_index, found, is_whole=True)

    def masks_on_frame(self, state: TiledState, frame_index: int) -> PlaneMasks:
        """Return what is known of all objects on a frame, without running the network.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        return self._results(state, frame_index, state.objects.values())

    def remove_object(self, state: TiledState, object_id: Hashable) -> None:
        """Remove an object with everything found for it.

        Raises
        ------
        StateError
            There is no such object.
        """
        tracked = state.object(object_id)
        for tile in state.tiles:
            self.predictor.remove_object(state.tiles.open(tile), object_id, need_output=False)
        state.records.forget(tracked.number)
        del state.objects[object_id]

    def propagate(
        self,
        state: TiledState,
        start_frame: int | None = None,
        frame_count: int | None = None,
        *,
        reverse: bool = False,
    ) -> Iterator[PlaneMasks]:
        """Carry the objects through the stack, frame by frame, from tile to tile.

        Parameters
        ----------
        state : TiledState
            The stack, from :meth:`init_state`.
        start_frame : int, optional
            Index of the frame to begin with; by default the earliest one with a prompt.
        frame_count : int, optional
            How many frames, the first included; by default, and at most, all that are left in this direction.
        reverse : bool
            Go towards the stack's first frame rather than its last.

        Returns
        -------
        iterator of PlaneMasks
            For each frame, computed when it is asked for, all objects.

        Raises
        ------
        StateError
            There is no object.
        InvalidTypeError, InvalidInputError
            There is no such frame, or ``frame_count`` is negative. All of these at the call, before the first frame.
        """
        if start_frame is not None:
            start_frame = checked_frame_index(start_frame, state.num_frames)
        if frame_count is not None and frame_count < 0:
            raise InvalidInputError(f"The number of frames to track cannot be negative; got {frame_count}.")
        if not state.objects:
            raise StateError("There is nothing to propagate: add points, a box or a mask for an object first.")
        if start_frame is None:
            start_frame = min(frame for tracked in state.objects.values() for frame in tracked.prompted_frames())
        left = start_frame + 1 if reverse else state.num_frames - start_frame
        count = left if frame_count is None else min(frame_count, left)
        step = -1 if reverse else 1
        return self._propagated(state, range(start_frame, start_frame + step * count, step), reverse)

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

    def _forget_handed(self, state: TiledState, tracked: PlaneObject, frame_index: int, keep: Sequence[Tile]) -> None:
        """Take back what was handed on from an earlier answer on this frame, which a new one replaces."""
        kept = {tile.index for tile in keep}
        for tile in tracked.forget_handed(frame_index):
            if tile not in kept and tile in state.tiles:
                self.predictor.remove_object(state.tiles.open(tile), tracked.object_id, need_output=False)

    def _answer(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, tile: Tile, prompt: PlanePrompt
    ) -> ObjectMask:
        """Prompt one tile and note the prompt."""
        self._restore(state, tracked, tile)
        answer = self._prompted(state, tracked, frame_index, tile, prompt)
        tracked.add(tile.index, frame_index, prompt)
        return answer

    def _prompted(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, tile: Tile, prompt: PlanePrompt
    ) -> ObjectMask:
        video = state.tiles.open(tile.index)
        if prompt.mask is not None:
            result = self.predictor.prompt_mask(
                video, frame_index, tracked.object_id, prompt.mask.pixels_in(tile.window)
            )
        else:
            left, top = tile.window.left, tile.window.top
            result = self.predictor.prompt_points(
                video,
                frame_index,
                tracked.object_id,
                *((prompt.points - np.array([left, top], np.float32), prompt.labels) if len(prompt.points) else ()),
                box=None if prompt.box is None else np.array(prompt.box) - np.array([left, top, left, top]),
                clear_old_points=prompt.replaces,
            )
        state.tiles.count_records(tile.index, 1)
        return _found(result, tracked.object_id, tile.window)

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
            self._hand_over(state, tracked, frame_index, found)
        parts = {tile.index: part for tile, part in found.items()}
        kept = {
            place: part
            for place, part in state.records.parts(frame_index, tracked.number).items()
            if place not in parts and place in tracked.tiles_prompted_on(frame_index)
        }
        state.records.put(frame_index, tracked.number, {**kept, **parts})
        return self.masks_on_frame(state, frame_index)

    # -- from tile to tile -------------------------------------------------------------------------------------------------

    def _hand_over(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, found: dict[Tile, ObjectMask]
    ) -> list[Tile]:
        """Hand an object on to the tiles it reaches; adds what they find and returns them."""
        grid = state.grid
        if len(grid) == 1:
            return []
        touching = min(grid.halo, self._mask_cell(grid))
        # an object that may move on is handed before it is cut off
        near = touching if state.num_frames == 1 else max(touching, grid.halo // 2)
        queue, added = deque(found), []
        while queue:
            tile = queue.popleft()
            part = found[tile]
            beyond = _outside(part, grid.inner_part(tile, near))
            if not beyond.window.area:
                continue
            is_cut = bool(_outside(part, grid.inner_part(tile, touching)).window.area)
            for neighbour in grid.cores_touching(beyond.window):
                if neighbour in found or not beyond.cut_to(neighbour.core).window.area:
                    continue
                found[neighbour] = self._handed(
                    state, tracked, frame_index, neighbour, part.cut_to(neighbour.window), is_cut=is_cut
                )
                added.append(neighbour)
                queue.append(neighbour)
        return added

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
        self._restore(state, tracked, tile)
        answer = self._prompted(state, tracked, frame_index, tile, PlanePrompt(mask=part))
        if is_cut:
            click = PlanePrompt(points=_deepest_point(part), labels=np.ones(1, np.int32))
            drawn = self._prompted(state, tracked, frame_index, tile, click)
            # the model may take the click for another thing: then the part is all that is sure
            if _agreement(drawn, part) >= _LEAST_AGREEMENT:
                answer = drawn
            else:
                answer = self._prompted(state, tracked, frame_index, tile, PlanePrompt(mask=part))
        if answer.window.area:
            tracked.add(tile.index, frame_index, PlanePrompt(mask=answer, is_handed=True))
        return answer

    def _mask_cell(self, grid: TileGrid) -> int:
        shrinking = max(
            tile / side for tile, side in zip(grid.tile_size, self.predictor.input_size, strict=True)
        )
        return max(2, int(np.ceil(_MASK_CELL * shrinking)))

    def _restore(
        self, state: TiledState, tracked: PlaneObject, tile: Tile, previous_frame: int | None = None
    ) -> None:
        """Make sure that a tile's video knows an object: repeat its prompts there, and its last mask, if it does not."""
        video = state.tiles.open(tile.index)
        if tracked.object_id in video.obj_ids:
            return
        prompts = tracked.prompts.get(tile.index, {})
        for frame_index in sorted(prompts):
            for prompt in prompts[frame_index]:
                self._prompted(state, tracked, frame_index, tile, prompt)
        if previous_frame is not None and previous_frame not in prompts:
            last = state.records.parts(previous_frame, tracked.number).get(tile.index)
            if last is not None and last.window.area:
                self._prompted(state, tracked, previous_frame, tile, PlanePrompt(mask=last))

    # -- propagation ---------------------------------------------------------------------------------------------------------

    def _propagated(self, state: TiledState, frames: Sequence[int], reverse: bool) -> Iterator[PlaneMasks]:
        if not frames:
            return
        objects = list(state.objects.values())
        previous = frames[0] + (1 if reverse else -1)
        active = {
            tracked.object_id: self._tiles_at_start(state, tracked, frames[0], previous) for tracked in objects
        }
        for count, frame_index in enumerate(frames):
            objects = [tracked for tracked in objects if state.objects.get(tracked.object_id) is tracked]
            if not objects:
                return
            for tracked in objects:
                active[tracked.object_id].update(
                    {state.grid[tile] for tile in tracked.tiles_prompted_on(frame_index)}
                )
            found: dict[Hashable, dict[Tile, ObjectMask]] = {tracked.object_id: {} for tracked in objects}
            # to and fro, so that the tiles that stay open are those that come next
            for tile in sorted(set().union(*active.values()), reverse=bool(count % 2), key=lambda tile: tile.index):
                here = [tracked for tracked in objects if tile in active[tracked.object_id]]
                for tracked, part in self._tracked_in_tile(state, tile, here, frame_index, previous, reverse):
                    found[tracked.object_id][tile] = part
            for tracked in objects:
                parts = found[tracked.object_id]
                self._hand_over(state, tracked, frame_index, parts)
                active[tracked.object_id] = self._still_active(tracked.object_id, parts)
                state.records.put(
                    frame_index, tracked.number, {tile.index: part for tile, part in parts.items()}
                )
            previous = frame_index
            yield self._results(state, frame_index, objects)

    def _tiles_at_start(
        self, state: TiledState, tracked: PlaneObject, frame_index: int, previous: int
    ) -> set[Tile]:
        """Tiles in which an object is followed from a frame on: those it was found in there, else the prompted ones."""
        for known_frame in (frame_index, previous):
            parts = state.records.parts(known_frame, tracked.number)
            tiles = linked_parts({state.grid[tile]: part for tile, part in parts.items()})
            if tiles:
                return set(tiles)
        return {state.grid[tile] for tile in tracked.tiles_prompted_by_a_person()}

    def _tracked_in_tile(
        self,
        state: TiledState,
        tile: Tile,
        objects: Sequence[PlaneObject],
        frame_index: int,
        previous: int,
        reverse: bool,
    ) -> Iterator[tuple[PlaneObject, ObjectMask]]:
        """Track some objects to a frame in one tile."""
        known_before = previous if 0 <= previous < state.num_frames else None
        for tracked in objects:
            self._restore(state, tracked, tile, known_before)
        video = state.tiles.open(tile.index)
        wanted = {tracked.object_id for tracked in objects}
        for object_id in video.obj_ids:
            if object_id not in wanted:
                self.predictor.remove_object(video, object_id, need_output=False)
        state.tiles.count_records(tile.index, len(objects))
        for result in self.predictor.propagate(video, frame_index, 1, reverse=reverse):
            for tracked in objects:
                yield tracked, _found(result, tracked.object_id, tile.window)

    @staticmethod
    def _still_active(object_id: Hashable, parts: dict[Tile, ObjectMask]) -> set[Tile]:
        """Tiles in which to go on: all but those that the object has left."""
        whole = merged_part(object_id, parts)
        if not whole.window.area:
            return set(parts)
        linked = linked_parts(parts)
        return {tile for tile in parts if tile in linked or whole.cut_to(tile.window).window.area}

    def _results(self, state: TiledState, frame_index: int, objects: Iterable[PlaneObject]) -> PlaneMasks:
        masks = []
        for tracked in objects:
            parts = {
                state.grid[tile]: part for tile, part in state.records.parts(frame_index, tracked.number).items()
            }
            nothing = ObjectMask.from_pixels(tracked.object_id, np.zeros((0, 0), np.bool_))
            masks.append(merged_part(tracked.object_id, parts) if parts else nothing)
        return PlaneMasks(frame_index, state.grid.frame_size, masks)


def _found(result: FrameMasks, object_id: Hashable, window: Window) -> ObjectMask:
    """One object's mask out of a tile's results, in pixels of the plane."""
    row = result.object_ids.index(object_id)
    return ObjectMask.from_pixels(
        object_id,
        (result.logits[row, 0] > 0).cpu().numpy(),
        (window.top, window.left),
        float(result.predicted_ious[row]),
        float(result.object_scores[row]),
    )


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
