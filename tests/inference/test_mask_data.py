from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidTypeError
from sam2_core.inference.mask_data import MaskData


def test_a_table_of_masks_filters_and_joins_all_columns() -> None:
    data = MaskData(a=[1, 2, 3], b=np.arange(3), c=torch.arange(3.0))
    data.filter(torch.tensor([True, False, True]))
    data.cat(MaskData(a=[7], b=np.array([8]), c=torch.tensor([9.0])))
    data.filter(torch.tensor([2, 0]))

    assert data["a"] == [7, 1]
    assert data["b"].tolist() == [8, 0]
    assert data["c"].tolist() == [9, 0]
    data.to_numpy()
    assert isinstance(data["c"], np.ndarray)
    del data["a"]
    assert "a" not in data
    with pytest.raises(InvalidTypeError, match="column"):
        data["a"] = "abc"


def test_a_new_column_is_a_copy() -> None:
    data, column = MaskData(), ["a"]
    data.cat(MaskData(names=column))
    data["names"].append("b")

    assert column == ["a"]
