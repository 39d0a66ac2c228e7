"""Finding more like an example, on features made for it and on the shipped model's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sam2_exemplar_prompt
import torch
from sam2_exemplar_prompt.similarity import covered, peaks, similarity

from sam2_core import InvalidInputError, SAM2ImagePredictor, load_model
from sam2_core.hooks import ArrayContext, Drawn, Plugins, Selection, prompts_of
from sam2_core.hooks.contract import PluginContract

SIZE = (96, 128)
CELLS = [(20, 20), (64, 24), (100, 30), (30, 70), (80, 72)]  # (x, y)
PLUGINS = Plugins(Selection(), strict=True)
PLUGINS.register(sam2_exemplar_prompt, name="exemplar-prompt")


class TestContract(PluginContract):
    plugin = sam2_exemplar_prompt


def drawn_cells(radius: float = 7.0) -> Any:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, np.int32)
    for number, (across, down) in enumerate(CELLS, 1):
        labels[(x - across) ** 2 + (y - down) ** 2 <= radius**2] = number
    return labels


def features(frame: int) -> Any:
    """Four noisy channels that tell the middles of cells from the ground; a quarter of the frame's size."""
    y, x = np.mgrid[2 : SIZE[0] : 4, 2 : SIZE[1] : 4]
    cells = sum(np.exp(-((x - across) ** 2 + (y - down) ** 2) / 50) for across, down in CELLS)
    weights = np.array([1.0, -1.0, 0.7, -0.5])[:, None, None]
    noisy = weights * cells + np.random.default_rng(0).normal(0, 0.02, (4, *cells.shape))
    fine = torch.from_numpy(noisy.astype(np.float32))[None]
    return SimpleNamespace(maps=(fine, fine[..., ::2, ::2], fine[..., ::4, ::4]))


def context(known: tuple[int, ...] = (), current: int | None = None) -> ArrayContext:
    labels = drawn_cells()
    labels[~np.isin(labels, known)] = 0
    image = np.zeros((1, *SIZE, 3), np.uint8)
    return ArrayContext(image, labels=labels[None], object_id=current, features=features)


def hit(prompts: Any) -> list[int]:
    labels = drawn_cells()
    return sorted(int(labels[int(y), int(x)]) for prompt in prompts for x, y in prompt.points)


def box(x: int, y: int, reach: int = 7) -> Drawn:
    return Drawn("box", 0, points=np.array([[x - reach, y - reach], [x + reach, y + reach]], np.float32))


def test_a_box_finds_every_cell() -> None:
    found = prompts_of("more-like-box", box(20, 20), context(), plugins=PLUGINS, apart=1)

    assert hit(found) == [1, 2, 3, 4, 5]
    assert all(prompt.object_id == "new" and list(prompt.labels) == [1] for prompt in found)


def test_the_current_object_finds_those_that_are_not_known() -> None:
    found = prompts_of("more-like-this", Drawn("none", 0), context((1, 4), current=4), plugins=PLUGINS, apart=1)

    assert hit(found) == [2, 3, 5]


def test_what_is_painted_finds_the_most_alike_first() -> None:
    painted = Drawn("brush", 0, mask=drawn_cells() == 3)

    assert hit(prompts_of("more-like-painted", painted, context(), plugins=PLUGINS, most=1)) == [3]
    assert len(prompts_of("more-like-painted", painted, context(), plugins=PLUGINS, most=2)) == 2


def test_without_an_example() -> None:
    with pytest.raises(InvalidInputError, match="Select an object"):
        prompts_of("more-like-this", Drawn("none", 0), context(), plugins=PLUGINS)
    with pytest.raises(InvalidInputError, match="outside"):
        prompts_of("more-like-box", box(900, 900), context(), plugins=PLUGINS)


def test_cells_of_a_grid_need_not_hold_whole_pixels() -> None:
    mask = np.zeros((10, 7), bool)
    mask[:5] = True

    share = covered(mask, (4, 3))

    assert np.allclose(share, [[1] * 3, [1] * 3, [0] * 3, [0] * 3])
    assert np.allclose(covered(mask, (3, 3))[1], 0.5)


def test_what_all_of_the_frame_has_in_common_counts_for_nothing() -> None:
    maps = features(0).maps[0][0].numpy()
    share = covered(drawn_cells() == 2, maps.shape[1:])

    plain, shifted = similarity(maps, share), similarity(maps * 3 + 40, share)

    assert np.allclose(plain, shifted, atol=1e-4)
    assert peaks(plain, share, 0.6, 0.35) == peaks(shifted, share, 0.6, 0.35)


def test_with_the_shipped_model() -> None:
    """Bright discs on dark ground: an example finds the others."""
    y, x = np.mgrid[:256, :256]
    centres = [(48, 48), (140, 60), (210, 120), (60, 180), (160, 200)]
    grey = np.random.default_rng(0).normal(25, 4, (256, 256))
    for across, down in centres:
        grey[(x - across) ** 2 + (y - down) ** 2 <= 14**2] += 120
    image = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    predictor = SAM2ImagePredictor(load_model("sam2.1_hiera_micro", device="cpu", precision="fp32"))
    predictor.set_image(image)
    maps = SimpleNamespace(maps=(*predictor._features["high_res_feats"], predictor._features["image_embed"]))
    frame = ArrayContext(image[None], features=lambda index: maps)

    found = prompts_of("more-like-box", box(48, 48, 14), frame, plugins=PLUGINS)

    points = np.array([next(iter(prompt.points)) for prompt in found])
    distances = np.linalg.norm(points[:, None] - np.array(centres)[None], axis=2)
    assert (distances.min(axis=0) < 14).all(), "every disc is found"
    assert (distances.min(axis=1) < 18).all(), "and nothing else"
