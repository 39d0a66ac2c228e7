"""The names of presets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.preset_names import PRESET_WORDS, PRESETS, checked_preset


@pytest.mark.parametrize("preset", PRESETS)
def test_known(preset: str) -> None:
    assert checked_preset(preset) == preset


def test_each_has_words() -> None:
    assert tuple(PRESET_WORDS) == PRESETS
    for words in PRESET_WORDS.values():
        # front-ends begin or go on in a sentence with them
        assert words.label[0].islower()
        assert words.summary[0].islower()
        assert not words.summary.endswith(".")


@pytest.mark.parametrize("preset", ["tiles", "Exact", "", None, 1, ["crops"]])
def test_unknown(preset: object) -> None:
    with pytest.raises(InvalidInputError, match="preset is one of exact, crops"):
        checked_preset(preset)


def test_it_is_quick_to_import() -> None:
    done = "import sys, sam2_core.inference.preset_names; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", done], check=True)
