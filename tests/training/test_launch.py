"""Jobs on a cluster, tried out with submitit's own local one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sam2_core.training import launch
from tests.training.training_scene import small_run, write_stack

if importlib.util.find_spec("submitit") is None or importlib.util.find_spec("lightning_fabric") is None:
    pytest.skip("needs submitit; install it with pip install 'sam2-lab[train]'", allow_module_level=True)


@pytest.mark.skipif(sys.platform != "linux", reason="SLURM runs on Linux")
def test_a_job_that_is_preempted_is_queued_again_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository))
    write_stack(tmp_path)
    options = ["data.train_frames=[0,3]", "data.repeats=6", "scratch.num_epochs=2"]
    config = small_run(tmp_path, *options, "trainer.checkpoint.save_minutes=0")
    log = tmp_path / "run" / "logs" / "log.jsonl"
    job = launch.submit(config, cluster="local")
    try:
        end = time.monotonic() + 900
        while not (log.exists() and log.read_text().count("\n") > 1):
            assert time.monotonic() < end, job.stderr()
            assert not job.done(), job.stderr()
            time.sleep(0.05)
        # a preemption as SLURM tells it: to the task, which the local controller has as its child
        children = Path(f"/proc/{job._process.pid}/task/{job._process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGUSR2)
        assert job.result() is None
    finally:
        job.cancel(check=False)
    assert "Requeued job" in (job.stdout() or "") + (job.stderr() or "")
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert sorted(set(steps)) == list(range(1, 25))
    # at most the step that it was in is taken again
    assert len(steps) <= 25
    assert (tmp_path / "run" / "checkpoints" / "model.safetensors").exists()


def test_what_is_submitted_again_is_the_same_job(tmp_path: Path) -> None:
    config = small_run(tmp_path)
    again = launch.ClusterJob(config).checkpoint()
    assert isinstance(again.function, launch.ClusterJob)
    assert again.function.config == OmegaConf.to_container(config, resolve=True)
