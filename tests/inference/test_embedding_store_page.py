"""docs/embedding-store.md tells the truth: its code runs, and fills a store that the predictor then uses."""

from __future__ import annotations

import re

import numpy as np
import tifffile

from sam2_core.volumes.embedding_store import EmbeddingStore


def test_the_page_runs(tmp_path, monkeypatch, repository, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAM2_LAB_EMBEDDINGS", str(tmp_path / "store"))
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 80)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", frames, photometric="minisblack")
    page = (repository / "docs" / "embedding-store.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)

    assert capsys.readouterr().out.splitlines()[1:] == ["1 of 3", "2 of 3", "3 of 3"]
    assert names["embedding"].needed_bytes == names["store"].needed(3, names["predictor"])
    assert EmbeddingStore().usage().entries == 3
    assert EmbeddingStore().usage().stored_bytes == names["embedding"].needed_bytes
