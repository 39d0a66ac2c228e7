"""triton stays out of a process whose OpenGL has loaded an LLVM; that it would crash, tests with a canvas show."""

from __future__ import annotations

import importlib
import sys

import pytest

from sam2_napari import mesa


@pytest.mark.parametrize(
    ("has_llvm", "is_loaded", "is_kept_out"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_triton_is_kept_out_where_it_would_crash(
    monkeypatch: pytest.MonkeyPatch, has_llvm: bool, is_loaded: bool, is_kept_out: bool
) -> None:
    monkeypatch.setattr(mesa, "has_llvm", lambda: has_llvm)
    # to be as it was afterwards, whatever is done to it
    monkeypatch.setitem(sys.modules, "triton", mesa)
    if not is_loaded:
        monkeypatch.delitem(sys.modules, "triton")
    mesa.keep_triton_out()

    assert (sys.modules.get("triton", mesa) is None) == is_kept_out
    if is_kept_out:
        with pytest.raises(ImportError):
            importlib.import_module("triton")
