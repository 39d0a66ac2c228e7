"""Segment one cell in an image and track it through a stack, in Python.

Run from anywhere: python examples/segment_and_track.py. It draws its own stack, so no data is needed.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sam2_core import SAM2ImagePredictor, SAM2VideoPredictor, load_model, open_frames
from sam2_core.training.generator import draw_stack

# Any source does: open_frames("stack.tif"), a folder of pictures, an mp4, an array (z, y, x).
drawn = draw_stack(2, frames=12, size=(224, 224), kind="z")
stack = open_frames(drawn.image)
middle = len(stack) // 2

# Click into the middle of the largest cell of the middle slice; x comes before y.
areas = np.bincount(drawn.labels[middle].ravel())
cell = int(areas[1:].argmax()) + 1
y, x = np.unravel_index(ndimage.distance_transform_edt(drawn.labels[middle] == cell).argmax(), stack.frame_size)

# One image.
model = load_model("sam2.1_hiera_micro")
image_predictor = SAM2ImagePredictor(model)
image_predictor.set_image(stack.read(middle))
found = image_predictor.segment(point_coords=[[x, y]], point_labels=[1])
print(f"image: {found.best.sum()} pixels, predicted IoU {found.predicted_iou.max():.2f}")

# The whole stack, both ways from the click.
tracker = load_model("sam2.1_hiera_micro", overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"])
assert isinstance(tracker, SAM2VideoPredictor)
state = tracker.init_state(stack)
tracker.prompt_points(state, middle, object_id=1, points=[[x, y]], labels=[1])
masks = np.zeros(drawn.labels.shape, dtype=bool)
for reverse in (False, True):
    for frame in tracker.propagate(state, middle, reverse=reverse):
        masks[frame.frame_index] = frame.masks[0].cpu().numpy()
truth = drawn.labels == cell
iou = (masks & truth).sum() / (masks | truth).sum()
print(f"stack: found in {masks.any(axis=(1, 2)).sum()} slices, IoU with the truth {iou:.2f}")
