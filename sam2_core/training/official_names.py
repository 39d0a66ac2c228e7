"""The official modules for training, and where each name in them lives here.

Those are the names that configurations use, the records that data come in, and the loaders of masks. The machinery of
the official trainer (its meters, its helpers for processes) has no counterpart. The alias of :mod:`sam2_core.compat`
and the targets of training configurations are both made from this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _all_from(home: str, *names: str) -> dict[str, str]:
    return {name: f"sam2_core.training.{home}:{name}" for name in names}


_RECORDS = _all_from("batch", "Frame", "Object", "VideoDatapoint")
_BATCH = _all_from("batch", "BatchedVideoDatapoint")
_LOADERS = _all_from(
    "segment_loaders",
    "JSONSegmentLoader",
    "MultiplePNGSegmentLoader",
    "PalettisedPNGSegmentLoader",
    "SA1BSegmentLoader",
)
_LAZY = _all_from("segment_loaders", "LazySegments")
_SAMPLER = _all_from("frame_samplers", "VOSSampler")
_RAW = _all_from("raw_videos", "VOSRawDataset")

_MODULES: dict[str, dict[str, str]] = {
    "training": {},
    "training.dataset": {},
    "training.model": {},
    "training.utils": {},
    "training.trainer": {"Trainer": "sam2_core.training.run:TrainingRun"},
    "training.model.sam2": _all_from("sam2_train", "SAM2Train") | _BATCH,
    "training.loss_fns": _all_from(
        "losses", "MultiStepMultiMasksAndIous", "dice_loss", "iou_loss", "sigmoid_focal_loss"
    ),
    "training.optimizer": {
        **_all_from("optimiser", "GradientClipper", "construct_optimizer", "layer_decay_param_modifier"),
        **_all_from("schedules", "ValueScaler"),
    },
    "training.utils.data_utils": _RECORDS | _BATCH | _all_from("batch", "BatchedVideoMetaData", "collate_fn"),
    "training.utils.logger": _all_from("tensorboard", "TensorBoardLogger", "make_tensorboard_logger"),
    "training.utils.checkpoint_utils": _all_from(
        "initial_weights",
        "CkptExcludeKernel",
        "load_checkpoint",
        "load_checkpoint_and_apply_kernels",
        "load_state_dict_into_model",
    ),
    "training.utils.train_utils": {
        "register_omegaconf_resolvers": "sam2_core.training.training_config:register_resolvers"
    },
    "training.dataset.sam2_datasets": _all_from("mixed_dataset", "MixedDataLoader", "TorchTrainMixedDataset"),
    "training.dataset.utils": _all_from("video_dataset", "ConcatDataset", "RepeatFactorWrapper", "Subset"),
    "training.dataset.vos_dataset": {
        **_all_from("video_dataset", "VOSDataset"),
        **_RECORDS,
        **_RAW,
        **_SAMPLER,
        **_all_from("segment_loaders", "JSONSegmentLoader"),
    },
    "training.dataset.vos_raw_dataset": {
        **_RAW,
        **_all_from("raw_videos", "JSONRawDataset", "PNGRawDataset", "SA1BRawDataset", "VOSFrame", "VOSVideo"),
        **_LOADERS,
    },
    "training.dataset.vos_sampler": {
        **_SAMPLER,
        **_all_from("frame_samplers", "EvalSampler", "RandomUniformSampler", "SampledFramesAndObjects"),
        **_LAZY,
    },
    "training.dataset.vos_segment_loader": _LOADERS | _LAZY,
    "training.dataset.transforms": _all_from(
        "transforms",
        "ColorJitter",
        "ComposeAPI",
        "NormalizeAPI",
        "RandomAffine",
        "RandomGrayscale",
        "RandomHorizontalFlip",
        "RandomMosaicVideoAPI",
        "RandomResizeAPI",
        "ToTensorAPI",
        "pad",
    )
    | _all_from("batch", "VideoDatapoint"),
}

TRAINING_MODULES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {module: MappingProxyType(names) for module, names in _MODULES.items()}
)
"""Official module -> name in it -> ``module:attribute`` of ours. The modules that are packages hold no names."""
