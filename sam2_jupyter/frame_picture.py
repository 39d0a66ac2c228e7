"""A session's frame with its objects, as a picture that stays in the notebook."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor, ImageDraw
from scipy import ndimage

from sam2_core.session.annotation_session import AnnotationSession

FILL = 0.35
#: Shorter sides are enlarged by a whole factor to at least this many pixels.
SMALLEST_SIDE = 320


def picture(session: AnnotationSession, frame: int = 0) -> Image.Image:
    """Draw a frame as the model sees it, with masks in their objects' colours, and prompts.

    Parameters
    ----------
    session : AnnotationSession
    frame : int

    Returns
    -------
    PIL.Image.Image
        RGB; small frames are enlarged.
    """
    frame = session.checked_frame(frame)
    height, width = session.frame_size
    factor = max(1, -(-SMALLEST_SIDE // min(height, width)))
    shown = np.repeat(np.repeat(session.stack.read(frame), factor, axis=0), factor, axis=1).astype(np.float32)
    colours = {one.id: np.array(ImageColor.getrgb(one.colour)[:3], np.float32) for one in session.objects}
    for object_id in session.records_on(frame):
        mask = np.kron(session.mask(object_id, frame), np.ones((factor, factor), bool))
        shown[mask] += (colours[object_id] - shown[mask]) * FILL
        shown[mask & ~ndimage.binary_erosion(mask)] = colours[object_id]
    drawn = Image.fromarray(shown.astype(np.uint8))
    pencil = ImageDraw.Draw(drawn)
    for prompt in session.prompts_on(frame).values():
        for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
            place = ((x + 0.5) * factor, (y + 0.5) * factor)
            pencil.circle(place, 4, fill="#2bd46b" if label else "#ff5a4d", outline="#ffffff")
        if prompt.box is not None:
            pencil.rectangle([value * factor for value in prompt.box], outline="#2bd46b", width=2)
    return drawn
