"""Which networks are compared, at which size, in which parts: one list for the oracle and for our side."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sam2_core

MODELS = {
    "sam2_t": "configs/sam2/sam2_hiera_t.yaml",
    "sam2_s": "configs/sam2/sam2_hiera_s.yaml",
    "sam2_b+": "configs/sam2/sam2_hiera_b+.yaml",
    "sam2_l": "configs/sam2/sam2_hiera_l.yaml",
    "sam2.1_t": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_s": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1_b+": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1_l": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
SHIPPED = Path(sam2_core.__file__).parent / "checkpoints"
EVERY_PART = ("components", "image", "video", "generator_few_points")


@dataclass(frozen=True)
class Job:
    """One network at one size.

    `overrides` are Hydra overrides of the configuration; `weights` are values that replace drawn ones, by state-dict
    key: one number fills the tensor. `trained` takes the checkpoint that ships rather than drawn weights: masks that
    follow what is in the picture, which overlap, touch the borders of crops and suppress each other. `compiled`
    compiles our side.
    """

    name: str
    config: str
    image_size: int
    parts: tuple[str, ...]
    seed: int = 0
    overrides: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    trained: bool = False
    compiled: bool = False

    def document(self) -> dict[str, Any]:
        """The job as the oracle reads it from JSON."""
        shipped = {"config": str(SHIPPED / self.config), "checkpoint": str(shipped_weights())} if self.trained else {}
        return asdict(self) | shipped


def shipped_weights() -> Path:
    """The checkpoint in the package."""
    return SHIPPED / "weights" / "sam2.1_hiera_micro.safetensors"


TINY = MODELS["sam2.1_t"]
LEGACY = "++model._target_=sam2.sam2_video_predictor_legacy.SAM2VideoPredictor"
QUICK_JOBS = (
    # The long video story at this size takes minutes on a CPU: it is in SOAK_JOBS, and at 256 pixels below.
    Job("sam2.1_t-1024", TINY, 1024, ("components", "image", "video_short", "generator_few_points")),
    *(Job(f"{name}-256", config, 256, EVERY_PART) for name, config in MODELS.items() if name != "sam2.1_t"),
    Job(
        "sam2.1_t-256",
        TINY,
        256,
        ("video", "options", "nine_objects", "image_cleaned", "generator_plain", "generator_nms", "generator_crops",
         "generator_m2m", "generator_one_mask"),
    ),
    # About half of the objects are predicted to be absent.
    Job("absent_objects", TINY, 256, ("video",), weights={"sam_mask_decoder.pred_obj_score_head.layers.2.bias": -2.0}),
    # Objects that share their frames, as before December 2024, alone and where each pixel is remembered for one only.
    Job("joint-256", TINY, 256, ("joint",), overrides=(LEGACY,)),
    # Several objects may be equally sure of a pixel, and rounding then says whose it is: with seed 0 the sides disagree
    # about one, with 1, 2 and 3 they do not.
    Job(
        "joint-exclusive-256",
        TINY,
        256,
        ("joint",),
        seed=1,
        overrides=(LEGACY, "++model.non_overlap_masks_for_mem_enc=true"),
    ),
    Job(
        "shipped-256",
        "configs/sam2.1/sam2.1_hiera_micro.yaml",
        256,
        ("image", "video", "generator_trained", "generator_trained_crops"),
        trained=True,
    ),
    Job(
        "other_options",
        TINY,
        256,
        ("options",),
        overrides=(
            "++model.non_overlap_masks=true",
            "++model.add_all_frames_to_correct_as_cond=true",
            "++model.memory_temporal_stride_for_eval=2",
            "++model.max_cond_frames_in_attn=2",
            "++model.max_obj_ptrs_in_encoder=3",
            "++model.only_obj_ptrs_in_the_past_for_eval=false",
        ),
    ),
)  # fmt: skip
SOAK_JOBS = (
    Job("sam2.1_t-1024-video", TINY, 1024, ("video", "nine_objects")),
    Job("joint-1024", TINY, 1024, ("joint",), overrides=(LEGACY,)),
    # Ours compiled, the official one as it is: it compiles for CUDA only.
    Job(
        "shipped-256-compiled",
        "configs/sam2.1/sam2.1_hiera_micro.yaml",
        256,
        ("video_short",),
        trained=True,
        compiled=True,
    ),
    *(Job(f"{name}-1024", config, 1024, EVERY_PART) for name, config in MODELS.items() if name != "sam2.1_t"),
)
