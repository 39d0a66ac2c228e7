"""Random label stacks: holes, touching objects, single pixels, gaps, wide ids, empty frames, single frames."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

# every format, what its destination is called, and what has to be said to open it
DESTINATIONS = {
    "tiff": ("a.tif", {}),
    "ome-tiff": ("a.ome.tif", {}),
    "ome-zarr": ("a.zarr", {}),
    "ome-zarr labels": ("image.zarr/labels/cells", {}),
    "coco": ("a.json", {}),
    "imagej-roi": ("a.zip", {}),
    "ctc": ("01_RES", {"axis": "t"}),
    "ctc volume": ("02_RES", {"axis": "z"}),
    "png": ("masks", {"format": "png"}),
    "png 16": ("masks16", {"format": "png", "dtype": "uint16"}),
}
LARGEST = {"png": 255}


@st.composite
def label_stacks(draw, largest=65535):
    """(frame, y, x), int64."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 14), st.integers(1, 14)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = np.unique(generator.integers(1, largest + 1, draw(st.integers(1, 6))))
    if draw(st.booleans()):
        ids[-1] = largest
    kind = draw(st.sampled_from(["blocks", "noise", "empty", "full"]))
    if kind == "empty":
        return np.zeros(shape, np.int64)
    if kind == "full":
        return np.full(shape, ids[0])
    if kind == "noise":  # single pixels, diagonal contacts, holes
        return np.where(generator.random(shape) < generator.random(), generator.choice(ids, shape), 0)
    labels = np.zeros(shape, np.int64)
    for object_id in ids:  # boxes, some with a hole, on some of the frames
        for frame in np.flatnonzero(generator.random(shape[0]) < 0.7):
            y, x = generator.integers(0, shape[1]), generator.integers(0, shape[2])
            height, width = generator.integers(1, 8, 2)
            labels[frame, y : y + height, x : x + width] = object_id
            if generator.random() < 0.4:
                labels[frame, y + 1 : y + height - 1, x + 1 : x + width - 1] = 0
    return labels


def painted_stack(frames=4, size=(40, 50), ids=(1, 7, 300), seed=0):
    """A stack (frame, y, x) with a ring, touching boxes, a speck and a frame without objects."""
    generator = np.random.default_rng(seed)
    labels = np.zeros((frames, *size), np.int64)
    for frame in range(frames):
        if frame == frames // 2 and frames > 2:
            continue
        for position, object_id in enumerate(ids):
            y, x = generator.integers(2, size[0] - 16), 2 + position * 14
            labels[frame, y : y + 12, x : x + 14] = object_id
        labels[frame, y + 4 : y + 8, x + 4 : x + 8] = 0
        labels[frame, 0, 0] = ids[0]
    return labels
