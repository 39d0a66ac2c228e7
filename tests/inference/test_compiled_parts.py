from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from sam2_core.inference.compiled_parts import compile_forward, take_any_number_of_points
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.inference.video_scene import small_predictor, stack


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    """Each test with an empty cache of compiled graphs."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_clicks_after_the_first_compile_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = []
    compiler = torch.compile

    def counting(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    def compile_for_any_machine(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        assert options.pop("mode") == "max-autotune-no-cudagraphs"
        return compiler(function, backend=counting, **options)

    predictor, plain = small_predictor(), small_predictor()
    names = list(predictor.state_dict())
    monkeypatch.setattr(torch, "compile", compile_for_any_machine)
    compile_forward(predictor.sam_prompt_encoder)
    take_any_number_of_points(predictor.sam_prompt_encoder)

    clicks = [[45.0, 30.0], [50.0, 34.0], [20.0, 20.0], [40.0, 25.0]]
    answers = []
    for one in (predictor, plain):
        state = one.init_state(stack())
        answers.append([_after(one, state, clicks[:count]) for count in (1, 2, 3, 4)])

    assert len(graphs) == 1
    for found, expected in zip(*answers, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert list(predictor.state_dict()) == names


def _after(predictor: SAM2VideoPredictor, state: Any, clicks: list[list[float]]) -> torch.Tensor:
    """Low-resolution logits of an object that was clicked on in the first frame, at all these places."""
    found = predictor.prompt_points(state, 0, len(clicks), clicks, [1] * len(clicks))
    return found.low_res_logits
