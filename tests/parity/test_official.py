"""Our numbers are the official ones, for all eight models and everything the predictors do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parity import ours
from tests.parity.comparison import assert_all_same, assert_same_records
from tests.parity.jobs import QUICK_JOBS, SOAK_JOBS, Job, shipped_weights
from tests.parity.official import OracleProcess

# 1024 pixels take minutes a network, and inductor tries kernels for a quarter of an hour on a busy machine.
SOAK = (pytest.mark.soak, pytest.mark.timeout(7200))


def _cases(jobs: tuple[Job, ...], *marks: pytest.MarkDecorator) -> list[object]:
    return [
        # One worker does them all where tests are spread: the oracle is started once.
        pytest.param(job, part, id=f"{job.name}-{part}", marks=[pytest.mark.xdist_group("parity"), *marks])
        for job in jobs
        for part in job.parts
    ]


@pytest.mark.parametrize(("job", "part"), [*_cases(QUICK_JOBS), *_cases(SOAK_JOBS, *SOAK)])
def test_same_as_official(job: Job, part: str, oracle: OracleProcess, frames: Path) -> None:
    if job.trained and not shipped_weights().is_file():  # a working tree from before the checkpoint was trained
        pytest.skip(f"needs the shipped checkpoint, {shipped_weights().name}")
    result = ours.run(job, part, frames)

    official = {
        name.removeprefix(f"{part}/"): values
        for name, values in oracle.result(job).items()
        if name.startswith(f"{part}/")
    }
    assert official
    if part.startswith("generator_"):
        assert_same_records(f"{job.name} {part}", result, official)
    elif part == "components":
        _assert_alive(official)
        # Checkpoints load in both directions.
        assert result.pop("state_dict").tolist() == official.pop("state_dict").tolist()
        for component in dict.fromkeys(name.split("/")[0] for name in official):
            chosen = [name for name in official if name.startswith(f"{component}/")]
            assert_all_same(f"{job.name} {component}", {n: result[n] for n in chosen}, {n: official[n] for n in chosen})
    else:
        assert_all_same(f"{job.name} {part}", result, official)


def _assert_alive(official: dict[str, np.ndarray]) -> None:
    """Nothing that is compared is constant, vanishing or exploding: equal zeros prove nothing."""
    for name, values in official.items():
        if values.size > 1000:
            assert 0.2 < values.std() < 50, f"{name} has a deviation of {values.std()}"
        if values.ndim == 4 and not (name.startswith("prompt_encoder/") and "masks" not in name and "all" not in name):
            assert values.std(axis=(2, 3)).mean() > 0.1, f"{name} has no structure"
        if name.startswith("decoder/") and name.endswith("/masks"):
            assert 0.05 < (values > 0).mean() < 0.95, f"{name} is all one sign"
    frames, pointers = (official[f"memory_attention/{name}"] for name in ("frames", "frames_and_pointers"))
    assert np.abs(frames - pointers).mean() > 0.001, "object pointers change nothing"
