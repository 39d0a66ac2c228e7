"""Entries of an embedding store that are known by a number; imports no torch, so that processes start quickly."""

from __future__ import annotations

import numpy as np

from sam2_core.volumes.embedding_store import EmbeddingStore
from sam2_core.volumes.embedding_store_key import EmbeddingKey, FeatureSpace

SPACE = FeatureSpace("weights", "frame 64x64", "float32")
SHAPES = [(16, 16, 4), (8, 8, 8), (4, 4, 32)]
ENTRY_BYTES = 2 * (16 * 16 * 4 + 8 * 8 * 8 + 4 * 4 * 32) + 4


def key(number: int, space: FeatureSpace = SPACE) -> EmbeddingKey:
    return space.key(np.full((2, 2), number, np.int64))


def levels(number: int) -> list[np.ndarray]:
    random = np.random.default_rng(number)
    return [random.standard_normal(shape).astype(np.float16) for shape in SHAPES]


def holds(store: EmbeddingStore, number: int, space: FeatureSpace = SPACE) -> bool:
    """Whether an entry is there; if so, it must be the right one."""
    found = store.get(key(number, space))
    if found is not None:
        assert all(np.array_equal(level, expected) for level, expected in zip(found, levels(number), strict=True))
    return found is not None
