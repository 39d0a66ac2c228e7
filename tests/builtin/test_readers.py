"""The built-in readers come through the hook."""

from __future__ import annotations

from sam2_core.hooks import Plugins, Selection, VolumeReader
from sam2_core.volumes.readers import READERS


def test_all_readers_are_registered_in_order() -> None:
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    plugins.load_installed()

    found = plugins.contributions(VolumeReader)

    assert list(found) == [reader.name.replace(" ", "-") for reader in READERS]
    assert {one.plugin.name for one in found.values()} == {"readers"}
