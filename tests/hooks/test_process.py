"""The process's plugins."""

from __future__ import annotations

import subprocess
import sys

from sam2_core.hooks import Plugins, Selection, get_plugins, using_plugins


def test_there_is_one_set() -> None:
    assert get_plugins() is get_plugins()


def test_others_for_a_while() -> None:
    before = get_plugins()
    others = Plugins(Selection(), strict=True)

    with using_plugins(others) as given:
        assert get_plugins() is others is given

    assert get_plugins() is before


def test_importing_hooks_loads_nothing_heavy() -> None:
    code = "import sam2_core.hooks, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert not {"torch", "numpy", "typer", "zarr", "dask"} & set(done.stdout.split())
