"""fine_tune: what is refused, what is told, and a model that is in the catalogue at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2_core import fine_tune, load_model
from sam2_core.checkpoints import own_models
from sam2_core.checkpoints.catalogue import everything_thresholds, known_models
from sam2_core.errors import DestinationExistsError, DivergedError, InvalidInputError, InvalidTypeError, WriteError
from sam2_core.hooks import TrainingEvent
from sam2_core.training.fine_tuning import recipes

SIZE = 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def stack(frames: int = 5) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Two bright discs on noise."""
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((frames, SIZE, SIZE), np.uint16)
    for t in range(frames):
        labels[t][(y - 18) ** 2 + (x - 18 - t) ** 2 < 90] = 3
        labels[t][(y - 44) ** 2 + (x - 40 - t) ** 2 < 120] = 4
    noise = np.random.default_rng(0).integers(0, 40, labels.shape)
    return (noise + 160 * (labels > 0)).astype(np.uint8), labels


def tuned(images: Any, labels: Any, recipe: str = "decoder", **options: Any) -> Any:
    chosen = {"steps": 2, "image_size": SIZE, "objects": 2, "replay": 0.0} | options
    return fine_tune(images, labels, recipe, "10 min", **chosen)


def test_the_result_is_in_the_catalogue_and_events_tell_how_it_went() -> None:
    events: list[TrainingEvent] = []

    result = tuned(*stack(), name="discs", on_event=events.append)

    assert [one.kind for one in events if one.kind != "validation"] == ["start", "step", "step", "end"]
    assert result.steps == 2
    assert result.after >= result.before > 0
    assert result.split.validation == (2,)
    validations = [one for one in events if one.kind == "validation"]
    assert max(one.measures["iou"] for one in validations) == result.after
    assert all(one.picture is not None and one.picture.shape == (SIZE, SIZE, 3) for one in validations)
    assert known_models()["discs"].licence == "Apache-2.0"
    assert everything_thresholds("discs") == everything_thresholds("sam2.1_hiera_micro") != {}
    again = load_model("discs", device="cpu", precision="fp32")
    assert tuple(again.input_size) == (SIZE, SIZE)
    expected = result.model.state_dict()
    assert all(value.equal(expected[name]) for name, value in again.state_dict().items())
    page = (result.folder / "README.md").read_text()
    for told in ("sam2.1_hiera_micro", "one-click IoU before", "frames held back: 2", "learning_rate", "Apache-2.0"):
        assert told in page


def test_a_wish_to_stop_keeps_the_best() -> None:
    events: list[TrainingEvent] = []

    result = tuned(*stack(), steps=50, on_event=events.append, should_stop=lambda: len(events) > 3)

    assert result.steps < 5
    assert result.reason == "somebody asked for it"
    assert result.name in known_models()
    assert "somebody asked for it" in own_models.read_card(result.name).notes[0]  # type: ignore[union-attr]


def test_worse_weights_are_not_kept() -> None:
    result = tuned(*stack(), learning_rate=0.5, steps=3)

    start = load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", image_size=SIZE).state_dict()
    assert result.after >= result.before
    assert (result.best_step == 0) == all(value.equal(start[key]) for key, value in result.model.state_dict().items())


def test_labels_of_another_shape() -> None:
    images, labels = stack()
    with pytest.raises(InvalidInputError, match="of one shape"):
        tuned(images, labels[:, :-2])
    with pytest.raises(InvalidInputError, match="of one shape"):
        tuned(images, labels[:-1])


def test_empty_masks() -> None:
    images, labels = stack()
    with pytest.raises(InvalidInputError, match="all empty"):
        tuned(images, labels * 0)
    labels[1] = 0
    assert 1 not in tuned(images, labels, steps=1).split.training


def test_a_label_file_that_is_really_an_image() -> None:
    images, _ = stack()
    with pytest.raises(InvalidInputError, match="looks like an image"):
        tuned(images, images)


def test_ids_that_change_matter_where_objects_are_followed() -> None:
    images, labels = stack()
    changing = np.where(labels > 0, labels + 10 * np.arange(5, dtype=np.uint16)[:, None, None], 0).astype(np.uint16)
    with pytest.raises(InvalidInputError, match="change their ids"):
        tuned(images, changing, "memory")
    assert tuned(images, changing, steps=1).steps == 1


def test_one_frame_only_and_no_validation_frames() -> None:
    images, labels = stack(1)
    with pytest.raises(InvalidInputError, match=r"One labelled frame only.*validation_frames=\[\]"):
        tuned(images, labels)
    result = tuned(images, labels, validation_frames=[])
    assert result.after is None
    assert result.steps == 2
    images, labels = stack(3)
    with pytest.raises(InvalidInputError, match="none is left"):
        tuned(images, labels, validation_frames=[0, 1, 2])
    with pytest.raises(InvalidInputError, match="shows no label"):
        tuned(images, labels, labelled_frames=[0, 1], validation_frames=[2])


@pytest.mark.parametrize("budget", ["soon", "0 min", -1, float("inf"), "3 weeks"])
def test_budgets_that_are_none(budget: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"[Bb]udget"):
        fine_tune(*stack(), budget=budget)
    with pytest.raises(InvalidTypeError, match="budget"):
        fine_tune(*stack(), budget=None)  # type: ignore[arg-type]


def test_names_and_options_are_looked_at_first() -> None:
    for name, error in (("A b", InvalidInputError), ("sam2.1_hiera_micro", DestinationExistsError)):
        with pytest.raises(error):
            tuned(*stack(), name=name)
    with pytest.raises(InvalidInputError, match="no option"):
        tuned(*stack(), speed=3)


def test_a_loss_that_becomes_nan_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = recipes.image_loss

    def broken(*given: Any) -> Any:
        value, measures = loss(*given)
        return value * float("nan"), measures

    monkeypatch.setattr(recipes, "image_loss", broken)
    with pytest.raises(DivergedError, match="loss is nan"):
        tuned(*stack())
    assert not own_models.own_models()


def test_a_disk_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(WriteError, match="Make room"):
        tuned(*stack(), name="discs")
    assert not list(own_models.own_models_folder().iterdir())


def test_names_that_are_taken_get_a_number() -> None:
    first = tuned(*stack(), steps=1, validation_frames=[])
    second = tuned(*stack(), steps=1, validation_frames=[])
    assert second.name == f"{first.name}-2"
