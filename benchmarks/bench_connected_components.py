"""Connected components: sam2::connected_components against what one would do without it. Both sides in one run.

The official package has a CUDA extension for this that its users have to compile; without it, it skips the step. So the
other side is the usual way round: scipy.ndimage.label per mask, and for masks on a GPU the copies there and back too.

    python benchmarks/bench_connected_components.py [--size 1024] [--batch 8] [--repeats 5]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy.ndimage
import torch

from sam2_core.kernels import connected_components

EIGHT_CONNECTED = np.ones((3, 3))


def drawings(batch: int, size: int) -> dict[str, torch.Tensor]:
    random = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(random.normal(size=(batch, size, size)), (0, size / 100, size / 100))
    masks = {
        "blobs": smooth > 0,
        "few cells": smooth > 2 * smooth.std(),
        "noise 0.5": random.random((batch, size, size)) < 0.5,
        "checkerboard": np.broadcast_to(np.indices((size, size)).sum(0) % 2 == 0, (batch, size, size)),
        "full": np.ones((batch, size, size), bool),
        "empty": np.zeros((batch, size, size), bool),
    }
    return {name: torch.from_numpy(np.array(mask))[:, None] for name, mask in masks.items()}


def with_scipy(masks: torch.Tensor) -> torch.Tensor:
    areas = np.zeros(masks.shape, np.int32)
    for mask, area in zip(masks[:, 0].cpu().numpy(), areas[:, 0], strict=True):
        labels, _ = scipy.ndimage.label(mask, EIGHT_CONNECTED)
        sizes = np.bincount(labels.ravel()).astype(np.int32)
        sizes[0] = 0
        np.take(sizes, labels, out=area, mode="clip")
    return torch.from_numpy(areas).to(masks.device)


def with_operator(masks: torch.Tensor) -> torch.Tensor:
    return connected_components(masks)[1]


def milliseconds(work: Callable[[torch.Tensor], torch.Tensor], masks: torch.Tensor, repeats: int) -> float:
    work(masks)
    times = []
    for _ in range(repeats):
        if masks.is_cuda:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        work(masks)
        if masks.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)  # what else runs on the machine only ever adds


def gpu_peak_bytes(work: Callable[[torch.Tensor], torch.Tensor], masks: torch.Tensor) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work(masks)
    return torch.cuda.max_memory_allocated() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(
        f"{options.batch} masks of {options.size}x{options.size}, milliseconds per batch, median of {options.repeats}"
    )
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if "cuda" not in devices:
        print("no CUDA GPU here: only the CPU path is measured")
    for device in devices:
        print(f"\n{torch.cuda.get_device_name() if device == 'cuda' else f'CPU, {torch.get_num_threads()} threads'}")
        print(f"{'':14}{'scipy':>10}{'ours':>10}{'ratio':>8}")
        for name, masks in drawings(options.batch, options.size).items():
            masks = masks.to(device)
            if not torch.equal(with_scipy(masks), with_operator(masks)):
                sys.exit(f"{name}: the areas differ")
            theirs, ours = (milliseconds(work, masks, options.repeats) for work in (with_scipy, with_operator))
            memory = f"   peak {gpu_peak_bytes(with_operator, masks) / 2**20:.0f} MiB" if device == "cuda" else ""
            print(f"{name:14}{theirs:10.2f}{ours:10.2f}{theirs / ours:8.1f}{memory}")
    print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
