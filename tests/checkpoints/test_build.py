"""Models from names, files and configurations; and files that do not belong to their configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from sam2_core.checkpoints import build, load_config
from sam2_core.checkpoints.build import (
    build_sam2,
    build_sam2_hf,
    build_sam2_video_predictor,
    build_sam2_video_predictor_hf,
    load_model,
    load_weights,
)
from sam2_core.checkpoints.catalogue import CATALOGUE, get_entry
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.checkpoints.load import Checkpoint, save_checkpoint
from sam2_core.errors import (
    CheckpointError,
    ConfigError,
    InvalidInputError,
    InvalidTypeError,
    MissingFileError,
    UnknownModelError,
)
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.model.sam2_base import SAM2Base

MICRO = "configs/sam2.1/sam2.1_hiera_micro.yaml"
TINY = "configs/sam2.1/sam2.1_hiera_t.yaml"
SHIPPED = CATALOGUE["sam2.1_hiera_micro"]


@pytest.fixture(scope="module")
def micro_file(micro_weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smallest network in a file as the official ones are: ``{"model": …}``, fp32."""
    return save_checkpoint(tmp_path_factory.mktemp("weights") / "micro.pt", micro_weights)


def test_the_official_arguments_in_the_official_order() -> None:
    official = ["config_file", "ckpt_path", "device", "mode", "hydra_overrides_extra", "apply_postprocessing"]

    ours = ["precision", "kwargs"]
    assert list(inspect.signature(build_sam2).parameters) == [*official, *ours]
    assert list(inspect.signature(build_sam2_video_predictor).parameters) == [*official, "vos_optimized", *ours]
    for function in (build_sam2_hf, build_sam2_video_predictor_hf):
        assert list(inspect.signature(function).parameters) == ["model_id", "kwargs"]


def test_a_model_gets_the_weights_of_the_file(micro_file: Path, micro_weights: dict[str, Tensor]) -> None:
    model = build_sam2(MICRO, micro_file, "cpu", precision="fp32")

    assert type(model) is SAM2Base
    assert not model.training
    assert all(torch.equal(value, micro_weights[key]) for key, value in model.state_dict().items())
    assert model.dtype == torch.float32


def test_postprocessing_is_on_unless_switched_off() -> None:
    with WithoutRandomWeights():
        with_it = build_sam2(MICRO, device="cpu").sam_mask_decoder
        without = build_sam2(MICRO, device="cpu", apply_postprocessing=False).sam_mask_decoder

    assert with_it.dynamic_multimask_via_stability
    assert with_it.dynamic_multimask_stability_delta == 0.05
    assert with_it.dynamic_multimask_stability_thresh == 0.98
    assert not without.dynamic_multimask_via_stability


def test_postprocessing_wins_over_overrides_as_in_the_official_builder_and_the_list_is_not_changed() -> None:
    # tests/test_compat.py compares with the official builder
    delta = "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.1"
    overrides = [delta, "++model.image_size=512"]
    with WithoutRandomWeights():
        model = build_sam2(MICRO, device="cpu", hydra_overrides_extra=overrides)
        plain = build_sam2(MICRO, device="cpu", hydra_overrides_extra=(delta,), apply_postprocessing=False)
        video = build_sam2_video_predictor(MICRO, device="cpu", hydra_overrides_extra=["++model.fill_hole_area=3"])

    assert model.sam_mask_decoder.dynamic_multimask_stability_delta == 0.05
    assert model.image_size == 512
    assert plain.sam_mask_decoder.dynamic_multimask_stability_delta == 0.1
    assert video.fill_hole_area == 8
    assert len(overrides) == 2


def test_overrides_of_the_caller_win_in_our_own_loader() -> None:
    override = "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.1"

    assert (
        load_model("sam2.1_hiera_micro", overrides=[override]).sam_mask_decoder.dynamic_multimask_stability_delta == 0.1
    )


@pytest.mark.parametrize("build_one", [build_sam2, build_sam2_video_predictor])
def test_one_string_is_no_list_of_overrides(build_one: Callable[..., SAM2Base]) -> None:
    with pytest.raises(ConfigError, match="expected a list of overrides"):
        build_one(MICRO, device="cpu", hydra_overrides_extra="++model.image_size=512")


