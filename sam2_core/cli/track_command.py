"""What ``sam2 track`` does: check, prompt, say what it will take, track, and write; and go on where it was stopped."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core.cli.byte_count import show_bytes, show_seconds
from sam2_core.cli.console import messages, output, progress_bar, with_progress
from sam2_core.cli.interruption import INTERRUPTED, Interruption
from sam2_core.cli.memory_budget import MemoryBudget
from sam2_core.cli.models import embedding_store
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.preset import Preset, automatic_preset
from sam2_core.cli.prompt_sources import PromptSources
from sam2_core.cli.prompts import ObjectPrompts
from sam2_core.cli.results import Results
from sam2_core.cli.run_manifest import STAMP, RunManifest, prompts_digest, source_stamp, weights_digest
from sam2_core.cli.stack_choice import StackChoice
from sam2_core.cli.track_cost import TrackCost, looked_at_frames, object_steps, work_in_tiles
from sam2_core.cli.tracking import Tracking, TrackRules, prompt_objects
from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError
from sam2_core.inference.preset_names import times_the_input
from sam2_core.volumes.contrast import ContrastLimits
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels import LabelWriter
from sam2_core.volumes.labels.destination import DestinationLock
from sam2_core.volumes.source import is_url

if TYPE_CHECKING:
    from sam2_core.cli.plane_tracking import PlaneTracking
    from sam2_core.inference.frame_features import FrameFeatures
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState


@dataclass
class TrackCommand(Closing):
    """One call of ``sam2 track``.

    Attributes
    ----------
    stack : FrameStack
    choice : StackChoice
        How it was opened.
    sources : PromptSources
    rules : TrackRules
    results : Results
    preset : Preset
    budget_bytes : int
    uses_embeddings : bool
        Whether image features are kept on disk.
    overwrite : bool
        Whether what is there is replaced.
    """

    stack: FrameStack
    choice: StackChoice
    sources: PromptSources
    rules: TrackRules
    results: Results
    preset: Preset
    budget_bytes: int
    uses_embeddings: bool
    overwrite: bool
    known: list[ObjectPrompts] = field(default_factory=list)
    _earlier: RunManifest | None = None
    _hold: DestinationLock | None = None

    def prepare(self) -> None:
        """Check everything that needs no model, before anything is changed, and lock the folder until it is closed.

        Raises
        ------
        Sam2Error
            A prompt that cannot be used, or a destination that holds something else or that a run is writing to.
        """
        self._require_possible()
        self.results.require_apart(self.stack)
        self.known = self.sources.known(self.stack, frames=self.rules.reach)
        self._look_for_earlier()  # what is refused leaves not even a folder
        self._hold = self.results.lock()
        # until the lock was ours, another process may have begun or gone on
        self._look_for_earlier()

    def close(self) -> None:
        """Let others use the folder."""
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def _look_for_earlier(self) -> None:
        """See which run is to be continued, if any; or that there is nothing of anybody's."""
        self._earlier = None if self.overwrite else RunManifest.read(self.results.manifest)
        if self._earlier is not None and not self._earlier.objects:
            # it ended before anything was prompted, and left nothing to continue
            self._earlier = None
        if self._earlier is None:
            self.results.require_free(self.overwrite)

    def _require_possible(self) -> None:
        """Refuse a propagator where it cannot be used."""
        rules = self.rules
        if rules.propagator is None:
            return
        if self.preset not in (Preset.AUTO, Preset.EXACT):
            raise InvalidInputError(
                f"Propagators see whole frames: use --preset exact with --propagator {rules.propagator.name}, not "
                f"{self.preset.value}."
            )
        if rules.goes_as_it_likes and len(rules.reach) < len(self.stack):
            raise InvalidInputError(
                f"The propagator {rules.propagator.name} chooses its frames itself; leave --frames out."
            )

    def run(self, predictor: SAM2VideoPredictor, checkpoint: str) -> int:
        """Track; or go on, or say that all is done.

        Parameters
        ----------
        predictor : SAM2VideoPredictor
        checkpoint : str
            What it was called.

        Returns
        -------
        int
            Exit status: 0, or 130 after Ctrl-C.
        """
        manifest = self._manifest(predictor, checkpoint)
        if self._earlier is not None:
            manifest = manifest.require_same(self._earlier, self.results.manifest)
            if manifest.is_finished:
                output.print(f"{self.results.labels} is finished; nothing is left to do.", markup=False)
                return 0
        manifest = self._with_contrast(manifest)
        budget = self._budget(predictor)
        if not manifest.objects:
            shutil.rmtree(self.results.records, ignore_errors=True)
            manifest.write(self.results.manifest)
        preset = self._preset(predictor)
        if preset is Preset.EXACT:
            return self._run_exact(predictor, manifest, budget)
        return self._run_in_parts(predictor, manifest, preset)

    def _with_contrast(self, manifest: RunManifest) -> RunManifest:
        """Note the contrast limits of a new run, and use those of the one that is continued."""
        if manifest.contrast_limits is not None:
            self.stack.use_contrast(ContrastLimits.from_dict(manifest.contrast_limits))
            return manifest
        limits = self.stack.contrast_limits
        return manifest if limits is None else replace(manifest, contrast_limits=limits.as_dict())

    def _run_exact(self, predictor: SAM2VideoPredictor, manifest: RunManifest, budget: MemoryBudget) -> int:
        state = self._state(predictor, budget)
        try:
            with Interruption() as interruption:
                if manifest.objects:
                    messages.print("Going on with the run that was stopped.")
                else:
                    manifest = self._prompt(predictor, state, manifest, interruption)
                    if interruption.is_asked and not manifest.objects:
                        messages.print("Stopped before anything was tracked. The same command begins again.")
                        return INTERRUPTED
                rules = replace(self.rules, group_size=budget.group_size(predictor.sam_prompt_encoder.mask_input_size))
                table = ObjectTable()
                with self._writer(manifest) as writer:
                    tracking = Tracking(predictor, state, rules, writer, table, lambda: interruption.is_asked)
                    self._tell(predictor, state, tracking)
                    is_done = self._follow(tracking, writer, table, interruption)
        finally:
            state.close()
        return self._finish(manifest, table) if is_done else INTERRUPTED

    def _run_in_parts(self, predictor: SAM2VideoPredictor, manifest: RunManifest, preset: Preset) -> int:
        from sam2_core.cli.plane_tracking import PlaneTracking
        from sam2_core.inference.object_crop_tracker import CropTracker
        from sam2_core.inference.tile_tracker import TiledTracker

        maker = CropTracker if preset is Preset.CROPS else TiledTracker
        # one state for each direction
        tracker = maker(predictor, memory_budget_bytes=self.budget_bytes // 2)
        objects = self.sources.found(predictor, self.stack, self.known, embedding_store(self.uses_embeddings))
        manifest = replace(manifest, objects={str(one.object_id): sorted(one.frames) for one in objects})
        manifest.write(self.results.manifest)
        table = ObjectTable()
        if self._earlier is not None:
            messages.print("Going on with the run that was stopped.")
        with Interruption() as interruption, self._writer(manifest) as writer:
            tracking = PlaneTracking(
                tracker,
                self.stack,
                objects,
                self.rules,
                writer,
                table,
                lambda: interruption.is_asked,
                self.results.records,
                embedding_store(self.uses_embeddings),
            )
            self._tell_in_parts(predictor, tracking, preset)
            is_done = self._follow(tracking, writer, table, interruption)
        return self._finish(manifest, table) if is_done else INTERRUPTED

    def _prompt(
        self, predictor: SAM2VideoPredictor, state: VideoState, manifest: RunManifest, interruption: Interruption
    ) -> RunManifest:
        """Give the prompts, and note the objects once all have theirs."""
        objects = self.sources.found(predictor, self.stack, self.known, embedding_store(self.uses_embeddings))
        frames = {}
        for one in with_progress(prompt_objects(predictor, state, objects), "Prompting", len(objects)):
            if interruption.is_asked:
                return manifest
            frames[str(one.object_id)] = sorted(one.frames)
        state.records.flush()
        prompted = replace(manifest, objects=frames)
        prompted.write(self.results.manifest)
        return prompted

    def _writer(self, manifest: RunManifest) -> LabelWriter:
        replaces = self.overwrite and self._earlier is None
        return self.results.open_writer(
            self.stack,
            at=self.choice.at,
            overwrite=replaces,
            resume=not replaces,
            metadata={
                "model": manifest.model,
                "contrast_limits": manifest.contrast_limits,
                "command": manifest.command,
                "version": manifest.version,
            },
            largest_id=max(int(object_id) for object_id in manifest.objects),
        )

    def _follow(
        self, tracking: Tracking | PlaneTracking, writer: LabelWriter, table: ObjectTable, interruption: Interruption
    ) -> bool:
        """Track to the end, measure and draw; False if it was stopped before."""
        reach = self.rules.reach
        with progress_bar("Tracking", len(tracking)) as advance:
            for _ in tracking.run():
                advance()
        if interruption.is_asked:
            done = len(writer.written)
            writer.close()
            messages.print(
                f"Stopped: {done} of {len(reach)} frames have labels so far, in {self.results.labels}. The same "
                "command goes on from here.",
                markup=False,
            )
            return False
        for index in reach:
            table.measure(index, writer.read(index))
        self.results.draw(self.stack, writer.read, self.known, reach)
        return True

    def _finish(self, manifest: RunManifest, table: ObjectTable) -> int:
        """Write the tables, say what was found, and let go of what was needed to continue."""
        ids = sorted(int(object_id) for object_id in manifest.objects)
        self.results.write_tables(table, ids, by_frame=len(self.stack) > 1)
        replace(manifest, is_finished=True).write(self.results.manifest)
        shutil.rmtree(self.results.records, ignore_errors=True)
        for object_id, found in table.frames_by_object(ids).items():
            where = f"on {len(found)} frames, {found[0]} to {found[-1]}" if found else "found on no frame"
            output.print(f"object {object_id}: {where}")
        names = [self.results.labels, self.results.overlay, self.results.objects]
        self.results.announce([*names, self.results.objects_by_frame] if len(self.stack) > 1 else names)
        return 0

    def _preset(self, predictor: SAM2VideoPredictor) -> Preset:
        if self.preset is not Preset.AUTO:
            return self.preset
        if (
            self.rules.propagator is None
            and automatic_preset(self.stack.frame_size, predictor.input_size) is Preset.TILES
        ):
            return Preset.TILES
        if times_the_input(self.stack.frame_size, predictor.input_size) > 1.5:
            height, width = predictor.input_size
            messages.print(
                f"Frames are shown to the model at {width} x {height} pixels. --preset tiles or crops shows it small "
                "objects sharper."
            )
        return Preset.EXACT

    def _tell(self, predictor: SAM2VideoPredictor, state: VideoState, tracking: Tracking) -> None:
        """Say what it will take, and what a cheaper way would."""
        from sam2_core.inference.stored_share import stored_count

        steps, frames = object_steps(tracking.stretches), looked_at_frames(tracking.stretches)
        estimate = predictor.estimate(state, len(tracking), 1)
        cost = TrackCost(estimate.seconds_per_frame, estimate.seconds_per_object)
        # what the store holds, or will when a frame is looked at again, is not encoded
        looks = len(frames) if self.uses_embeddings else len(tracking)
        there = stored_count(len(frames), lambda number: (state.features, frames[number]))
        seconds = cost.seconds(looks - there, steps)
        smaller = cost.with_smaller_input(predictor.input_size)
        cheaper = ""
        if smaller is not None:
            side, lower = smaller
            other = lower.seconds(looks, steps)
            if other < seconds:
                cheaper = f" (with --image-size {side}, which shows less detail: about {show_seconds(other)})"
        disk = estimate.disk_bytes * steps / max(1, len(tracking))
        messages.print(
            f"{len(state.obj_ids)} objects, {len(self.rules.reach)} frames: about {show_seconds(seconds)}{cheaper}"
            f"{_already(there, len(frames), 'frames')}; {show_bytes(disk)} on disk meanwhile."
        )

    def _tell_in_parts(self, predictor: SAM2VideoPredictor, tracking: PlaneTracking, preset: Preset) -> None:
        """Say what it will take where planes are looked at in parts, and whole, where that is cheaper."""
        from sam2_core.inference.stored_share import stored_count
        from sam2_core.inference.tile_features import tile_features
        from sam2_core.inference.tile_grid import TileGrid

        cost = TrackCost.measured(predictor)
        steps = object_steps(tracking.stretches)
        word, seconds, already = "at most about", cost.seconds(steps, steps), ""
        frames = looked_at_frames(tracking.stretches)
        if preset is Preset.TILES:
            grid = TileGrid.for_model(self.stack.frame_size, predictor.input_size)
            work = work_in_tiles(tracking.stretches, tracking.objects, grid)

            def picture(number: int) -> tuple[FrameFeatures, int]:
                frame, tile = work.pictures[number]
                return tile_features(predictor, self.stack, grid[tile].window, tracking.store), frame

            there = stored_count(len(work.pictures), picture)
            already = _already(there, len(work.pictures), "tiles")
            looks = len(work.pictures) if self.uses_embeddings else work.looks
            word = "about" if work.is_extent_known else "at least about"
            seconds = cost.seconds(looks - there, work.steps)
        whole = cost.seconds(len(frames) if self.uses_embeddings else len(tracking), steps)
        cheaper = ""
        if whole < seconds:
            less = show_seconds(whole)
            cheaper = f" (with --preset exact, which shows small objects less sharp: about {less})"
        messages.print(
            f"{len(tracking.objects)} objects, {len(self.rules.reach)} frames, in {preset}: {word} "
            f"{show_seconds(seconds)}{cheaper}{already}."
        )

    def _state(self, predictor: SAM2VideoPredictor, budget: MemoryBudget) -> VideoState:
        predictor.memory_budget_bytes = budget.tracker
        return predictor.init_state(
            self.stack,
            records=self.results.records,
            embedding_store=embedding_store(self.uses_embeddings),
            feature_memory_bytes=budget.features,
        )

    def _budget(self, predictor: SAM2VideoPredictor) -> MemoryBudget:
        from sam2_core.volumes.embedding_store_key import feature_bytes

        return MemoryBudget.of(self.budget_bytes, feature_bytes(predictor, predictor.dtype.itemsize))

    def _manifest(self, predictor: SAM2VideoPredictor, checkpoint: str) -> RunManifest:
        stack, rules = self.stack, self.rules
        source = {
            "address": _full(stack.address),
            "frames": len(stack),
            "frame_size": list(stack.frame_size),
            "dtype": str(stack.dtype),
            STAMP: source_stamp(stack),
        }
        model = {
            "checkpoint": checkpoint,
            "weights": weights_digest(predictor),
            "input_size": list(predictor.input_size),
            "dtype": str(predictor.dtype).removeprefix("torch."),
        }
        chosen: dict[str, Any] = {
            **self.choice.as_dict(),
            "frames looked at": [rules.reach.start, rules.reach.stop],
            "direction": rules.direction.value,
            "propagator": None if rules.propagator is None else rules.propagator.as_dict(),
            "stop_when_empty": rules.stop_when_empty,
            "priority": rules.priority,
            "filters": str(rules.filters),
            "preset": self.preset.value,
            "embeddings": self.uses_embeddings,
            "labels": str(self.results.labels.resolve()),
            "format": self.results.format,
        }
        everything = None if self.sources.everything is None else (self.sources.everything, self.sources.thresholds)
        return RunManifest(
            source=source,
            model=model,
            options=chosen,
            prompts=prompts_digest(self.known, everything),
            command=shlex.join(sys.argv),
        )


def _already(there: int, count: int, pictures: str) -> str:
    """What to say of pictures that the embedding store holds."""
    return f", since {there} of {count} {pictures} are encoded already" if there else ""


def _full(address: str | None) -> str | None:
    """An address that does not depend on the current folder."""
    return address if address is None or is_url(address) else str(Path(address).resolve())
