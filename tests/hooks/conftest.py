"""A folder of installed plugins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.hooks.distributions import install

Install = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs plugins for the time of a test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    yield partial(install, site)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "") and str(site) in str(sys.modules[name].__file__):
            del sys.modules[name]