def test_training_mode() -> None:
    with WithoutRandomWeights():
        assert build_sam2(MICRO, device="cpu", mode="train").training
        with pytest.raises(InvalidInputError, match="'eval' or 'train', got 'test'"):
            build_sam2(MICRO, device="cpu", mode="test")


@pytest.mark.usefixtures("bf16_machine")
def test_the_builders_compute_as_fast_as_the_machine_can(micro_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "fetch_pretrained", lambda name, **_: (None, micro_file))
    builders: list[Callable[..., SAM2Base]] = [
        partial(build_sam2, MICRO, micro_file),
        partial(build_sam2_video_predictor, MICRO, micro_file),
        partial(build_sam2_hf, "somebody/micro"),
        partial(build_sam2_video_predictor_hf, "somebody/micro"),
        partial(SAM2VideoPredictor.from_pretrained, "somebody/micro"),
        lambda **options: SAM2ImagePredictor.from_pretrained("somebody/micro", **options).model,
        lambda **options: SAM2AutomaticMaskGenerator.from_pretrained("somebody/micro", **options).predictor.model,
    ]
    for builder in builders:
        assert builder(device="cpu").dtype == torch.bfloat16
        assert builder(device="cpu", precision="fp32").dtype == torch.float32
        # an optimiser's small steps would be lost in bf16 weights
        assert builder(device="cpu", mode="train").dtype == torch.float32
    assert build_sam2(MICRO, micro_file, "cpu", "train", precision="bf16").dtype == torch.bfloat16


def test_a_video_predictor_is_one(micro_file: Path) -> None:
    predictor = build_sam2_video_predictor("sam2.1_hiera_micro.yaml", micro_file, "cpu")

    assert type(predictor) is SAM2VideoPredictor
    assert predictor.fill_hole_area == 8
    assert predictor.binarize_mask_from_pts_for_mem_enc
    assert predictor.sam_mask_decoder.dynamic_multimask_via_stability


def test_a_video_predictor_without_postprocessing() -> None:
    with WithoutRandomWeights():
        predictor = build_sam2_video_predictor(MICRO, device="cpu", apply_postprocessing=False)

    assert predictor.fill_hole_area == 0
    assert not predictor.binarize_mask_from_pts_for_mem_enc
    assert not predictor.sam_mask_decoder.dynamic_multimask_via_stability


def test_the_vos_predictor_is_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # compiling takes minutes, so this looks at what would be built
    class Asked(Exception):
        pass

    def remember(config: DictConfig) -> None:
        raise Asked(config.model._target_, config.model.compile_image_encoder)

    monkeypatch.setattr(build, "instantiate_model", remember)
    with pytest.raises(Asked) as asked:
        build_sam2_video_predictor(MICRO, device="cpu", vos_optimized=True)

    assert asked.value.args == ("sam2.sam2_video_predictor.SAM2VideoPredictorVOS", True)


def test_without_a_configuration_it_is_read_off_the_weights(micro_file: Path) -> None:
    model = load_model(micro_file, device="cpu", precision="fp32", image_size=512)

    assert model.input_size == (512, 512)
    assert len(model.image_encoder.trunk.blocks) == 10
    assert not model.training


def test_precision_and_image_size_are_the_callers(micro_file: Path) -> None:
    model = load_model(micro_file, device="cpu", precision="bf16", image_size=(256, 512))

    assert model.dtype == torch.bfloat16
    assert model.input_size == (256, 512)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_auto_precision_asks_the_device(micro_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "resolve_precision", lambda precision, device: torch.float16)

    assert load_model(micro_file, device="cpu").dtype == torch.float16


@pytest.mark.parametrize("image_size", [500, 0, -32, (512, 100)])
def test_an_image_size_is_a_multiple_of_32(micro_file: Path, image_size: int | tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="multiples of 32"):
        load_model(micro_file, device="cpu", image_size=image_size)


