"""The catalogue: eight official models and the shipped one, under each of their names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sam2_core.checkpoints.catalogue import CATALOGUE, everything_thresholds, find_entry, get_entry
from sam2_core.checkpoints.config import config_names
from sam2_core.errors import UnknownModelError

OFFICIAL = [entry for entry in CATALOGUE.values() if not entry.shipped]


def test_it_holds_the_official_models_and_the_shipped_one() -> None:
    sizes = ("tiny", "small", "base_plus", "large")
    expected = {f"{family}_hiera_{size}" for family in ("sam2", "sam2.1") for size in sizes}

    assert set(CATALOGUE) == expected | {"sam2.1_hiera_micro"}


@pytest.mark.parametrize("entry", OFFICIAL, ids=lambda entry: entry.name)
def test_an_official_model_is_found_by_each_of_its_names(entry) -> None:  # type: ignore[no-untyped-def]
    assert find_entry(entry.name) is find_entry(entry.hf_id) is find_entry(entry.file_name) is entry
    assert entry.config in config_names()
    assert re.fullmatch(r"https://dl\.fbaipublicfiles\.com/segment_anything_2/0[79]2824/\S+\.pt", entry.url)
    assert entry.url.endswith(f"/{entry.file_name}")
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    # fp32 weights and a little for names: a size or a parameter count of another model would not fit
    assert 0 < entry.size_bytes - 4 * entry.parameters < 500_000
    assert re.fullmatch(r"facebook/sam2(\.1)?-hiera-(tiny|small|base-plus|large)", entry.hf_id)


def test_checksums_and_addresses_differ() -> None:
    assert len({entry.sha256 for entry in OFFICIAL}) == len({entry.url for entry in OFFICIAL}) == 8


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"Did you mean 'sam2.1_hiera_tiny'\?.*sam2_hiera_large") as caught:
        get_entry("sam2.1_hiera_tinny")

    assert isinstance(caught.value, LookupError)


def test_thresholds_are_those_that_a_model_names() -> None:
    micro = CATALOGUE["sam2.1_hiera_micro"]
    suits = {"pred_iou_thresh": micro.min_iou, "stability_score_thresh": micro.min_stability}

    assert everything_thresholds(micro.name) == suits
    assert everything_thresholds(Path(micro.file_name)) == suits
    for model in ("sam2.1_hiera_tiny", "nobody's", object(), None):
        assert everything_thresholds(model) == {}


def test_listing_the_catalogue_does_not_import_torch() -> None:
    program = "import sys; from sam2_core.checkpoints import CATALOGUE, cache_folder; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
