"""Image features from the model beside the same from the embedding store, and what the store itself takes.

Each model is one process, and they take turns. Files are read from the system's cache, as they are when a person goes
back and forth; a cold disk adds its own time, 8.4 MB a frame at 1024 px.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import two_sides


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=["micro", "t"], help="model configurations of SAM 2.1")
    parser.add_argument("--image-size", type=int, default=1024, help="model input in pixels")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4], help="frames encoded at once")
    parser.add_argument("--entries", type=int, default=2000, help="small entries in the store of the last table")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


def side(options: argparse.Namespace) -> None:
    """Be one model."""
    import numpy as np
    import torch

    from sam2_core.checkpoints.build import build_sam2
    from sam2_core.inference.frame_features import FrameFeatures
    from sam2_core.inference.video_frames import open_prepared_frames
    from sam2_core.volumes.embedding_store import EmbeddingStore
    from sam2_core.volumes.embedding_store_key import FeatureSpace, encoder_digest, pixels_digest

    config = f"configs/sam2.1/sam2.1_hiera_{options.side}.yaml"
    overrides = [f"++model.image_size={options.image_size}"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_sam2(config, None, device=device, hydra_overrides_extra=overrides)
    size = options.image_size
    frames = np.stack([two_sides.picture(size, size, seed=seed) for seed in range(max(options.batches))])
    folder = tempfile.TemporaryDirectory()
    store = EmbeddingStore(folder.name)
    images = open_prepared_frames(
        frames, input_size=(size, size), device=model.device, cached_frames=len(frames), store=store
    )
    plain = FrameFeatures(model, images, memory_bytes=0)
    stored = FrameFeatures(model, images, store=store, memory_bytes=0, ahead=0)

    def encode(batch: int) -> dict[str, Any]:
        with torch.inference_mode():
            plain.encode(range(batch))
        return {"repeats": batch}

    def encode_and_store() -> None:
        store.clear()
        stored.encode([0])

    def read() -> dict[str, Any]:
        stored._kept.clear()
        stored.get(0)
        return {}

    levels = store.get(FeatureSpace("w", "p", "d").key("0" * 32)) or [
        np.random.default_rng(0).standard_normal((size // stride, size // stride, channels)).astype(np.float16)
        for stride, channels in ((4, 32), (8, 64), (16, 256))
    ]
    key = FeatureSpace("w", "p", "d").key("1" * 32)

    def put() -> None:
        store.put(key, levels)

    def get() -> None:
        assert store.get(key) is not None

    def digest_pixels() -> None:
        pixels_digest(frames[0])

    def digest_weights() -> None:
        from sam2_core.volumes import embedding_store_key

        embedding_store_key._DIGESTS.clear()
        encoder_digest(model)

    def many(count: int) -> dict[str, Any]:
        """Put and get among so many small entries, and look through all of them."""
        space = FeatureSpace("w", "small", "d")
        small = [np.ones((8, 8, 8), np.float16)]
        with tempfile.TemporaryDirectory() as place:
            crowd = EmbeddingStore(place)
            keys = [space.key(f"{number:032x}") for number in range(count << 80, (2 * count) << 80, 1 << 80)]
            start = time.perf_counter()
            for one in keys:
                crowd.put(one, small)
            put_s = time.perf_counter() - start
            start = time.perf_counter()
            for one in keys:
                crowd.get(one)
            get_s = time.perf_counter() - start
            start = time.perf_counter()
            crowd.usage()
            return {"put_s": put_s / count, "get_s": get_s / count, "usage_s": time.perf_counter() - start}

    jobs = [encode, encode_and_store, read, put, get, digest_pixels, digest_weights, many]
    two_sides.serve({job.__name__: job for job in jobs})


def main() -> None:
    options = arguments()
    if options.side:
        side(options)
        return
    from sys import argv

    results = {}
    notes: dict[str, Any] = {"image": f"{options.image_size} px, fp32 on a CPU"}
    if hasattr(os, "getloadavg"):
        notes["load of the machine before (1 minute)"] = f"{os.getloadavg()[0]:.1f}"
    with two_sides.started(options.configs, __file__, argv[1:]) as sides:
        for batch in options.batches:
            work = f"Encode, per frame of a batch of {batch}"
            results[work] = two_sides.rounds(sides, "encode", options.rounds, 1, batch=batch)
        results["Encode, round and store a frame"] = two_sides.rounds(sides, "encode_and_store", options.rounds, 0)
        results["Take a frame's features from the store"] = two_sides.rounds(sides, "read", 5 * options.rounds, 1)
        results["put, one entry"] = two_sides.rounds(sides, "put", 5 * options.rounds, 1)
        results["get, one entry"] = two_sides.rounds(sides, "get", 5 * options.rounds, 1)
        results["Digest of a frame's pixels"] = two_sides.rounds(sides, "digest_pixels", options.rounds, 1)
        results["Digest of the weights, once a model"] = two_sides.rounds(sides, "digest_weights", options.rounds, 0)
        crowded = next(iter(sides.values()))("many", count=options.entries)
    megabytes = 2 * (options.image_size // 4) ** 2 * (32 + 64 / 4 + 256 / 16) / 1e6
    for name in ("put", "get"):
        rates = [
            f"{model}: {megabytes / entry['median_s']:.0f}" for model, entry in results[f"{name}, one entry"].items()
        ]
        notes[f"{name}, MB/s of {megabytes:.1f} MB"] = ", ".join(rates)
    notes[f"among {options.entries} small entries"] = ", ".join(
        f"{name.removesuffix('_s')} {seconds * 1e3:.2f} ms" for name, seconds in crowded.items() if name in _CROWDED
    )
    two_sides.report("Features from the embedding store", results, notes, "embedding-store")


_CROWDED = ("put_s", "get_s", "usage_s")

if __name__ == "__main__":
    main()
