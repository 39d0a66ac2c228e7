"""The network compiles whole: no graph breaks, and no recompilation when the number of points changes.

The eager backend is enough: breaks and guards are the tracer's, whatever generates the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from sam2_core.model import PointPrompts, SAM2Base
from tests.model.small_models import WIDTH, noise, small_model


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    """Each test with an empty cache of compiled graphs."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def whole(function: Callable[..., Any], dynamic: bool | None = None) -> Callable[..., Any]:
    """Compile without breaks."""
    return torch.compile(function, fullgraph=True, backend="eager", dynamic=dynamic)


def assert_same(found: Any, expected: Any) -> None:
    """Compare results of the network field by field."""
    if isinstance(expected, Tensor):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    elif isinstance(expected, tuple | list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif expected is not None:
        for name, value in vars(expected).items():
            assert_same(getattr(found, name), value)


@pytest.mark.parametrize("size", [64, (96, 160)])
def test_image_encoder(size: Any) -> None:
    model = small_model(size)
    images = noise(1, 3, *model.input_size)

    with torch.no_grad():
        assert_same(whole(model.forward_image)(images), model.forward_image(images))


def decode(model: SAM2Base, embedding: Tensor, fine: tuple[Tensor, ...], points: PointPrompts, many: bool) -> Any:
    """A click, from prompt to mask."""
    return model.forward_sam_heads(embedding, points, None, fine, many)


@pytest.mark.parametrize("many", [True, False])
def test_no_recompilation_when_the_number_of_points_changes(many: bool) -> None:
    model = small_model(64, sam_mask_decoder_extra_args={"dynamic_multimask_via_stability": True})
    with torch.no_grad():
        features = model.forward_image(noise(1, 3, 64, 64))
        embedding, fine = model.image_embedding(features), features.maps[:-1]
        compiled = whole(decode, dynamic=True)

        def click(count: int) -> PointPrompts:
            return PointPrompts(noise(1, count, 2, seed=count) * 64, torch.arange(count)[None] % 2)

        # Not two points at first: the tracer takes equal sizes for the same thing, and a point has two coordinates.
        assert_same(compiled(model, embedding, fine, click(3), many), decode(model, embedding, fine, click(3), many))
        with torch._dynamo.config.patch(error_on_recompile=True):
            # As many as to cross from the form for few tokens to the form for many.
            for count in (2, 5, 9, 40):
                found = compiled(model, embedding, fine, click(count), many)
                assert_same(found, decode(model, embedding, fine, click(count), many))


@pytest.mark.parametrize("dynamic", [True, None])
@pytest.mark.parametrize("counts", [(1, 3, 2, 9, 1, 4), (5, 1, 2)])
def test_one_graph_for_any_number_of_points(dynamic: bool | None, counts: tuple[int, ...]) -> None:
    """However the user compiles, and whether the first click or a later one is seen first."""
    model = small_model(64)
    graphs = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    with torch.no_grad():
        features = model.forward_image(noise(1, 3, 64, 64))
        embedding, fine = model.image_embedding(features), features.maps[:-1]
        compiled = torch.compile(decode, fullgraph=True, backend=counting, dynamic=dynamic)
        for count in counts:
            points = PointPrompts(noise(1, count, 2, seed=count) * 64, torch.arange(count)[None] % 2).of_any_number()
            assert_same(
                compiled(model, embedding, fine, points, True), decode(model, embedding, fine, points, many=True)
            )

    assert len(graphs) == 1


def test_prompt_encoder_does_not_recompile_either() -> None:
    model = small_model(64)
    compiled = whole(model.sam_prompt_encoder.forward, dynamic=True)

    def click(count: int) -> tuple[Tensor, Tensor]:
        return noise(1, count, 2) * 64, torch.arange(count)[None] % 2

    with torch.no_grad():
        compiled(click(5), None, None)
        with torch._dynamo.config.patch(error_on_recompile=True):
            for count in (2, 3, 17):
                assert_same(compiled(click(count), None, None), model.sam_prompt_encoder(click(count), None, None))


def test_memory_attention_does_not_recompile_as_memory_grows() -> None:
    model = small_model(64)
    compiled = whole(model.memory_attention.forward, dynamic=True)

    def reading(grids: int, pointers: int) -> dict[str, Any]:
        length = 16 * grids + pointers
        return {
            "curr": noise(1, 16, WIDTH),
            "memory": noise(1, length, 16, seed=1),
            "curr_pos": noise(1, 16, WIDTH, seed=2),
            "memory_pos": noise(1, length, 16, seed=3),
            "num_obj_ptr_tokens": pointers,
            "grid": (4, 4),
        }

    with torch.no_grad():
        for grids, pointers in ((2, 8), (3, 12)):
            compiled(**reading(grids, pointers))
        with torch._dynamo.config.patch(error_on_recompile=True):
            for grids, pointers in ((4, 16), (5, 20), (7, 24)):
                given = reading(grids, pointers)
                assert_same(compiled(**given), model.memory_attention(**given))


def test_memory_encoder() -> None:
    model = small_model(64)
    features, masks = noise(2, WIDTH, 4, 4), noise(2, 1, 64, 64)

    with torch.no_grad():
        assert_same(whole(model.memory_encoder.forward)(features, masks), model.memory_encoder(features, masks))


def test_option_compiles_the_encoder_and_keeps_the_state_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def eager(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", eager)

    model = small_model(64, compile_image_encoder=True)

    assert [options["fullgraph"] for options in asked] == [True]
    assert model.state_dict().keys() == small_model(64).state_dict().keys()


def test_compiled_training_step_has_the_gradients() -> None:
    plain, compiled = small_model(64), small_model(64)
    images = noise(1, 3, 64, 64)

    plain.forward_image(images).maps[-1].square().mean().backward()
    whole(compiled.forward_image)(images).maps[-1].square().mean().backward()

    for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-3, rtol=1e-3)
