"""Every object gets what it would get alone, whatever the order, the batch and the memory budget."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.video_predictor import SAM2VideoPredictor, SAM2VideoPredictorLegacy, SAM2VideoPredictorVOS
from sam2_core.inference.video_state import VideoState
from sam2_core.volumes.embedding_store_key import feature_bytes
from tests.inference.video_scene import FRAME_COUNT, HEIGHT, INPUT_SIZE, WIDTH, disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def state(predictor: SAM2VideoPredictor) -> VideoState:
    return predictor.init_state(stack())


def tracked(predictor: SAM2VideoPredictor, state: VideoState, *arguments: Any, **options: Any) -> dict[int, FrameMasks]:
    return {result.frame_index: result for result in predictor.propagate(state, *arguments, **options)}


def assert_near(found: torch.Tensor, expected: torch.Tensor, share: float = 1e-4) -> None:
    """Equal within a share of the largest value."""
    scale = float(expected[expected > -1000].abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=share * scale)


# -- results -----------------------------------------------------------------------------------------------------------


def test_official_methods_return_frame_ids_and_logits_at_video_size(
    predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    frame, ids, logits = predictor.add_new_points_or_box(state, 2, "cell", points=LEFT, labels=[1])
    assert (frame, ids, logits.shape, logits.dtype) == (2, ["cell"], (1, 1, HEIGHT, WIDTH), torch.float32)

    frame, ids, logits = predictor.add_new_mask(state, frame_idx=2, obj_id=7, mask=disc((70, 35), 9))
    assert (frame, ids, logits.shape) == (2, ["cell", 7], (2, 1, HEIGHT, WIDTH))
    # kept at a quarter of the input's size, so the border is off by a pixel here and there
    assert np.count_nonzero((logits[1, 0] > 0).numpy() != disc((70, 35), 9)) < 0.2 * disc((70, 35), 9).sum()

    answers = list(predictor.propagate_in_video(state))
    assert [answer[0] for answer in answers] == [2, 3, 4, 5, 6, 7]
    assert all(answer[1] == ["cell", 7] and answer[2].shape == (2, 1, HEIGHT, WIDTH) for answer in answers)


def test_our_methods_also_say_how_sure_the_model_is(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    result = predictor.prompt_points(state, 0, 1, LEFT, [1])
    assert result.masks.shape == (1, HEIGHT, WIDTH)
    assert result.low_res_logits.shape == (1, 1, INPUT_SIZE // 4, INPUT_SIZE // 4)
    assert 0 < float(result.predicted_ious) < 1
    assert float(result.object_scores) > 0

    result = predictor.prompt_mask(state, 1, 2, disc((70, 35), 9))
    assert result.predicted_ious.isnan().tolist() == [True, False]
    assert float(result.predicted_ious[1]) == 1
    assert (result.logits[0] == -1024).all()

    for result in predictor.propagate(state, 0):
        assert result.object_ids == [1, 2]
        assert torch.isfinite(result.predicted_ious).all()
        assert torch.isfinite(result.object_scores).all()


def test_the_state_can_be_read_by_the_official_keys(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.add_new_points_or_box(state, 1, "cell", points=LEFT, labels=[1])
    predictor.add_new_mask(state, 3, 7, disc((70, 35), 9))
    list(predictor.propagate_in_video(state))

    assert (state["num_frames"], state["video_height"], state["video_width"]) == (FRAME_COUNT, HEIGHT, WIDTH)
    assert state["obj_ids"] == ["cell", 7]
    assert (state["obj_id_to_idx"], state["obj_idx_to_id"]) == ({"cell": 0, 7: 1}, {0: "cell", 1: 7})
    assert len(state["images"]) == FRAME_COUNT
    assert state["images"][2].shape == (3, INPUT_SIZE, INPUT_SIZE)
    assert state["point_inputs_per_obj"][0][1]["point_coords"].shape == (1, 1, 2)
    assert list(state["mask_inputs_per_obj"][1]) == [3]
    outputs = state["output_dict_per_obj"][0]
    assert list(outputs["cond_frame_outputs"]) == [1]
    assert list(outputs["non_cond_frame_outputs"]) == [2, 3, 4, 5, 6, 7]
    assert outputs["non_cond_frame_outputs"][4]["pred_masks"].shape == (1, 1, INPUT_SIZE // 4, INPUT_SIZE // 4)
    assert state["frames_tracked_per_obj"][1][4] == {"reverse": False}
    assert (state["device"], state["storage_device"]) == (torch.device("cpu"), torch.device("cpu"))
    assert (state["offload_video_to_cpu"], state["offload_state_to_cpu"]) == (True, True)
    assert "obj_ids" in state
    assert set(state) == set(state.keys())
    with pytest.raises(KeyError, match="num_frames"):
        state["frame_count"]


# -- objects are independent -------------------------------------------------------------------------------------------


def test_an_object_gets_the_same_with_others_as_alone(predictor: SAM2VideoPredictor) -> None:
    prompts = {1: (0, LEFT), 2: (0, RIGHT), 3: (3, LEFT), 4: (0, [[45.0, 20.0]])}
    together = predictor.init_state(stack())
    for name, (frame, points) in prompts.items():
        predictor.prompt_points(together, frame, name, points, [1])
    results = tracked(predictor, together, 0)
    assert sorted(results) == list(range(FRAME_COUNT))

    for row, (name, (frame, points)) in enumerate(prompts.items()):
        alone = predictor.init_state(stack())
        predictor.prompt_points(alone, frame, name, points, [1])
        for index, expected in tracked(predictor, alone, 0).items():
            assert_near(results[index].logits[row], expected.logits[0])
            assert_near(results[index].object_scores[row], expected.object_scores[0])
            assert_near(results[index].predicted_ious[row], expected.predicted_ious[0])


def test_the_size_of_batches_does_not_matter(predictor: SAM2VideoPredictor) -> None:
    results = []
    for largest in (16, 2):
        other = small_predictor(max_objects_per_batch=largest)
        state = other.init_state(stack())
        for name, x in enumerate((15, 35, 55)):
            other.prompt_points(state, 0, name, [[x, 30]], [1])
        results.append(tracked(other, state))
    for frame, result in results[0].items():
        assert_near(results[1][frame].logits, result.logits)


def test_objects_may_come_later_and_change_nothing_for_the_others(
    predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    first = tracked(predictor, state)
    predictor.prompt_points(state, 4, 2, RIGHT, [1])
    second = tracked(predictor, state, 4)

    alone = predictor.init_state(stack())
    predictor.prompt_points(alone, 4, 2, RIGHT, [1])
    expected = tracked(predictor, alone, 4)
    for frame in range(4, FRAME_COUNT):
        assert_near(second[frame].logits[0], first[frame].logits[0])
        assert_near(second[frame].logits[1], expected[frame].logits[0])


def test_an_object_can_be_removed(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    predictor.prompt_points(state, 2, 2, RIGHT, [1])
    before = tracked(predictor, state)
    ids, updated = predictor.remove_object(state, 2)

    assert ids == [1]
    assert [frame for frame, _ in updated] == [0, 2]
    for frame, logits in updated:
        assert_near(logits, before[frame].logits[:1])
    after = tracked(predictor, state)
    assert all(torch.equal(after[frame].logits, before[frame].logits[:1]) or frame for frame in after)
    assert predictor.remove_object(state, "nobody") == ([1], [])
    with pytest.raises(StateError, match="no object 'nobody'"):
        predictor.remove_object(state, "nobody", strict=True)
    assert predictor.remove_object(state, 1) == ([], [])


def test_an_object_removed_while_tracking_is_left_out(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    seen = []
    for result in predictor.propagate(state):
        seen.append(result.object_ids)
        if result.frame_index == 1:
            predictor.remove_object(state, 1)
        if result.frame_index == 2:
            predictor.remove_object(state, 2)

    assert seen == [[1, 2], [1, 2], [2]]


def test_reset_forgets_the_objects_and_keeps_the_video(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    first = predictor.prompt_points(state, 2, 1, LEFT, [1])
    list(predictor.propagate(state))
    predictor.reset_state(state)

    assert state.obj_ids == []
    assert predictor.masks_on_frame(state, 2).logits.shape == (0, 1, HEIGHT, WIDTH)
    again = predictor.prompt_points(state, 2, "other", LEFT, [1])
    assert torch.equal(again.logits, first.logits)


# -- prompts and corrections -------------------------------------------------------------------------------------------


def test_points_add_up_unless_cleared(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 1, RIGHT, [0], clear_old_points=False)
    assert state.objects[1].point_prompts[0].labels.tolist() == [[1, 0]]

    predictor.prompt_points(state, 0, 1, box=[10, 20, 40, 50])
    assert state.objects[1].point_prompts[0].labels.tolist() == [[2, 3]]

    predictor.prompt_mask(state, 0, 1, disc((20, 30), 8))
    assert list(state.objects[1].point_prompts) == []
    assert list(state.objects[1].mask_prompts) == [0]
    predictor.add_new_points(state, 0, 1, LEFT, [1])
    assert list(state.objects[1].mask_prompts) == []


def test_a_correction_stays_with_propagate_and_is_tracked_over_by_the_official_method(
    predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    before = tracked(predictor, state)
    corrected = predictor.prompt_mask(state, 4, 1, disc((60, 20), 7)).logits
    after = tracked(predictor, state)

    assert torch.equal(after[4].logits, corrected)
    assert torch.equal(after[3].logits, before[3].logits)
    assert not torch.allclose(after[5].logits, before[5].logits, atol=0.01)
    assert list(state.objects[1].conditioning) == [0]
    official = {answer[0]: answer[2] for answer in predictor.propagate_in_video(state)}
    assert_near(official[4], before[4].logits)
    assert_near(official[5], before[5].logits)


def test_corrected_frames_become_conditioning_frames_where_asked_for() -> None:
    predictor = small_predictor(add_all_frames_to_correct_as_cond=True)
    state = predictor.init_state(stack())
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    before = tracked(predictor, state)
    corrected = predictor.prompt_points(state, 4, 1, RIGHT, [0]).logits
    official = {answer[0]: answer[2] for answer in predictor.propagate_in_video(state)}

    assert torch.equal(official[4], corrected)
    assert list(state.objects[1].conditioning) == [0, 4]
    assert 4 not in state.objects[1].recent
    assert not torch.allclose(official[2], before[2].logits, atol=0.01)


def test_a_correction_starts_from_the_mask_found_before(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    list(predictor.propagate(state))
    with_previous = predictor.prompt_points(state, 4, 1, RIGHT, [0]).logits

    fresh = predictor.init_state(stack())
    without_previous = predictor.prompt_points(fresh, 4, 1, RIGHT, [0]).logits
    assert not torch.allclose(with_previous, without_previous, atol=0.1)


def test_prompts_can_be_taken_back(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 3, 1, RIGHT, [1])
    answer = predictor.clear_all_prompts_in_frame(state, 3, 1)
    assert answer is not None
    assert (answer[0], answer[1]) == (3, [1])
    assert (answer[2] == -1024).all()

    found = predictor.prompt_points(state, 3, 1, RIGHT, [1]).logits
    list(predictor.propagate(state))
    answer = predictor.clear_all_prompts_in_frame(state, 3, 1)
    assert answer is not None
    assert torch.equal(answer[2], found)
    assert (list(state.objects[1].conditioning), 3 in state.objects[1].recent) == ([0], True)
    assert predictor.clear_all_prompts_in_frame(state, 0, 1, need_output=False) is None
    with pytest.raises(StateError, match="no prompt to propagate"):
        predictor.propagate(state)
    # the only conditioning frame is gone: another tracked frame starts anew
    predictor.prompt_points(state, 5, 1, RIGHT, [1])
    assert 5 in tracked(predictor, state)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("for_several", [False, True])
def test_memories_around_a_prompt_can_be_forgotten(several: bool, for_several: bool) -> None:
    predictor = small_predictor(clear_non_cond_mem_around_input=True, clear_non_cond_mem_for_multi_obj=for_several)
    state = predictor.init_state(stack())
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    if several:
        predictor.prompt_points(state, 0, 2, RIGHT, [1])
    assert len(tracked(predictor, state)) == FRAME_COUNT
    predictor.prompt_points(state, 4, 1, RIGHT, [0])
    predictor.propagate_in_video_preflight(state)

    forgets = for_several or not several
    assert sorted(state.objects[1].recent) == ([4] if forgets else [1, 2, 3, 4, 5, 6, 7])
    if several:
        assert sorted(state.objects[2].recent) == [1, 2, 3, 4, 5, 6, 7]
    assert len(tracked(predictor, state)) == FRAME_COUNT


def test_the_legacy_name_forgets_for_single_objects_only() -> None:
    defaults = inspect.signature(SAM2VideoPredictorLegacy.__init__).parameters

    assert issubclass(SAM2VideoPredictorLegacy, SAM2VideoPredictor)
    assert defaults["clear_non_cond_mem_for_multi_obj"].default is False


# -- which frames ------------------------------------------------------------------------------------------------------


def test_the_official_count_of_frames_goes_one_further_where_it_is_wanted(
    predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_points(state, 2, 1, LEFT, [1])
    counting = small_predictor(official_frame_count=True)

    def official(other: SAM2VideoPredictor, *arguments: Any, **options: Any) -> list[int]:
        return [answer[0] for answer in other.propagate_in_video(state, *arguments, **options)]

    assert official(counting, max_frame_num_to_track=2) == [2, 3, 4]
    assert official(counting, 3, 0) == [3]
    assert official(counting, 3, 2, True) == [3, 2, 1]
    assert official(predictor, reverse=True) == [2, 1, 0]
    assert official(predictor, 0, reverse=True) == [0]
    assert official(counting, 6, 99) == official(predictor, 6, 99) == [6, 7]
    assert official(predictor, max_frame_num_to_track=2) == [2, 3]
    assert official(predictor, 3, 0) == []


def test_our_method_goes_over_as_many_frames_as_it_was_told(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 2, 1, LEFT, [1])

    assert list(tracked(predictor, state, frame_count=2)) == [2, 3]
    assert list(tracked(predictor, state, 1, 99)) == [1, 2, 3, 4, 5, 6, 7]
    assert list(tracked(predictor, state, 1, reverse=True)) == [1, 0]
    assert list(tracked(predictor, state, 0, 1, reverse=True)) == [0]
    assert list(tracked(predictor, state, 0, 0)) == []


def test_a_single_picture_is_a_video_of_one_frame(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack()[0])
    predictor.prompt_points(state, 0, 1, LEFT, [1])

    assert list(tracked(predictor, state)) == [0]


# -- bounded work and memory -------------------------------------------------------------------------------------------


def test_a_frame_is_encoded_once_for_all_objects(
    predictor: SAM2VideoPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode = SAM2VideoPredictor.forward_image

    def counted(self: SAM2VideoPredictor, images: torch.Tensor) -> Any:
        calls.append(images.shape[0])
        return encode(self, images)

    monkeypatch.setattr(SAM2VideoPredictor, "forward_image", counted)
    state = predictor.init_state(stack())
    for name in range(3):
        predictor.prompt_points(state, 0, name, LEFT, [1])
    predictor.prompt_points(state, 1, 9, RIGHT, [1])
    list(predictor.propagate(state))

    assert calls == [1] * FRAME_COUNT
    assert state.features.resident_bytes == 4 * feature_bytes(predictor, itemsize=4)


def test_memories_that_were_let_go_of_are_encoded_anew_bit_for_bit(predictor: SAM2VideoPredictor) -> None:
    results: list[list[torch.Tensor]] = []
    for forgets in (False, True):
        state = predictor.init_state(stack(14))
        predictor.prompt_points(state, 0, 1, LEFT, [1])
        predictor.prompt_points(state, 0, 2, RIGHT, [1])
        found = []
        for result in predictor.propagate(state):
            found.append(result.logits)
            if forgets:
                state.forget_memories()
        found.append(predictor.prompt_points(state, 10, 1, LEFT, [1]).logits)
        found += [result.logits for result in predictor.propagate(state, 12, 2)]
        found += [result.logits for result in predictor.propagate(state, 8, 2, reverse=True)]
        results.append(found)
    for exact, restored in zip(*results, strict=True):
        assert torch.equal(restored, exact)


def test_memories_beyond_the_budget_lie_in_a_file_and_change_nothing(predictor: SAM2VideoPredictor) -> None:
    results = []
    for other in (predictor, small_predictor(memory_budget_bytes=0)):
        state = other.init_state(stack())
        other.prompt_points(state, 0, 1, LEFT, [1])
        results.append([result.logits for result in other.propagate(state)])
        assert (state.memories.resident_bytes == 0) == (other is not predictor)
        assert state.memories.slot_count > 0
        state.close()
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_no_mode_of_ours_holds_while_the_caller_has_a_result(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    for _ in predictor.propagate(state, 0, 2):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
    for _ in predictor.propagate_in_video(state, 0, 1):
        assert not torch.is_inference_mode_enabled()


def test_frames_read_in_the_background_give_the_same(predictor: SAM2VideoPredictor) -> None:
    results = []
    for options in ({}, {"async_loading_frames": True, "offload_video_to_cpu": True, "offload_state_to_cpu": True}):
        state = predictor.init_state(stack(), **options)
        predictor.prompt_points(state, 0, 1, LEFT, [1])
        results.append([result.logits for result in predictor.propagate(state)])
        state.close()
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


# -- dtypes, shapes, options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.15), (torch.float16, 0.02)])
def test_half_precision_needs_no_autocast(dtype: torch.dtype, share: float, predictor: SAM2VideoPredictor) -> None:
    half = small_predictor().to(dtype)
    results = []
    for other in (predictor, half):
        state = other.init_state(stack())
        other.prompt_points(state, 0, 1, LEFT, [1])
        other.prompt_mask(state, 0, 2, disc((70, 35), 9))
        results.append(tracked(other, state, 0, 3))
        memory = state.memories.get(state.objects[1].number, 1)
        assert memory is not None
        assert memory.dtype == state.objects[1].recent[1].object_pointer.dtype == other.dtype
    for frame, result in results[1].items():
        assert result.logits.dtype == torch.float32
        assert (result.masks == results[0][frame].masks).float().mean() > 1 - share


def test_the_callers_autocast_changes_nothing(predictor: SAM2VideoPredictor) -> None:
    results = []
    for enabled in (False, True):
        state = predictor.init_state(stack())
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            predictor.prompt_points(state, 0, 1, LEFT, [1])
            predictor.prompt_points(state, 2, 1, RIGHT, [0])
            results.append([result.logits for result in predictor.propagate(state)])
            list(predictor.propagate(state, 1, 1, reverse=True))
            results[-1].append(predictor.prompt_points(state, 5, 1, RIGHT, [0]).logits)
    assert all(torch.equal(plain, inside) for plain, inside in zip(*results, strict=True))


def test_the_input_need_not_be_square() -> None:
    predictor = small_predictor(image_size="[96,160]")
    state = predictor.init_state(stack())
    predictor.prompt_points(state, 0, 1, [[90, 60]], [1])
    assert state.objects[1].point_prompts[0].coords.tolist() == [[[160, 96]]]
    predictor.prompt_mask(state, 1, 2, disc((70, 35), 9))

    assert all(result.logits.shape == (2, 1, HEIGHT, WIDTH) for result in predictor.propagate(state))


def test_options_of_the_memory_are_followed() -> None:
    predictor = small_predictor(
        memory_temporal_stride_for_eval=2, max_cond_frames_in_attn=2, non_overlap_masks_for_mem_enc=True
    )
    state = predictor.init_state(stack())
    for frame in (0, 3, 6):
        predictor.prompt_points(state, frame, 1, LEFT, [1])
    predictor.prompt_points(state, 1, 2, RIGHT, [1])

    assert len(tracked(predictor, state)) == FRAME_COUNT


def test_a_model_without_memory_tracks_each_frame_by_itself() -> None:
    state = (predictor := small_predictor_without_memory()).init_state(stack())
    predictor.prompt_points(state, 0, 1, LEFT, [1])

    assert len(tracked(predictor, state)) == FRAME_COUNT


def small_predictor_without_memory() -> SAM2VideoPredictor:
    predictor = small_predictor()
    predictor.num_maskmem = 0
    return predictor


def test_objects_can_be_kept_from_overlapping() -> None:
    predictor = small_predictor(non_overlap_masks=True)
    state = predictor.init_state(stack())
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    assert predictor.prompt_points(state, 0, 2, RIGHT, [1]).masks.sum(dim=0).max() <= 1

    assert all(result.masks.sum(dim=0).max() <= 1 for result in predictor.propagate(state))


def test_small_holes_are_filled(predictor: SAM2VideoPredictor) -> None:
    filling = small_predictor(fill_hole_area=30)
    results = []
    for other in (predictor, filling):
        state = other.init_state(stack())
        mask = disc((45, 30), 20) & ~disc((45, 30), 3)
        results.append(other.prompt_mask(state, 0, 1, mask).low_res_logits)
    plain, filled = results
    changed = plain != filled

    assert changed.any()
    assert filled[changed].tolist() == pytest.approx([0.1] * int(changed.sum()))
    assert (plain[changed] <= 0).all()


def test_the_vos_predictor_compiles_its_parts(monkeypatch: pytest.MonkeyPatch, predictor: SAM2VideoPredictor) -> None:
    compiled = []

    def record(function: Any, **options: Any) -> Any:
        compiled.append((type(function.__self__).__name__, options["fullgraph"]))
        return function

    monkeypatch.setattr(torch, "compile", record)
    fast = small_predictor("sam2.sam2_video_predictor.SAM2VideoPredictorVOS")
    assert isinstance(fast, SAM2VideoPredictorVOS)
    parts = ("MemoryEncoder", "MemoryAttention", "PromptEncoder", "MaskDecoder")
    assert compiled == [(name, True) for name in parts]
    assert fast.state_dict().keys() == predictor.state_dict().keys()


def test_from_pretrained_builds_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("sam2_core.checkpoints.build")
    calls = []
    monkeypatch.setattr(build, "build_sam2_video_predictor_hf", lambda *args, **kwargs: calls.append((args, kwargs)))
    SAM2VideoPredictor.from_pretrained("facebook/sam2.1-hiera-tiny", device="cpu")

    assert calls == [(("facebook/sam2.1-hiera-tiny",), {"device": "cpu"})]


@pytest.mark.parametrize("postprocessing", [True, False])
def test_options_of_from_pretrained_win_over_the_postprocessing(postprocessing: bool) -> None:
    predictor = SAM2VideoPredictor.from_pretrained(
        "sam2.1_hiera_micro", device="cpu", fill_hole_area=3, apply_postprocessing=postprocessing
    )

    assert predictor.fill_hole_area == 3
    # what was not asked for is as it is without options
    assert predictor.binarize_mask_from_pts_for_mem_enc is postprocessing


# -- wrong input changes nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InvalidInputError, "Frame 8 does not exist", lambda p, s: p.prompt_points(s, 8, 1, LEFT, [1])),
        (InvalidInputError, "Frame -1 does not exist", lambda p, s: p.prompt_mask(s, -1, 1, disc((9, 9), 3))),
        (InvalidTypeError, "integer", lambda p, s: p.prompt_points(s, 0.5, 1, LEFT, [1])),
        (InvalidInputError, "There are 1 points", lambda p, s: p.prompt_points(s, 0, 2, LEFT, [1, 0])),
        (InvalidInputError, "labels is missing", lambda p, s: p.prompt_points(s, 0, 2, LEFT)),
        (InvalidInputError, "NaN", lambda p, s: p.prompt_points(s, 0, 2, [[np.nan, 1]], [1])),
        (InvalidInputError, "outside the frame", lambda p, s: p.prompt_points(s, 0, 1, [[99, 1]], [1])),
        (InvalidInputError, "Labels are 1", lambda p, s: p.prompt_points(s, 0, 1, LEFT, [3])),
        (InvalidInputError, "inverted", lambda p, s: p.prompt_points(s, 0, 1, box=[30, 30, 10, 10])),
        (
            InvalidInputError,
            "clear_old_points=True",
            lambda p, s: p.add_new_points_or_box(s, 0, 1, box=[1, 1, 9, 9], clear_old_points=False),
        ),
        (InvalidInputError, "two dimensions", lambda p, s: p.add_new_mask(s, 0, 1, np.zeros((1, HEIGHT, WIDTH)))),
        (InvalidInputError, "90x60", lambda p, s: p.add_new_mask(s, 0, 1, np.zeros((WIDTH, HEIGHT), bool))),
        (StateError, "no object 5", lambda p, s: p.clear_all_prompts_in_frame(s, 0, 5)),
        (InvalidInputError, "Frame 9", lambda p, s: p.clear_all_prompts_in_frame(s, 9, 1)),
        (InvalidInputError, "Frame 10", lambda p, s: p.propagate(s, 10)),
        (InvalidInputError, "negative; got -1", lambda p, s: p.propagate(s, 0, -1)),
        (InvalidInputError, "negative; got -2", lambda p, s: list(p.propagate_in_video(s, 0, -2))),
        (InvalidTypeError, "integer; got 1.5", lambda p, s: p.propagate(s, 0, 1.5)),
        (InvalidTypeError, "integer; got 2.5", lambda p, s: list(p.propagate_in_video(s, 0, 2.5))),
        (InvalidTypeError, r"object id .* got \[2\]", lambda p, s: p.prompt_points(s, 0, [2], LEFT, [1])),
        (InvalidTypeError, r"object id .* got \{\}", lambda p, s: p.add_new_mask(s, 0, {}, np.ones((HEIGHT, WIDTH)))),
        (InvalidInputError, "Frame 11", lambda p, s: p.masks_on_frame(s, 11)),
    ],
)
def test_wrong_input_changes_nothing(
    error: type[Exception], message: str, call: Any, predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    before = predictor.masks_on_frame(state, 0).logits
    with pytest.raises(error, match=message):
        call(predictor, state)

    assert state.obj_ids == [1]
    assert state.objects[1].prompted_frames() == [0]
    assert list(state.objects[1].pending) == [0]
    assert torch.equal(predictor.masks_on_frame(state, 0).logits, before)


def test_nothing_can_be_propagated_before_a_prompt(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    with pytest.raises(StateError, match="add points"):
        predictor.propagate(state)
    with pytest.raises(StateError, match="add points"):
        next(iter(predictor.propagate_in_video(state)))
    with pytest.raises(StateError, match="add points"):
        predictor.propagate_in_video_preflight(state)


def test_a_video_that_is_not_there_is_refused(predictor: SAM2VideoPredictor, tmp_path: Any) -> None:
    with pytest.raises(MissingFileError):
        predictor.init_state(str(tmp_path / "video.mp4"))
    with pytest.raises(InvalidInputError):
        predictor.init_state(str(tmp_path))
    with pytest.raises(InvalidTypeError):
        predictor.init_state(42)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="cached_features"):
        predictor.init_state(stack(), cached_features=0)
    with pytest.raises(Exception, match="max_objects_per_batch"):
        small_predictor(max_objects_per_batch=0)
