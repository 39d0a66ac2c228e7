from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam2_core.volumes.slab_cache import SlabCache


@pytest.fixture
def cache():
    made = SlabCache(1000)
    yield made
    made.close()


def test_a_piece_is_loaded_once_and_read_only(cache):
    loads = []

    def load():
        loads.append(1)
        return np.arange(10)

    assert cache.get("a", load) is cache.get("a", load)
    assert loads == [1]
    with pytest.raises(ValueError, match="read-only"):
        cache.get("a", load)[0] = 1


def test_the_least_recently_used_goes_first(cache):
    for key in "abcd":
        cache.get(key, lambda: np.zeros(300, np.uint8))
        cache.get("a", lambda: np.zeros(300, np.uint8))
    assert cache.size_bytes == 900
    assert cache.peek("b") is None
    assert cache.peek("a") is not None
    cache.get("huge", lambda: np.zeros(5000, np.uint8))
    assert cache.size_bytes == 5000  # what is asked for is kept however large it is, alone
    cache.put("e", np.zeros(10, np.uint8))
    assert cache.size_bytes == 10


def test_many_threads_load_each_piece_once(cache):
    loads: Counter[int] = Counter()

    def load(key):
        time.sleep(0.002)
        loads[key] += 1
        return np.full(4, key, np.uint8)

    def work(seed):
        for key in np.random.default_rng(seed).permutation(20).tolist():
            cache.read_ahead([((key + step) % 20, lambda key=(key + step) % 20: load(key)) for step in (1, 2)])
            assert (cache.get(key, lambda key=key: load(key)) == key).all()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert loads == dict.fromkeys(range(20), 1)


def test_what_is_not_wanted_any_more_is_called_off(cache):
    begun, go = [], threading.Event()

    def load(key):
        begun.append(key)
        assert go.wait(10)
        return np.zeros(1)

    cache.read_ahead([(key, lambda key=key: load(key)) for key in range(6)])
    deadline = time.monotonic() + 10
    while len(begun) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    cache.read_ahead([(9, lambda: load(9))])
    go.set()
    assert cache.get(9, lambda: load(9)) is not None
    cache.close()
    assert sorted(begun) == [0, 1, 9]


def test_an_error_is_raised_and_forgotten(cache):
    def fail():
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            cache.get("a", fail)
    cache.read_ahead([("a", fail)])
    time.sleep(0.05)
    assert (cache.get("a", lambda: np.ones(3)) == 1).all()
