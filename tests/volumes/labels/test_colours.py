from __future__ import annotations

import numpy as np

from sam2_core.volumes.labels.colours import label_colours


def test_the_palette_of_pascal_voc():
    # as published with the VOC development kit
    assert label_colours(range(9)).tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]


def test_ids_have_colours_of_their_own():
    assert len(np.unique(label_colours(np.arange(70_000)), axis=0)) == 70_000
    assert label_colours([]).shape == (0, 3)
