"""The mask decoder: what it returns, for which candidates, and when it changes its mind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.model import DecodedMasks, MaskDecoder, TwoWayTransformer
from sam2_core.model.fine_features import FineFeatures
from tests.model.small_models import WIDTH, alive, noise


def decoder(**options: Any) -> MaskDecoder:
    """A narrow decoder."""
    settings: dict[str, Any] = {
        "use_high_res_features": True,
        "iou_prediction_use_sigmoid": True,
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "use_multimask_token_for_obj_ptr": True,
    }
    transformer = TwoWayTransformer(2, WIDTH, 8, 96)
    return alive(MaskDecoder(transformer_dim=WIDTH, transformer=transformer, **(settings | options)))  # type: ignore[no-any-return]


def call(module: MaskDecoder, images: int = 2, prompts: int = 2, points: int = 3, **changes: Any) -> DecodedMasks:
    """Decode given embeddings of a 4 x 6 grid."""
    given: dict[str, Any] = {
        "image_embeddings": noise(images, WIDTH, 4, 6),
        "image_pe": noise(1, WIDTH, 4, 6, seed=1),
        "sparse_prompt_embeddings": noise(prompts, points, WIDTH, seed=2),
        "dense_prompt_embeddings": noise(prompts, WIDTH, 4, 6, seed=3),
        "multimask_output": True,
        "repeat_image": images == 1,
        "high_res_features": (noise(images, WIDTH // 8, 16, 24, seed=4), noise(images, WIDTH // 4, 8, 12, seed=5)),
    }
    return module(**(given | changes))  # type: ignore[no-any-return]


def test_shapes() -> None:
    module = decoder()

    three, one = call(module), call(module, multimask_output=False)

    assert three.masks.shape == (2, 3, 16, 24)
    assert three.predicted_ious.shape == (2, 3)
    assert three.tokens.shape == (2, 3, WIDTH)
    assert three.object_score_logits.shape == (2, 1)
    assert one.masks.shape == (2, 1, 16, 24)
    assert one.tokens.shape == (2, 1, WIDTH)
    assert 0 < three.predicted_ious.min() < three.predicted_ious.max() < 1


@pytest.mark.parametrize("dense", ["each", "shared"])
@pytest.mark.parametrize("points", [0, 1, 40])
def test_one_image_for_all_prompts_is_the_image_repeated(dense: str, points: int) -> None:
    module = decoder()
    embeddings = noise(2, WIDTH, 4, 6, seed=3)
    if dense == "shared":
        embeddings = embeddings[:1].expand(2, -1, -1, -1)
    once = call(module, images=1, points=points, dense_prompt_embeddings=embeddings)
    each = call(
        module,
        points=points,
        dense_prompt_embeddings=embeddings,
        image_embeddings=noise(1, WIDTH, 4, 6).repeat(2, 1, 1, 1),
        high_res_features=tuple(
            level.repeat(2, 1, 1, 1)
            for level in (noise(1, WIDTH // 8, 16, 24, seed=4), noise(1, WIDTH // 4, 8, 12, seed=5))
        ),
    )

    for found, expected in zip(vars(once).values(), vars(each).values(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_prompts_do_not_mix() -> None:
    module = decoder()
    both = call(module)

    alone = call(
        module,
        image_embeddings=noise(2, WIDTH, 4, 6)[1:],
        sparse_prompt_embeddings=noise(2, 3, WIDTH, seed=2)[1:],
        dense_prompt_embeddings=noise(2, WIDTH, 4, 6, seed=3)[1:],
        high_res_features=(noise(2, 8, 16, 24, seed=4)[1:], noise(2, 16, 8, 12, seed=5)[1:]),
    )

    torch.testing.assert_close(both.masks[1:], alone.masks, atol=1e-4, rtol=1e-4)


def test_enlarging_is_the_transposed_convolutions() -> None:
    """The nested order of sub-pixels gives what the module's own Sequential gives."""
    module = decoder(use_high_res_features=False)
    pixels = noise(2, 24, WIDTH)
    hyper = noise(2, 4, WIDTH // 8, seed=1)

    found = module._paint(hyper, module._upscale(pixels, None), 4, 6)

    enlarged = module.output_upscaling(pixels.transpose(1, 2).view(2, WIDTH, 4, 6))
    torch.testing.assert_close(found, torch.einsum("bmc,bchw->bmhw", hyper, enlarged), atol=1e-4, rtol=1e-4)


def test_fine_maps_are_added_while_enlarging() -> None:
    module = decoder()
    pixels, fine = noise(1, 24, WIDTH), (noise(1, 8, 16, 24, seed=4), noise(1, 16, 8, 12, seed=5))
    grow1, norm, act1, grow2, act2 = module.output_upscaling
    hyper = noise(1, 4, WIDTH // 8, seed=1)

    found = module._paint(hyper, module._upscale(pixels, FineFeatures.nest(fine)), 4, 6)

    x = act1(norm(grow1(pixels.transpose(1, 2).view(1, WIDTH, 4, 6)) + fine[1]))
    x = act2(grow2(x) + fine[0])
    torch.testing.assert_close(found, torch.einsum("bmc,bchw->bmhw", hyper, x), atol=1e-4, rtol=1e-4)


def test_without_an_object_score_the_object_is_there() -> None:
    decoded = call(decoder(pred_obj_scores=False, pred_obj_scores_mlp=False))

    assert decoded.object_score_logits.tolist() == [[10.0], [10.0]]


def test_linear_object_score() -> None:
    assert call(decoder(pred_obj_scores_mlp=False)).object_score_logits.shape == (2, 1)


def test_pointer_token_of_the_single_mask() -> None:
    module = decoder(use_multimask_token_for_obj_ptr=False)

    assert torch.equal(call(module).tokens, call(module, multimask_output=False).tokens)


def test_unstable_masks_give_way_to_the_best_candidate() -> None:
    stable = decoder(dynamic_multimask_via_stability=True, dynamic_multimask_stability_thresh=0.0)
    unstable = decoder(dynamic_multimask_via_stability=True, dynamic_multimask_stability_thresh=1.1)
    plain = decoder()
    candidates, single = call(plain), call(plain, multimask_output=False)

    kept, replaced = call(stable, multimask_output=False), call(unstable, multimask_output=False)

    assert torch.equal(kept.masks, single.masks)
    for image, best in enumerate(candidates.predicted_ious.argmax(1).tolist()):
        assert torch.equal(replaced.masks[image, 0], candidates.masks[image, best])
        assert replaced.predicted_ious[image, 0] == candidates.predicted_ious[image, best]
    assert torch.equal(replaced.tokens, single.tokens)


def test_stability_decides_in_evaluation_only() -> None:
    module = decoder(dynamic_multimask_via_stability=True, dynamic_multimask_stability_thresh=1.1).train()

    assert torch.equal(
        call(module, multimask_output=False).masks, call(decoder().train(), multimask_output=False).masks
    )


def naive_stability(mask: Tensor, delta: float) -> float:
    """Area above +delta over area above -delta, 1 where both are empty."""
    inner, outer = int((mask > delta).sum()), int((mask > -delta).sum())
    return inner / outer if outer else 1.0


def test_stability_of_masks() -> None:
    module = decoder(dynamic_multimask_stability_delta=0.3)
    masks = noise(3, 2, 8, 8) * torch.tensor([1.0, 0.1])[:, None, None]
    masks[2, 1] = -5.0

    scores = module._stability(masks)

    expected = [[naive_stability(mask, 0.3) for mask in row] for row in masks]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_mismatched_inputs_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="repeat_image"):
        call(decoder(), images=1, repeat_image=False)
    with pytest.raises(InvalidInputError, match="high_res_features"):
        call(decoder(), high_res_features=None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_stay_close(dtype: torch.dtype) -> None:
    exact, module = call(decoder()), decoder().to(dtype)
    narrow = call(
        module,
        image_embeddings=noise(2, WIDTH, 4, 6).to(dtype),
        image_pe=noise(1, WIDTH, 4, 6, seed=1).to(dtype),
        sparse_prompt_embeddings=noise(2, 3, WIDTH, seed=2).to(dtype),
        dense_prompt_embeddings=noise(2, WIDTH, 4, 6, seed=3).to(dtype),
        high_res_features=(noise(2, 8, 16, 24, seed=4).to(dtype), noise(2, 16, 8, 12, seed=5).to(dtype)),
    )

    assert narrow.masks.dtype == dtype
    assert ((narrow.masks > 0) == (exact.masks > 0)).float().mean() > 0.97
    assert (narrow.predicted_ious.float() - exact.predicted_ious).abs().max() < 0.05


def test_every_weight_gets_a_gradient() -> None:
    module = decoder()
    decoded = [call(module), call(module, multimask_output=False)]

    total = sum(d.masks.square().mean() + d.predicted_ious.sum() + d.object_score_logits.sum() for d in decoded)
    assert isinstance(total, Tensor)
    total.backward()

    # The maps of stride 4 and 8 are projected by whoever encodes the image.
    dead = [name for name, weight in module.named_parameters() if weight.grad is None or not weight.grad.any()]
    # What every pixel would add alike to a softmax has no influence: the bias of these keys.
    assert [n for n in dead if not n.startswith(("conv_s0", "conv_s1")) and not n.endswith("k_proj.bias")] == []
