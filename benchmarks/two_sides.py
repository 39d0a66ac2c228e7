"""Run both sides of a comparison in turn, each in a process of its own, and write down what came out.

A benchmark is a program that starts itself once more for each side (``--side NAME``). The sides build their models,
then wait; the parent lets one of them work at a time, in alternating rounds, so that a machine that slows down slows
both.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RECORDS = Path(__file__).resolve().parent / "records"
OFFICIAL = "official fp32"


def arguments_of(
    description: str | None, *, height: int, width: int, rounds: int, warm_up: int
) -> argparse.ArgumentParser:
    """Arguments that all benchmarks take, with this one's defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", default="configs/sam2.1/sam2.1_hiera_t.yaml", help="model configuration")
    parser.add_argument("--image-size", type=int, default=1024, help="model input in pixels")
    parser.add_argument("--height", type=int, default=height, help="image height")
    parser.add_argument("--width", type=int, default=width, help="image width")
    parser.add_argument("--rounds", type=int, default=rounds, help="timed rounds")
    parser.add_argument("--warm-up", type=int, default=warm_up, help="rounds before that")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side; 0: torch's choice")
    parser.add_argument("--all-sides", action="store_true", help="bf16 also where it is slow")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser


class Side:
    """One side: a process that does one thing at a time when told."""

    def __init__(self, name: str, program: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, program, "--side", name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        self.ready: dict[str, Any] = self._answer()

    def __call__(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Do a job: its answer, with the seconds it took ("seconds") and the process's peak so far ("peak_mib")."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([job, arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the process ended with {self._process.wait()}; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def started(names: Sequence[str], program: str, arguments: Sequence[str]) -> Iterator[dict[str, Side]]:
    """Start sides one after another; end them however the block ends."""
    sides: dict[str, Side] = {}
    try:
        for name in names:
            print(f"starting {name} …", flush=True)
            sides[name] = Side(name, program, arguments)
        yield sides
    finally:
        for side in sides.values():
            side.close()


def serve(jobs: dict[str, Callable[..., dict[str, Any] | None]]) -> None:
    """Be a side: tell that all is ready, then do jobs until the parent is gone."""
    import torch

    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer | {"peak_mib": peak_mib()}) + "\n")
        answers.flush()

    def synchronise() -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    tell({"torch": torch.__version__, "threads": torch.get_num_threads()})
    for line in sys.stdin:
        job, arguments = json.loads(line)
        synchronise()
        start = time.perf_counter()
        result = jobs[job](**arguments) or {}
        synchronise()
        tell({"seconds": time.perf_counter() - start} | result)


def peak_mib() -> float:
    """Largest resident size of this process so far (with CUDA, plus the largest allocation there)."""
    import torch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    with contextlib.suppress(OSError):
        # Linux counts in ru_maxrss what the parent held when it started this process; this mark is our own.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) / 2**10
    return peak + (torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0)


def side_names(everything: bool) -> list[str]:
    """Sides worth running here; bf16 on hardware without units for it takes minutes a step."""
    import torch

    from sam2_core.checkpoints.precision import fast_at_bf16

    if torch.cuda.is_available():
        compiled = [f"{one} bf16 compiled" for one in ("official", "ours")]
        return [OFFICIAL, "official bf16", "ours bf16", "ours fp32", *compiled]
    if everything or fast_at_bf16(torch.device("cpu")):
        return [OFFICIAL, "official bf16", "ours bf16", "ours fp32"]
    print("this CPU has no units for bf16: fp32 only (--all-sides runs the others all the same)")
    return [OFFICIAL, "ours fp32"]


def official_model(side: str, config: str, image_size: int, *, video: bool = False) -> Any:
    """The official model, or video predictor, with alive weights, on the best device."""
    import torch
    from sam2.build_sam import build_sam2, build_sam2_video_predictor

    build = build_sam2_video_predictor if video else build_sam2
    grid = image_size // 16
    overrides = [f"++model.image_size={image_size}"] + [
        f"++model.memory_attention.layer.{kind}_attention.feat_sizes=[{grid},{grid}]" for kind in ("self", "cross")
    ]
    more, compiled = _compilation(side, video)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build(config, None, device="cpu", hydra_overrides_extra=overrides + more, **compiled)
    return _alive(model).to(device)


def official_context(side: str) -> contextlib.AbstractContextManager[Any]:
    """The precision the official code is run under on this side."""
    import torch

    if "bf16" not in side:
        return contextlib.nullcontext()
    return torch.autocast("cuda" if torch.cuda.is_available() else "cpu", dtype=torch.bfloat16)