@pytest.mark.parametrize("image_size", ["512", 512.0, True, (1, 2, 3)])
def test_an_image_size_is_a_number_or_two(micro_file: Path, image_size: object) -> None:
    with pytest.raises(InvalidTypeError, match="image_size"):
        load_model(micro_file, device="cpu", image_size=image_size)  # type: ignore[arg-type]


def test_a_file_of_ours_remembers_configuration_and_image_size(
    micro_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = save_checkpoint(tmp_path / "mine.safetensors", micro_weights, config=MICRO, image_size=256)

    assert load_model(path, device="cpu", precision="fp32").input_size == (256, 256)
    assert load_model(path, device="cpu", precision="fp32", image_size=512).input_size == (512, 512)


def test_the_hugging_face_layout_is_recognised(micro_weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "model.safetensors", micro_weights, layout="hugging_face")
    model = load_model(path, device="cpu", precision="fp32")

    assert all(torch.equal(value, micro_weights[key]) for key, value in model.state_dict().items())


def test_a_mismatch_names_the_configuration_that_fits(micro_file: Path) -> None:
    with pytest.raises(CheckpointError, match=f"do not fit sam2_hiera_t.yaml. The weights fit {MICRO}: use that"):
        build_sam2("sam2_hiera_t.yaml", micro_file, "cpu")
    with pytest.raises(CheckpointError, match=f"The weights fit {MICRO}"):
        load_model(micro_file, config=TINY, device="cpu")


@pytest.mark.parametrize("config", ["sam2.1_hiera_s", "sam2_hiera_t"])
def test_the_generation_and_the_size_both_count(config: str, tiny_weights: dict[str, Tensor]) -> None:
    with WithoutRandomWeights():
        model = build_sam2(config, device="cpu")

    with pytest.raises(CheckpointError, match=f"do not fit {config}. The weights fit {TINY}"):
        load_weights(model, Checkpoint(Path("tiny.pt"), tiny_weights), config)


def test_a_weight_too_few_or_too_many_is_named(micro_weights: dict[str, Tensor], tmp_path: Path) -> None:
    weights = dict(micro_weights)
    del weights["no_mem_embed"]
    weights["lora.weight"] = torch.ones(1)
    path = save_checkpoint(tmp_path / "odd.safetensors", weights)

    with pytest.raises(CheckpointError, match=r"1 missing \(no_mem_embed\); 1 unexpected \(lora\.weight\)"):
        load_model(path, device="cpu")


def test_a_configuration_of_ones_own(micro_file: Path, tmp_path: Path) -> None:
    own = load_config(MICRO, ["model.image_size=256"])

    assert load_model(micro_file, config=own, device="cpu", precision="fp32").input_size == (256, 256)
    assert build_sam2(own, micro_file, "cpu").input_size == (256, 256)
    with pytest.raises(ConfigError, match="no configuration named"):
        load_model(micro_file, config=tmp_path / "none.yaml", device="cpu")


def test_a_model_that_is_not_here_is_not_downloaded_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path))

    for name in ("sam2.1_hiera_tiny", "facebook/sam2.1-hiera-tiny", "sam2.1_hiera_tiny.pt"):
        with pytest.raises(MissingFileError, match=r"'sam2 download sam2.1_hiera_tiny' or pass download=True"):
            load_model(name, device="cpu")


def test_a_model_in_the_cache_is_loaded_by_name(
    micro_file: Path, micro_weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "locate_checkpoint", lambda entry, download: micro_file)

    model = load_model(SHIPPED.name, device="cpu", precision="fp32")

    assert torch.equal(model.no_mem_embed, micro_weights["no_mem_embed"])


