"""The order of batches depends on seed and epoch alone: across processes, and from any batch on."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.training.mixed_dataset import EpochOrder, TorchTrainMixedDataset
from sam2_core.training.video_dataset import ConcatDataset, RepeatFactorWrapper


class Numbers(Dataset[Any]):
    """Items that say which they are, and what was drawn for them."""

    def __init__(self, first: int, count: int, repeats: float = 1.0) -> None:
        self.first, self.count = first, count
        self.repeat_factors = torch.full((count,), repeats)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        return self.first + index, random.random(), float(torch.rand(()))


class Fatal(Numbers):
    def __getitem__(self, index: int) -> tuple[int, float, float]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def mixed(**options: Any) -> TorchTrainMixedDataset:
    settings: dict[str, Any] = {
        "datasets": [Numbers(0, 11), Numbers(100, 7)],
        "batch_sizes": [2, 1],
        "num_workers": 0,
        "shuffle": True,
        "pin_memory": False,
        "drop_last": True,
        "collate_fn": list,
    }
    return TorchTrainMixedDataset(**(settings | options))


def test_an_epoch_goes_on_from_any_batch() -> None:
    whole = list(mixed().get_loader(3, seed=5))
    assert len(whole) == 5 + 7
    for done in (0, 1, 6, 12):
        loader = mixed().get_loader(3, seed=5)
        loader.skip(done)
        random.random()
        assert list(loader) == whole[done:]
    assert list(mixed().get_loader(3, seed=6)) != whole
    assert sorted(item[0] for batch in whole for item in batch if item[0] >= 100) == list(range(100, 107))
    with pytest.raises(InvalidInputError, match="12 batches"):
        loader.skip(13)


def test_drawing_an_item_leaves_the_random_numbers_as_they_are() -> None:
    random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), float(torch.rand(()))
    random.seed(1)
    torch.manual_seed(1)
    list(mixed().get_loader(0))
    assert (random.random(), float(torch.rand(()))) == expected


def test_processes_share_an_epoch() -> None:
    alone = list(EpochOrder(10, 4, True))
    parts = [list(EpochOrder(10, 4, True, rank, 2)) for rank in range(2)]
    assert [item for pair in zip(*parts, strict=True) for item in pair] == alone
    # the last items come twice where their number does not divide it
    parts = [list(EpochOrder(5, 0, False, rank, 2)) for rank in range(2)]
    assert parts == [[(0, 0), (2, 2), (4, 4)], [(1, 1), (3, 3), (5, 0)]]


def test_phases_are_parts_of_an_epoch() -> None:
    seen = [
        [item[0] for batch in mixed(datasets=[Numbers(0, 12)], batch_sizes=[2], phases_per_epoch=3).get_loader(e) for
         item in batch]
        for e in range(3)
    ]  # fmt: skip
    assert [len(part) for part in seen] == [4, 4, 4]
    assert sorted(item for part in seen for item in part) == list(range(12))


def test_shares_of_the_data_sets() -> None:
    loader = mixed(
        datasets=[Numbers(0, 300), Numbers(1000, 300)], batch_sizes=[1, 1], dataset_prob=[0.9, 0.1]
    ).get_loader(0)
    first = [batch[0][0] >= 1000 for batch in list(loader)[:200]]
    assert 0.03 < sum(first) / 200 < 0.2
    only = mixed(dataset_prob=[1.0, 0.0]).get_loader(0)
    assert {item[0] >= 100 for batch in only for item in batch} == {False}
    for wrong in ([0.5, 0.4], [1.0], [0.5, 0.3, 0.2]):
        with pytest.raises(InvalidInputError, match="dataset_prob"):
            mixed(dataset_prob=wrong)


def test_no_full_batch_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no full batch"):
        mixed(datasets=[Numbers(0, 1)], batch_sizes=[4])
    with pytest.raises(InvalidInputError, match="batch size"):
        mixed(batch_sizes=[1])


def test_repeats() -> None:
    wrapper = RepeatFactorWrapper(ConcatDataset([Numbers(0, 100, 2.5), Numbers(100, 10, 1.0)]), seed=1)
    wrapper.set_epoch(0)
    assert wrapper.epoch_ids is not None
    counts = torch.bincount(wrapper.epoch_ids)
    assert set(counts[:100].tolist()) == {2, 3}
    assert 2.3 < float(counts[:100].float().mean()) < 2.7
    assert set(counts[100:].tolist()) == {1}
    assert wrapper[0][0] == int(wrapper.epoch_ids[0])


def test_a_worker_that_dies_is_reported() -> None:
    loader = mixed(datasets=[Fatal(0, 4)], batch_sizes=[1], num_workers=1).get_loader(0)
    with pytest.raises(StateError, match="lower num_workers"):
        list(loader)


@pytest.mark.soak
def test_workers_read_what_one_process_reads() -> None:
    assert list(mixed(num_workers=1).get_loader(1)) == list(mixed().get_loader(1))