def our_model(side: str, config: str, image_size: int, *, video: bool = False) -> Any:
    """Our model, or video predictor, with the same weights, on the best device."""
    import torch

    from sam2_core.checkpoints.build import build_sam2, build_sam2_video_predictor

    build = build_sam2_video_predictor if video else build_sam2
    more, compiled = _compilation(side, video)
    overrides = [f"++model.image_size={image_size}", *more]
    model = build(config, None, device="cpu", hydra_overrides_extra=overrides, precision="fp32", **compiled)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return _alive(model).to(device, torch.bfloat16 if "bf16" in side else torch.float32)


def _compilation(side: str, video: bool) -> tuple[list[str], dict[str, bool]]:
    """Overrides and options of a side that compiles: of a video predictor every part, else the image encoder."""
    if "compiled" not in side:
        return [], {}
    return ([], {"vos_optimized": True}) if video else (["++model.compile_image_encoder=true"], {})


def _alive(model: Any) -> Any:
    """Weights under which every part of the network counts; the same on both sides."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "parity"))
    from alive_weights import alive_state_dict

    model.load_state_dict(alive_state_dict(model.state_dict(), seed=0))
    return model.eval()


def picture(height: int, width: int, seed: int = 0) -> Any:
    """(y, x, RGB) uint8: discs of many sizes and colours on a noisy ground."""
    import numpy as np

    random = np.random.default_rng(seed)
    y, x = np.ogrid[:height, :width]
    image = np.full((height, width, 3), 60.0, dtype=np.float32)
    for _ in range(120):
        centre = random.uniform(0, 1, 2) * (height, width)
        radius = random.uniform(0.01, 0.08) * height
        image[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] += random.uniform(-60, 130, 3)
    return (image + random.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)


def rounds(sides: dict[str, Side], job: str, count: int, warm_up: int, **arguments: Any) -> dict[str, dict[str, float]]:
    """Let the sides do a job in turn: median, least and greatest seconds of each, and its peak memory."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    peaks: dict[str, float] = {}
    for number in range(warm_up + count):
        for name, side in sides.items():
            answer = side(job, **arguments)
            peaks[name] = answer["peak_mib"]
            if number >= warm_up:
                seconds[name].append(answer["seconds"] / answer.get("repeats", 1))
    return {
        name: {
            "median_s": statistics.median(times),
            "least_s": min(times),
            "greatest_s": max(times),
            "runs": len(times),
            "peak_mib": peaks[name],
        }
        for name, times in seconds.items()
    }


def report(title: str, results: dict[str, dict[str, dict[str, float]]], notes: dict[str, Any], stem: str) -> None:
    """Print a table with ratios to each official side, and keep it under records/ as Markdown and JSON."""
    machine = f"{_processor()}, {os.cpu_count()} cores"
    lines = [f"# {title}", "", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {machine}", ""]
    lines += [f"- {name}: {value}" for name, value in notes.items()]
    for work, by_side in results.items():
        official = [name for name in by_side if name.startswith("official")]
        lines += ["", f"## {work}", "", "| side | median | least–greatest | runs | peak memory |"]
        lines[-1] += "".join(f" {name} ÷ this |" for name in official)
        lines.append("|---" * (5 + len(official)) + "|")
        for name, entry in by_side.items():
            row = f"| {name} | {entry['median_s'] * 1e3:.1f} ms | {entry['least_s'] * 1e3:.1f}–"
            row += f"{entry['greatest_s'] * 1e3:.1f} ms | {entry['runs']:.0f} | {entry['peak_mib']:.0f} MiB |"
            row += "".join(f" {by_side[other]['median_s'] / entry['median_s']:.2f}x |" for other in official)
            lines.append(row)
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    RECORDS.mkdir(exist_ok=True)
    path = RECORDS / f"{stem}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    path.with_suffix(".md").write_text(text)
    path.with_suffix(".json").write_text(
        json.dumps({"machine": machine, "notes": notes, "results": results}, indent=1) + "\n"
    )
    print(f"written to {path}.md and .json")


def _processor() -> str:
    """The processor's name and what of interest it can do."""
    import torch

    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
                name += f" ({', '.join(flag for flag in known if flag in line.split())})"
                break
    if torch.cuda.is_available():
        name += f", {torch.cuda.get_device_name()}"
    return name
