"""Everything on a frame: the objects there are, or all masks that may be objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
from sam2_core.inference.tile_everything import TileCandidate, TiledMaskGenerator, candidates_of
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.messages import (
    Candidate,
    CandidatesFound,
    Everything,
    FoundMask,
    FrameFound,
    MaskData,
)

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.volumes.embedding_store import EmbeddingStore
    from sam2_core.volumes.frame_stack import FrameStack


def everything_on(
    predictor: SAM2VideoPredictor,
    stack: FrameStack,
    request: Everything,
    store: EmbeddingStore | None,
    *,
    progress: Callable[[int, int], object],
    cancelled: Callable[[], bool],
) -> FrameFound | CandidatesFound:
    """Find all objects on a frame: on the whole of it, or with the preset "crops" tile by tile.

    Or, if the request keeps candidates, all masks on it that may be objects.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    stack : FrameStack
    request : Everything
    store : EmbeddingStore, optional
        Where features of tiles are looked for and kept.
    progress : callable
        Called with what is done and the whole.
    cancelled : callable
        Asked between batches of points.

    Raises
    ------
    GenerationCancelledError
        `cancelled` returned true.
    InvalidInputError
        An option that there is not.
    """
    frame = request.frame
    if request.preset == "crops":
        tiled = TiledMaskGenerator(TiledTracker(predictor), **request.options)
        if request.keeps_candidates:
            every = tiled.candidates(stack, frame, embedding_store=store, progress=progress, cancelled=cancelled)
            return CandidatesFound(request.job, frame, tuple(map(_candidate, every)))
        tiles = tiled.generate(stack, frame, embedding_store=store, progress=progress, cancelled=cancelled)
        objects = [(_pixels(one), one.predicted_iou, one.object_score) for tile in tiles for one in tile.objects]
        return _found(request, objects)
    generator = SAM2AutomaticMaskGenerator(predictor, **request.options)
    image = stack.read(frame)
    if request.keeps_candidates:
        table = generator.candidates(image, progress=progress, cancelled=cancelled)
        return CandidatesFound(request.job, frame, tuple(map(_candidate, candidates_of(table))))
    annotations = generator.generate(image, progress=progress, cancelled=cancelled)
    return _found(
        request,
        [(MaskPixels.cut(one["segmentation"]), one["predicted_iou"], one["object_score"]) for one in annotations],
    )


def _found(request: Everything, objects: Iterable[tuple[MaskPixels, float, float]]) -> FrameFound:
    """Masks with their predicted IoU and object score, numbered and packed."""
    masks = tuple(
        FoundMask(number, MaskData.of(pixels), iou, score) for number, (pixels, iou, score) in enumerate(objects)
    )
    return FrameFound(request.job, request.frame, masks)


def _pixels(found: ObjectMask) -> MaskPixels:
    return MaskPixels.cut(found.mask, (found.window.top, found.window.left))


def _candidate(one: TileCandidate) -> Candidate:
    found = one.found
    mask = MaskData.of(_pixels(found))
    return Candidate(mask, found.predicted_iou, found.object_score, one.stability_score, one.crop.box)
