from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Normalize, Resize, ToTensor

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_transform import IMAGE_MEAN, IMAGE_STD, FrameTransform, Resampling
from sam2_core.inference.input_images import image_pixels
from tests.inference.image_scene import picture


@pytest.mark.parametrize("size", [(70, 110), (300, 40), (128, 128)])
def test_an_image_is_resampled_as_torchvision_does(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = Normalize(IMAGE_MEAN, IMAGE_STD)(Resize((128, 128), antialias=True)(ToTensor()(image)))

    assert torch.equal(FrameTransform(128)(image), expected)


def test_a_frame_is_resampled_as_pil_does() -> None:
    image = picture(70, 110)
    resized = np.array(Image.fromarray(image).resize((96, 64)))
    expected = ((resized / 255.0 - IMAGE_MEAN) / IMAGE_STD).transpose(2, 0, 1)

    result = FrameTransform((64, 96), "frame")(image)

    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-6)


def test_a_decoded_frame_is_resampled_bilinearly() -> None:
    image = picture(70, 110)
    resized = np.array(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
    expected = ((resized / 255.0 - IMAGE_MEAN) / IMAGE_STD).transpose(2, 0, 1)

    np.testing.assert_allclose(FrameTransform(64, "decoder")(image).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("resampling", ["image", "frame", "decoder"])
def test_greyscale_floats_and_pil_images_are_the_same_picture(resampling: str) -> None:
    transform = FrameTransform(64, resampling)  # type: ignore[arg-type]
    grey = picture()[..., 0]
    expected = transform(np.repeat(grey[..., None], 3, axis=2))

    for same in (grey, grey[..., None], Image.fromarray(grey), np.asfortranarray(grey)):
        assert torch.equal(transform(same), expected)
    # floating point is not rounded to 8 bits on the way, so PIL differs by a few rounding steps
    step = 0.0 if resampling == "image" else 8 / 255 / min(IMAGE_STD)
    assert (transform(grey.astype(np.float64) / 255) - expected).abs().max() <= step + 1e-5


@pytest.mark.parametrize("resampling", ["image", "frame", "decoder"])
def test_one_channel_shown_three_times_is_resized_once_to_the_same_bits(resampling: Resampling) -> None:
    grey = picture(70, 110)[:, :, :1]
    shown = np.broadcast_to(grey, (70, 110, 3))
    transform = FrameTransform((64, 96), resampling)

    assert image_pixels(shown).shape == (70, 110)
    assert torch.equal(transform(shown), transform(np.repeat(grey, 3, axis=2)))


def test_an_input_is_left_unchanged_and_may_be_read_only() -> None:
    image = picture()
    before = image.copy()
    image.setflags(write=False)

    FrameTransform(image.shape[:2])(image)

    assert np.array_equal(image, before)


def test_a_batch_holds_images_of_any_size() -> None:
    transform = FrameTransform(64)
    images = [picture(40, 50), picture(60, 30)]

    assert torch.equal(transform.forward_batch(images), torch.stack([transform(image) for image in images]))


def test_coordinates_are_scaled_to_a_rectangular_input() -> None:
    transform = FrameTransform((64, 96))
    pixels = torch.tensor([[0.0, 0.0], [50.0, 20.0], [100.0, 40.0]])

    scaled = transform.transform_coords(pixels, normalize=True, orig_hw=(40, 100))

    assert scaled.tolist() == [[0, 0], [48, 32], [96, 64]]
    assert torch.equal(transform.transform_coords(pixels / torch.tensor([100.0, 40.0])), scaled)
    assert transform.transform_boxes(torch.tensor([0.0, 0.0, 0.5, 1.0])).tolist() == [[[0, 0], [48, 64]]]
    with pytest.raises(InvalidInputError, match="orig_hw"):
        transform.transform_coords(pixels, normalize=True)


@pytest.mark.parametrize("arguments", [(0, "image"), ((64, -1), "image"), (64, "bicubic")])
def test_impossible_settings_are_refused(arguments: tuple[object, str]) -> None:
    with pytest.raises(InvalidInputError):
        FrameTransform(*arguments)  # type: ignore[arg-type]
