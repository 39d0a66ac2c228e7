"""Batches from several data sets, in an order that depends on seed and epoch alone: a run can go on at any batch."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor
from torch.utils import data

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.training.video_dataset import tell_epoch


class EpochOrder(data.Sampler[tuple[int, int]]):
    """Items of one process in one epoch, as (place in the epoch, index).

    All processes together go through the whole data set; the last few items come twice where their number does not
    divide it.

    Parameters
    ----------
    length : int
    seed : int
        Of the order.
    shuffle : bool
    rank, world : int
        This process, of how many.
    """

    def __init__(self, length: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1) -> None:
        order = list(range(length))
        if shuffle:
            order = torch.randperm(length, generator=torch.Generator().manual_seed(seed)).tolist()
        self._count = math.ceil(length / world)
        padded = list(itertools.islice(itertools.cycle(order), self._count * world))
        self._items = list(enumerate(padded))[rank::world]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._items)

    def __len__(self) -> int:
        return self._count


class SeededItems(data.Dataset[Any]):
    """A data set whose items are drawn with random numbers that depend on the epoch and the item's place in it.

    Parameters
    ----------
    dataset
    seed : sequence of int
    """

    def __init__(self, dataset: Any, seed: Sequence[int]) -> None:
        self.dataset = dataset
        self.seed = tuple(seed)

    def __getitem__(self, item: tuple[int, int]) -> Any:
        place, index = item
        with random_numbers((*self.seed, place)):
            return self.dataset[index]


@contextmanager
def random_numbers(seed: Sequence[int]) -> Iterator[None]:
    """Seed the global random numbers of Python, numpy and torch (CPU); they go on where they were afterwards."""
    # numpy's global state too: transforms that people bring may draw from it
    python, old, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    words = np.random.SeedSequence(list(seed)).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(old)  # noqa: NPY002
        torch.set_rng_state(torchs)


class _Batches(data.Sampler[list[tuple[int, int]]]):
    """Batches of an order, from the n-th on."""

    def __init__(self, order: EpochOrder, size: int, drop_last: bool) -> None:
        items = list(order)
        whole = len(items) - len(items) % size if drop_last else len(items)
        self._all = [items[first : first + size] for first in range(0, whole, size)]
        self.first = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self._all[self.first :])

    def __len__(self) -> int:
        return len(self._all)


class MixedDataLoader:
    """Batches of several loaders, mixed.

    Parameters
    ----------
    dataloaders : sequence of DataLoader
    mixing_prob : Tensor (N,)
        How often each is drawn from; one that has run out is not.
    seed : int
        Of the mixture; the same in all processes.

    Notes
    -----
    ``len(loader)`` counts all batches; iterating begins after those that :meth:`skip` named.
    """

    def __init__(self, dataloaders: Sequence[data.DataLoader[Any]], mixing_prob: Tensor, seed: int = 42) -> None:
        if len(dataloaders) != len(mixing_prob):
            raise InvalidInputError(f"{len(dataloaders)} loaders need as many probabilities; got {len(mixing_prob)}")
        self.dataloaders = list(dataloaders)
        generator = torch.Generator().manual_seed(seed)
        left = [len(loader.batch_sampler) for loader in self.dataloaders]  # type: ignore[arg-type]
        chance = mixing_prob.float().clone()
        self._order: list[int] = []
        while any(count > 0 and float(share) > 0 for count, share in zip(left, chance, strict=True)):
            drawn = int(chance.multinomial(1, generator=generator))
            if left[drawn] == 0:
                chance[drawn] = 0
                continue
            left[drawn] -= 1
            self._order.append(drawn)
        self._skipped = 0

    def skip(self, batches: int) -> None:
        """Begin after so many batches, without reading them.

        Raises
        ------
        InvalidInputError
            There are not that many.
        """
        if not 0 <= batches <= len(self._order):
            raise InvalidInputError(f"an epoch has {len(self._order)} batches; cannot skip {batches}")
        self._skipped = batches
        for number, loader in enumerate(self.dataloaders):
            sampler = loader.batch_sampler
            assert isinstance(sampler, _Batches)
            sampler.first = self._order[:batches].count(number)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        running: list[Iterator[Any]] = [iter(loader) if len(loader) else iter(()) for loader in self.dataloaders]
        for drawn in self._order[self._skipped :]:
            try:
                batch = next(running[drawn])
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise StateError(
                    f"A process that reads training data died: {error}. Out of memory is the usual cause: lower "
                    "num_workers or the batch size. Started again, training goes on from its last checkpoint."
                ) from error
            yield batch


class TorchTrainMixedDataset:
    """Several data sets, a loader of mixed batches for each epoch.

    Parameters
    ----------
    datasets : sequence of Dataset
    batch_sizes : sequence of int
        In each process.
    num_workers : int
        Processes that read, for each data set; 0 reads in the training process.
    shuffle : bool
    pin_memory : bool
        Copies to a GPU are quicker; nothing changes without one.
    drop_last : bool
        Leave out a last batch that is not full.
    collate_fn : callable, optional
    worker_init_fn : callable, optional
    phases_per_epoch : int
        An epoch goes through one of so many parts of the data.
    dataset_prob : sequence of float, optional
        How often each data set is drawn from; by its number of batches by default.

    Raises
    ------
    InvalidInputError
        Numbers that do not fit each other.
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        batch_sizes: Sequence[int],
        num_workers: int,
        shuffle: bool,
        pin_memory: bool,
        drop_last: bool,
        collate_fn: Callable[..., Any] | None = None,
        worker_init_fn: Callable[[int], None] | None = None,
        phases_per_epoch: int = 1,
        dataset_prob: Sequence[float] | None = None,
    ) -> None:
        if not datasets or len(datasets) != len(batch_sizes):
            raise InvalidInputError(
                f"each of at least one data set needs a batch size; got {len(datasets)} data sets and "
                f"{len(batch_sizes)} sizes"
            )
        self.datasets = list(datasets)
        self.batch_sizes = [int(size) for size in batch_sizes]
        self.num_workers = num_workers
        self.shuffle = shuffle
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.worker_init_fn = worker_init_fn
        self.phases_per_epoch = phases_per_epoch
        for dataset in self.datasets:
            tell_epoch(dataset, 0)
        if dataset_prob is None:
            rounded = math.floor if drop_last else math.ceil
            counts = [rounded(len(d) / size) for d, size in zip(self.datasets, self.batch_sizes, strict=True)]
            if not sum(counts):
                raise InvalidInputError(
                    f"data sets of {[len(d) for d in self.datasets]} items give no full batch of {self.batch_sizes}; "
                    "use smaller batches, drop_last=false, or repeat items with a multiplier"
                )
            dataset_prob = [count / sum(counts) for count in counts]
        if len(dataset_prob) != len(self.datasets) or not math.isclose(sum(dataset_prob), 1.0, abs_tol=1e-4):
            raise InvalidInputError(f"dataset_prob has to be one share for each data set, 1 in all; got {dataset_prob}")
        self.dataset_prob = torch.tensor(dataset_prob)

    def get_loader(self, epoch: int, seed: int = 0) -> MixedDataLoader:
        """Return the batches of an epoch for this process.

        Parameters
        ----------
        epoch : int
        seed : int
            Of the run; with the epoch it fixes the order of items and what is drawn for each.
        """
        alone = not (dist.is_available() and dist.is_initialized())
        rank, world = (0, 1) if alone else (dist.get_rank(), dist.get_world_size())
        loaders = []
        for number, (dataset, size) in enumerate(zip(self.datasets, self.batch_sizes, strict=True)):
            tell_epoch(dataset, epoch // self.phases_per_epoch)
            part: Any = dataset
            if self.phases_per_epoch > 1:
                generator = torch.Generator().manual_seed(epoch // self.phases_per_epoch)
                order = torch.randperm(len(dataset), generator=generator)
                chunks = torch.chunk(order, self.phases_per_epoch)
                phase = epoch % self.phases_per_epoch
                part = data.Subset(dataset, chunks[phase].tolist() if phase < len(chunks) else [])
            batches = _Batches(EpochOrder(len(part), seed + epoch, self.shuffle, rank, world), size, self.drop_last)
            context = None
            if self.num_workers:
                # never fork a process that has threads
                methods = torch.multiprocessing.get_all_start_methods()
                context = "forkserver" if "forkserver" in methods else "spawn"
            loaders.append(
                data.DataLoader(
                    SeededItems(part, (seed, epoch, number)),
                    num_workers=self.num_workers,
                    pin_memory=self.pin_memory and torch.cuda.is_available(),
                    batch_sampler=batches,
                    collate_fn=self.collate_fn,
                    worker_init_fn=self.worker_init_fn,
                    multiprocessing_context=context,
                    # its own: a loader takes a number from the global one otherwise
                    generator=torch.Generator().manual_seed(seed + epoch),
                )
            )
        return MixedDataLoader(loaders, self.dataset_prob, seed=42 + seed + epoch)
