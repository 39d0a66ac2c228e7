from __future__ import annotations

import subprocess
import sys

import numpy as np

from sam2_core.volumes import open_frames


def test_an_open_stack_is_returned_as_it_is():
    stack = open_frames(np.zeros((4, 4), np.uint8))
    assert open_frames(stack) is stack


def test_strings_and_paths(tmp_path):
    from PIL import Image

    path = tmp_path / "ä b.png"
    Image.new("L", (3, 2), 9).save(path)
    assert np.array_equal(open_frames(str(path)).read(0), open_frames(path).read(0))


def test_opening_stacks_needs_neither_torch_nor_a_video_library():
    code = "import sys, sam2_core.volumes; print('torch' in sys.modules, 'av' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
