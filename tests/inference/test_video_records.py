"""Records survive: the end of a state, ``kill -9`` in the middle of tracking, and a quota that is too small."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.memory_pool import CHUNK_SLOTS
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from tests.inference.video_scene import disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]
COUNT = 9


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def prompt(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    """Two objects on different frames, one of them by a mask, and a correction after tracking."""
    predictor.prompt_points(state, 1, "cell", LEFT, [1])
    predictor.prompt_mask(state, 3, 7, disc((70, 35), 9))


def assert_same(found: list[FrameMasks], expected: list[FrameMasks], within: float = 0) -> None:
    assert [each.frame_index for each in found] == [each.frame_index for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.object_ids == other.object_ids
        for name in ("logits", "predicted_ious", "object_scores"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=within, equal_nan=True)


def test_a_folder_gives_everything_back(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    state = predictor.init_state(stack(COUNT), records=folder)
    prompt(predictor, state)
    predictor.prompt_points(state, 0, "gone", RIGHT, [1])
    list(predictor.propagate(state, 0, 5))
    predictor.remove_object(state, "gone")
    predictor.lock_frame(state, "cell", 2)
    predictor.prompt_points(state, 4, "cell", [[30.0, 30.0], [25.0, 35.0]], [1, 0])  # pending when it is closed
    before = [predictor.masks_on_frame(state, frame) for frame in range(COUNT)]
    cell = state.objects["cell"]
    known = (list(cell.conditioning), list(cell.recent), dict(cell.tracked), list(cell.pending))
    state.close()

    again = predictor.init_state(stack(COUNT), records=folder)
    assert again.obj_ids == ["cell", 7]
    cell = again.objects["cell"]
    assert (list(cell.conditioning), list(cell.recent), dict(cell.tracked), list(cell.pending)) == known
    assert cell.is_locked(2)
    assert cell.point_prompts[4].labels.tolist() == [[1, 0]]
    assert cell.point_prompts[1].coords.shape == (1, 1, 2)
    assert int(again.objects[7].mask_prompts[3].sum()) > 0
    assert_same([predictor.masks_on_frame(again, frame) for frame in range(COUNT)], before)
    again.close()


def test_tracking_goes_on_exactly_where_it_was(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    whole = predictor.init_state(stack(COUNT))
    prompt(predictor, whole)
    expected = list(predictor.propagate(whole, 1, direction="both"))

    for stop in (1, 3, 8):
        folder = tmp_path / f"stopped after {stop}"
        state = predictor.init_state(stack(COUNT), records=folder)
        prompt(predictor, state)
        steps = predictor.propagate(state, 1, direction="both", resume=True)
        for _ in range(stop):
            next(steps)
        state.close()

        again = predictor.init_state(stack(COUNT), records=folder)
        steps_done = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predictor, "track_step", _counted(predictor.track_step, steps_done))
            found = list(predictor.propagate(again, 1, direction="both", resume=True))
        assert_same(found, expected)
        # frames that were completed are not computed again; on frames 1 and 3 only one of the two objects is tracked
        assert len(set(steps_done)) == len(expected) - stop
        rest = list(predictor.propagate(again, 1, direction="both", resume=True, already={1, 2, 3, 99}))
        assert_same(rest, expected[3:])
        # a new prompt begins it anew
        predictor.prompt_points(again, 5, 7, LEFT, [1])
        assert next(predictor.propagate(again, 1, direction="both", resume=True)).frame_index == 1
        again.close()


def _counted(function: Any, frames: list[int]) -> Any:
    def counted(*arguments: Any, **options: Any) -> Any:
        frames.append(options["frame_idx"])
        return function(*arguments, **options)

    return counted


CHILD = """
import sys
from tests.inference.test_video_records import COUNT, prompt
from tests.inference.video_scene import small_predictor, stack

predictor = small_predictor()
state = predictor.init_state(stack(COUNT), records=sys.argv[1])
prompt(predictor, state)
for result in predictor.propagate(state, 1, direction="both", resume=True):
    print(result.frame_index, flush=True)
