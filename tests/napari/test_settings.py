"""What the preferences say, and what comes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sam2_core.checkpoints.cache import cache_folder
from sam2_core.volumes.embedding_store import embeddings_folder
from sam2_napari import settings
from sam2_napari.settings import use_cache_folder, worker_options


@pytest.fixture
def preferences(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a person changed in them."""
    changed: dict[str, Any] = {}
    real = settings.setting
    monkeypatch.setattr(
        settings, "setting", lambda group, name, default=None: changed.get(name, real(group, name, default))
    )
    return changed


def test_the_worker_gets_device_and_memory(preferences: dict[str, Any]) -> None:
    assert worker_options() == {"feature_memory_bytes": 512 * 2**20}
    preferences.update(device=" CUDA:1 ", memory_mb=64)
    assert worker_options() == {"feature_memory_bytes": 64 * 2**20, "device": "cuda:1"}
    preferences["device"] = ""
    assert "device" not in worker_options()


def test_the_cache_folder_is_everybodys_until_none_is_chosen(
    preferences: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAM2_LAB_CACHE", "as it was")
    monkeypatch.delenv("SAM2_LAB_EMBEDDINGS", raising=False)
    use_cache_folder()
    assert os.environ["SAM2_LAB_CACHE"] == "as it was"
    for chosen in (tmp_path / "first", tmp_path / "second"):
        preferences["folder"] = str(chosen)
        use_cache_folder()
        assert cache_folder() == chosen / "checkpoints"
        assert embeddings_folder() == chosen / "embeddings"
    preferences["folder"] = ""
    use_cache_folder()
    assert os.environ["SAM2_LAB_CACHE"] == "as it was"
    assert "SAM2_LAB_EMBEDDINGS" not in os.environ
