from __future__ import annotations

import pytest

from sam2_core.cli import doctor
from tests.cli.test_app import run


def test_all_is_well_here(capsys):
    code, out, err = run(capsys, "doctor", "--device", "cpu", "--precision", "fp32")
    assert code == 0, f"{out}\n{err}"
    assert "wrong" not in out
    for subject in ("sam2-lab", "libraries", "device: cpu", "precision: float32: asked for", "checkpoint cache"):
        assert subject in out
    assert "connected components on the CPU: right" in out
    assert "one click on a bright disc: IoU" in out


def test_a_model_that_segments_nothing_is_found_out(capsys, untrained):
    code, out, err = run(capsys, "doctor", "-c", untrained)
    assert code == 1
    assert "wrong  segmenting" in out
    assert "Something is wrong" in err


@pytest.mark.parametrize(
    ("arguments", "finding"), [(["-c", "sam9"], "no model named 'sam9'"), (["--device", "abacus"], "abacus")]
)
def test_a_check_that_breaks_is_a_finding_and_the_others_still_run(capsys, arguments, finding):
    code, out, _ = run(capsys, "doctor", *arguments)
    assert code == 1
    assert finding in out
    assert "connected components on the CPU: right" in out


def test_a_library_that_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_LIBRARIES", ("numpy", "no-such-library"))
    code, out, _ = run(capsys, "doctor", "--quick")
    assert code == 1
    assert "missing libraries: no-such-library" in out
    assert "segmenting" not in out
