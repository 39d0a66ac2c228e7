"""Labels follow the stated priority, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.label_view import LabelView, label_numbers, labels_of


def frame_masks(logits: torch.Tensor, ids: list[Any]) -> FrameMasks:
    nothing = torch.zeros(len(ids))
    return FrameMasks(
        frame_index=0,
        object_ids=ids,
        frame_size=(logits.shape[-2], logits.shape[-1]),
        low_res_logits=logits,
        predicted_ious=nothing,
        object_scores=nothing,
    )


@given(seed=st.integers(0, 2**31), ids=st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True))
@settings(max_examples=30, deadline=None)
def test_a_pixel_shows_the_object_that_comes_first(seed: int, ids: list[int]) -> None:
    logits = torch.randn(len(ids), 1, 4, 5, generator=torch.Generator().manual_seed(seed))
    masks = frame_masks(logits, ids)
    order = sorted(ids, key=lambda each: each * 7 % 11)
    found = {priority: labels_of(masks, priority) for priority in ("surest", "lower id", "last")}
    found["order"] = labels_of(masks, order)
    for priority in (*found, order):
        if priority != "order":
            view = LabelView((4, 5), label_numbers(ids), priority, logits.device)
            for row, object_id in enumerate(ids):
                view.add(frame_masks(logits[row : row + 1], [object_id]))
            assert np.array_equal(view.labels, labels_of(masks, priority))

    for y in range(4):
        for x in range(5):
            value = dict(zip(ids, logits[:, 0, y, x].tolist(), strict=True))
            there = [each for each in ids if value[each] > 0]
            expected = dict.fromkeys(found, 0)
            if there:
                expected = {
                    "surest": max(there, key=value.__getitem__),
                    "lower id": min(there),
                    "last": there[-1],
                    "order": next(each for each in order if each in there),
                }
            assert {name: int(labels[y, x]) for name, labels in found.items()} == expected
    assert found["last"].dtype == np.int32


def test_ids_that_are_no_labels_are_numbered() -> None:
    assert label_numbers([4, 9]) == {4: 4, 9: 9}
    assert label_numbers(["a", 9]) == {"a": 1, 9: 2}
    assert label_numbers([0, 9]) == {0: 1, 9: 2}
    assert labels_of(frame_masks(torch.ones(1, 1, 2, 2), ["cell"])).tolist() == [[1, 1], [1, 1]]
    assert labels_of(frame_masks(torch.ones(0, 1, 2, 2), [])).tolist() == [[0, 0], [0, 0]]


def test_what_is_no_priority_is_refused() -> None:
    masks = frame_masks(torch.ones(2, 1, 2, 2), [1, 2])
    with pytest.raises(InvalidInputError, match="surest"):
        labels_of(masks, "loudest")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"\[2\] are missing"):
        labels_of(masks, [1])