"""


def test_nothing_complete_is_lost_by_kill_9(predictor: SAM2VideoPredictor, tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "records"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=repository
    )
    assert child.stdout is not None
    seen = [int(child.stdout.readline()) for _ in range(3)]
    child.kill()  # in the middle of the fourth frame
    seen += [int(line) for line in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    with (folder / "journal.bin").open("ab") as journal:  # as if it had been killed while writing
        journal.write(b"S2J1\x40\x00\x00\x00torn")

    state = predictor.init_state(stack(COUNT), records=folder)
    for frame in seen:
        assert state.objects["cell"].has_logits(frame)
    found = list(predictor.propagate(state, 1, direction="both", resume=True))
    state.close()
    whole = predictor.init_state(stack(COUNT))
    prompt(predictor, whole)
    # two processes need not round alike, to the last bit; in one process it is exact (see above)
    assert_same(found, list(predictor.propagate(whole, 1, direction="both")), within=1e-3)


@pytest.mark.parametrize("quota", [0, 60_000])
def test_over_the_quota_old_frames_are_tracked_again(predictor: SAM2VideoPredictor, quota: int) -> None:
    plenty = predictor.init_state(stack(COUNT))
    prompt(predictor, plenty)
    expected = list(predictor.propagate(plenty, 0))
    again = predictor.prompt_points(plenty, 6, "cell", [[30.0, 30.0]], [1])

    state = predictor.init_state(stack(COUNT), records_quota_bytes=quota)
    prompt(predictor, state)
    found = list(predictor.propagate(state, 0))
    assert_same(found, expected)
    state.forget_memories()
    cell = state.objects["cell"]
    kept = [frame for frame in range(COUNT) if cell.has_logits(frame)]
    assert 1 in kept  # prompted
    assert len(kept) < COUNT
    assert torch.equal(cell.record(2).mask, plenty.objects["cell"].record(2).mask)  # masks stay
    for frame in (2, 8, 0):
        result = predictor.masks_on_frame(state, frame)
        torch.testing.assert_close(result.logits, expected[frame].logits, rtol=0, atol=2e-3)
    state.forget_memories()
    corrected = predictor.prompt_points(state, 6, "cell", [[30.0, 30.0]], [1])
    torch.testing.assert_close(corrected.logits[0], again.logits[0], rtol=0, atol=2e-3)
    state.close()


def test_locked_frames_are_kept_over_the_quota(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(COUNT), records_quota_bytes=0)
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    list(predictor.propagate(state, 0, 4))
    predictor.lock_frame(state, 1, 2)
    list(predictor.propagate(state, 4))
    state.records.forget_cached()

    assert [frame for frame in range(COUNT) if state.objects[1].has_logits(frame)] == [0, 2]
    state.close()


def test_a_temporary_folder_goes_with_the_state(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(2))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    folder = state.records.folder
    assert (folder / "journal.bin").stat().st_size > 0
    state.close()
    assert not folder.exists()

    state = predictor.init_state(stack(2))
    folder = state.records.folder
    del state
    gc.collect()
    assert not folder.exists()


def test_records_of_something_else_are_refused(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    state = predictor.init_state(stack(2), records=tmp_path / "a")
    with pytest.raises(StateError, match="works with the records"):
        predictor.init_state(stack(2), records=tmp_path / "a")
    with pytest.raises(InvalidTypeError, match="integer or text"):
        predictor.prompt_points(state, 0, (1, 2), LEFT, [1])
    assert state.obj_ids == []
    predictor.prompt_points(state, 0, "x", LEFT, [1])
    state.close()
    with pytest.raises(StateError, match="frames"):
        predictor.init_state(stack(3), records=tmp_path / "a")
    other = small_predictor()
    with torch.no_grad():
        other.maskmem_tpos_enc += 1
    with pytest.raises(StateError, match="weights"):
        other.init_state(stack(2), records=tmp_path / "a")
    predictor.init_state(stack(2), records=tmp_path / "a").close()

    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "holiday.jpg").touch()
    with pytest.raises(InvalidInputError, match="other things"):
        predictor.init_state(stack(2), records=tmp_path / "b")
    with pytest.raises(InvalidInputError, match="is a file"):
        predictor.init_state(stack(2), records=tmp_path / "b" / "holiday.jpg")
    with pytest.raises(InvalidInputError, match="quota"):
        predictor.init_state(stack(2), records_quota_bytes=-1)


@pytest.mark.parametrize(
    ("looked_from", "early", "late"), [(20, 45, 100), pytest.param(120, 160, 260, marks=pytest.mark.soak)]
)
def test_nothing_grows_with_the_number_of_frames(looked_from: int, early: int, late: int) -> None:
    """On a network that is next to nothing: what is held stays the same, but for the index."""
    predictor = small_predictor(image_size=32)
    quota = 4_000 * late
    state = predictor.init_state(_Endless(late + 1), records_quota_bytes=quota)
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    held, tensors = [], []
    for result in predictor.propagate(state):
        if result.frame_index == looked_from:
            tracemalloc.start()  # what is held now is not seen, but it will have been replaced when it is counted
        if result.frame_index in (early, late):
            state.records.forget_cached()  # these are bounded, and not full yet
            del result
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
            tensors.append(_tensor_bytes())
    tracemalloc.stop()
    # one page of the index for each object, and 600 bytes a frame that torch.tensor and Pillow keep; a record is 3 kB
    assert held[1] - held[0] < 2 * 256 * 30 + 60_000
    assert tensors[1] - tensors[0] < 20_000
    assert state.memories.slot_count == 2 * CHUNK_SLOTS
    journal = (late + 1) * 2 * 1500  # what is never dropped: pointers, scores and masks
    assert state.records.size < quota + journal
    state.close()


def _tensor_bytes() -> int:
    """Bytes of all tensors, which tracemalloc does not see."""
    return sum(each.nbytes for each in gc.get_objects() if type(each) is torch.Tensor)


class _Endless:
    """Stands for frames that would not fit into memory: each is drawn when it is read."""

    def __new__(cls, count: int) -> Any:
        from sam2_core.volumes.frame_stack import FrameStack

        class Drawn(FrameStack):
            def _read_raw(self, index: int) -> np.ndarray[Any, Any]:
                y, x = np.mgrid[:60, :90]
                bright = np.hypot(y - 30, x - 20 - index % 40) < 9
                return (40 + 180 * bright[..., None]).astype(np.uint8)

        return Drawn(
            name="drawn",
            length=count,
            frame_size=(60, 90),
            channel_count=1,
            dtype=np.dtype(np.uint8),
            axis="t",
            colour=False,
            contrast=None,
        )
