"""The official predictors: ours, under official defaults, over a model that also speaks the official shapes."""

from __future__ import annotations

from typing import Any, Self

from sam2_core.compat.network import adapt, speak_official
from sam2_core.compat.signatures import OFFICIAL_DEFAULTS, with_signature_of
from sam2_core.compat.video_steps import VideoSteps
from sam2_core.inference import image_predictor, mask_generator, video_predictor
from sam2_core.model import sam2_base

# programs pad their points with -1, and gave boxes as the points 2 and 3 before there was an option for them
_OFFICIAL_LABELS = (-1, 0, 1, 2, 3)


class SAM2ImagePredictor(image_predictor.SAM2ImagePredictor):
    """The image predictor; see :class:`sam2_core.inference.image_predictor.SAM2ImagePredictor`."""

    known_labels = _OFFICIAL_LABELS

    @with_signature_of(image_predictor.SAM2ImagePredictor.__init__)
    def __init__(self, sam_model: sam2_base.SAM2Base, *args: Any, **kwargs: Any) -> None:
        super().__init__(speak_official(sam_model), *args, **kwargs)

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> Self:
        """Load a model by name, in fp32 unless told otherwise."""
        return super().from_pretrained(model_id, **{**OFFICIAL_DEFAULTS, **kwargs})


class SAM2AutomaticMaskGenerator(mask_generator.SAM2AutomaticMaskGenerator):
    """The mask generator; see :class:`sam2_core.inference.mask_generator.SAM2AutomaticMaskGenerator`."""

    @with_signature_of(mask_generator.SAM2AutomaticMaskGenerator.__init__)
    def __init__(self, model: sam2_base.SAM2Base, *args: Any, **kwargs: Any) -> None:
        super().__init__(speak_official(model), *args, **kwargs)

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> Self:
        """Load a model by name, in fp32 unless told otherwise."""
        return super().from_pretrained(model_id, **{**OFFICIAL_DEFAULTS, **kwargs})


class SAM2VideoPredictor(VideoSteps):
    """The video predictor; see :class:`sam2_core.inference.video_predictor.SAM2VideoPredictor`."""

    known_labels = _OFFICIAL_LABELS

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
        """Build the predictor of a catalogue name or Hugging Face id, in fp32 unless told otherwise."""
        model = video_predictor.SAM2VideoPredictor.from_pretrained(model_id, **{**OFFICIAL_DEFAULTS, **kwargs})
        return speak_official(model)  # type: ignore[return-value]


class SAM2VideoPredictorVOS(SAM2VideoPredictor, video_predictor.SAM2VideoPredictorVOS):
    """The compiled video predictor."""


class SAM2VideoPredictorLegacy(SAM2VideoPredictor, video_predictor.SAM2VideoPredictorLegacy):
    """The video predictor under the defaults, and with the order of options, of the one before December 2024."""

    def __init__(
        self,
        fill_hole_area: int = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        clear_non_cond_mem_for_multi_obj: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_hole_area,
            non_overlap_masks,
            clear_non_cond_mem_around_input,
            add_all_frames_to_correct_as_cond,
            clear_non_cond_mem_for_multi_obj=clear_non_cond_mem_for_multi_obj,
            **kwargs,
        )


adapt(video_predictor.SAM2VideoPredictor, SAM2VideoPredictor)
adapt(video_predictor.SAM2VideoPredictorVOS, SAM2VideoPredictorVOS)
adapt(video_predictor.SAM2VideoPredictorLegacy, SAM2VideoPredictorLegacy)
