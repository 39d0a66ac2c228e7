"""Kernels of plugins (sam2_kernels) instead of the built-in ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from sam2_core.errors import InvalidTypeError, PluginError
from sam2_core.hooks import Kernel, using_plugins
from sam2_core.kernels import choice, chosen_kernels, connected_components, use_kernel
from tests.hooks.added import plugins_adding

MASKS = torch.zeros(1, 1, 4, 5, dtype=torch.bool)
MASKS[0, 0, 1, 1:3] = True


def all_seven(masks: Any) -> Any:
    return torch.full_like(masks, 7, dtype=torch.int32), masks.int()


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(choice, "_chosen", {})
    monkeypatch.setattr(choice, "_environment_is_read", False)
    names = {"operator": "connected_components", "device": "cpu"}
    plugins = plugins_adding(
        Kernel("sevens", function=all_seven, **names),
        Kernel("floats", function=lambda masks: (masks.float(), masks.int()), **names),
        Kernel("fails", function=lambda masks: 1 / 0, **names),
        Kernel("elsewhere", function=all_seven, operator="connected_components", device="cuda"),
        installed=True,
    )
    with using_plugins(plugins):
        yield


def test_one_that_is_chosen_is_used_until_another_is() -> None:
    before = connected_components(MASKS)[0]

    use_kernel("sevens")
    assert connected_components(MASKS)[0].eq(7).all()
    assert torch.ops.sam2.connected_components(MASKS)[0].eq(7).all(), "through the operator as well"
    assert chosen_kernels() == {("connected_components", "cpu"): "sevens"}

    use_kernel("cc3d")
    assert connected_components(MASKS)[0].equal(before)


def test_it_is_used_on_its_device_alone() -> None:
    use_kernel("elsewhere")

    assert not connected_components(MASKS)[0].eq(7).any()


def test_the_environment_chooses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_KERNELS", "cc3d, sevens")

    assert connected_components(MASKS)[0].eq(7).all()


def test_one_that_is_not_there() -> None:
    with pytest.raises(PluginError, match=r"no kernel named 'eights'.*sevens"):
        use_kernel("eights")


def test_one_that_is_not_there_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_KERNELS", "eights")

    with pytest.raises(PluginError, match="'eights'"):
        connected_components(MASKS)


@pytest.mark.parametrize(("name", "says"), [("floats", "float32"), ("fails", "ZeroDivisionError")])
def test_nonsense_names_the_plugin(name: str, says: str) -> None:
    use_kernel(name)

    with pytest.raises(PluginError, match=rf"kernel '{name}' failed.*plugin given.*{says}"):
        connected_components(MASKS)


def test_input_is_looked_at_before() -> None:
    use_kernel("sevens")

    with pytest.raises(InvalidTypeError, match="bool or uint8"):
        connected_components(MASKS.float())