def test_every_name_of_the_catalogue_is_a_pretrained_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each predictor takes each name and each id, and builds the model that is meant, whose weights are fetched."""
    built = []
    stand_in = build_sam2(MICRO, device="cpu")
    monkeypatch.setattr(build, "fetch_pretrained", lambda name, **_: (get_entry(name), Path(get_entry(name).file_name)))
    monkeypatch.setattr(build, "read_checkpoint", lambda path: path)
    monkeypatch.setattr(build, "_build", lambda *args, **_: built.append(args) or stand_in)
    for entry in CATALOGUE.values():
        for name in filter(None, (entry.name, entry.hf_id)):
            built.clear()
            for kind in (SAM2ImagePredictor, SAM2VideoPredictor, SAM2AutomaticMaskGenerator):
                kind.from_pretrained(name, device="cpu")

            assert [path for _, path in built] == [Path(entry.file_name)] * 3
            wanted = load_config(entry.config).model
            assert all(config.model.image_encoder == wanted.image_encoder for config, _ in built)
            targets = [config.model._target_.rpartition(".")[2] for config, _ in built]
            assert targets == ["SAM2Base", "SAM2VideoPredictor", "SAM2Base"]


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="Did you mean"):
        load_model("sam2.1_hiera_tiy", device="cpu")
    with pytest.raises(MissingFileError, match=r"weights\.pt does not exist"):
        load_model("weights.pt", device="cpu")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_model(tmp_path / "sam2.1_hiera_tiny.pt", device="cpu")
    with pytest.raises(MissingFileError):
        build_sam2(MICRO, tmp_path / "none.pt", "cpu")


def test_the_catalogue_counts_the_parameters_of_the_shipped_model() -> None:
    with WithoutRandomWeights():
        model = build_sam2(MICRO, device="cpu")

    assert sum(parameter.numel() for parameter in model.parameters()) == SHIPPED.parameters


@pytest.mark.skipif(not SHIPPED.shipped_path.is_file(), reason="needs the shipped weights")
def test_the_shipped_model_loads_by_name_by_id_and_by_path() -> None:
    by_name = load_model(SHIPPED.name, device="cpu", precision="fp32")
    by_path = load_model(SHIPPED.shipped_path, device="cpu", precision="fp32")
    by_id = build_sam2_hf(SHIPPED.name, device="cpu", precision="fp32")

    assert by_name.input_size == by_path.input_size == by_id.input_size
    for other in (by_path, by_id):
        assert all(torch.equal(a, b) for a, b in zip(by_name.parameters(), other.parameters(), strict=True))
    image, video = (kind.from_pretrained(SHIPPED.name) for kind in (SAM2ImagePredictor, SAM2VideoPredictor))
    generator = SAM2AutomaticMaskGenerator.from_pretrained(SHIPPED.name, points_per_side=3)
    assert image.model.input_size == generator.predictor.model.input_size == video.input_size
    assert len(generator.point_grids[0]) == 9
    # the thresholds of the official models would leave nothing of what this one finds
    assert generator.pred_iou_thresh == SHIPPED.min_iou < 0.8
    assert SAM2AutomaticMaskGenerator.from_pretrained(SHIPPED.name, pred_iou_thresh=0.7).pred_iou_thresh == 0.7


@pytest.mark.skipif(not SHIPPED.shipped_path.is_file(), reason="needs the shipped weights")
def test_from_pretrained_takes_the_options_of_predictors(caplog: pytest.LogCaptureFixture) -> None:
    image = SAM2ImagePredictor.from_pretrained(SHIPPED.name, device="cpu", precision="bf16", mask_threshold=0.25)
    assert (image.model.dtype, image.mask_threshold) == (torch.bfloat16, 0.25)
    video = SAM2VideoPredictor.from_pretrained(
        SHIPPED.name,
        device="cpu",
        max_objects_per_batch=3,
        official_frame_count=True,
        memory_temporal_stride_for_eval=2,
    )
    assert (video.max_objects_per_batch, video.official_frame_count) == (3, True)
    assert video.memory_temporal_stride_for_eval == 2
    assert not caplog.records
    with pytest.raises(InvalidTypeError, match="fill_hole_area is a number"):
        SAM2VideoPredictor.from_pretrained(SHIPPED.name, fill_hole_area=[7])
    SAM2ImagePredictor.from_pretrained(SHIPPED.name, devcie="cpu")
    assert "devcie" in caplog.text
    assert SHIPPED.shipped_path.stat().st_size <= 12_000_000
