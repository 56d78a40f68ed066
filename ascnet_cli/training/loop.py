"""Training: features and video labels in, a run folder with the chosen checkpoint out.

A step is a pure function of the network's and the optimiser's state, the state of the random numbers, the
step's number and the seed. So a run that was killed at any moment and is resumed from its last checkpoint
takes the same steps again, and on a CPU ends with the same weights to the bit.

Under `torchrun` several processes share each step (`ascnet_cli.training.parallel`): its losses are those
of one process but for the order of sums. The first process alone writes and reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ascnet_cli.config import NetworkConfig
from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.config_training import LossConfig, Precision, TrainingConfig
from ascnet_cli.errors import AscnetError, OptionError, TrainingError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.training.checkpoint import Best, TrainingState, state_bytes, state_of_bytes
from ascnet_cli.training.dropout import share_dropout
from ascnet_cli.training.parallel import Ranks, joined, own_device
from ascnet_cli.training.precision import float32_products, parse_precision, supported
from ascnet_cli.training.preparation import prepare, resolved
from ascnet_cli.training.record import Record
from ascnet_cli.training.run_folder import Tables, differences
from ascnet_cli.training.seeding import own_random_numbers, set_random_state
from ascnet_cli.training.step import batch_of_step, gradients, make_optimiser, names_of_step, update
from ascnet_cli.training.validation import validation_map
from ascnet_cli.training.videos import LabelledVideos

LOG_EVERY = 10  # steps; of each validation there is a line


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: updates done.
        n_steps: updates in all.
        losses: the total and each term of this step, before their weights.
        validation_map: where this step was followed by a validation.
    """

    step: int
    n_steps: int
    losses: Mapping[str, float]
    validation_map: float | None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        checkpoint: the network that was chosen; None where the run stopped before the first choice. Of
            several processes the first wrote it: on another machine it is not there.
        step: updates done.
        finished: false where it was asked to stop before its end.
        best: the validation that chose it; None where none was made.
    """

    checkpoint: Path | None
    step: int
    finished: bool
    best: Best | None


def train(
    videos: LabelledVideos,
    run: Path,
    network: NetworkConfig,
    losses: LossConfig,
    config: TrainingConfig,
    *,
    recipe: Mapping[str, object],
    localization: LocalizationConfig | None = None,
    precision: str | None = None,
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    notes: Callable[[str], None] | None = None,
) -> TrainingResult:
    """Trains a network from video labels and writes the run's folder.

    The checkpoint chosen is the last one whose video-level mAP on the V held-out videos was within 1 / V of
    the highest until then. Less than that is what one video can make, and is no reason to go back to an
    earlier network: that measure reaches its end long before the attention does.

    Started by `torchrun`, every process calls this with the same arguments.

    Args:
        videos: the training videos; some are held out.
        run: the run's folder.
        network: dimensions and options.
        losses: terms and weights.
        config: the schedule.
        recipe: how the features were made; the checkpoints carry it.
        localization: from scores to segments; the checkpoints carry it. None: that of the preset.
        precision: another one than the schedule's: `float32`, `bfloat16` or `tf32`.
        device: where to; of several processes each takes the CUDA device of its own local rank.
        resume: take the run in the folder up again, from its last checkpoint; one that was not begun is.
            The number of processes may be another one.
        progress: called after each step, in the first process alone.
        should_stop: asked after each step; when it says yes, in whichever process, a checkpoint is written
            and the run ends, to be resumed.
        notes: called with what a person should know and no error is, in the first process alone.

    Raises:
        OptionError: settings do not fit the videos, or a resumed run's are others than it began with.
        TrainingError: a class has no training video, a loss is not finite, or another process is gone.
        FeatureError: features hold numbers that are not finite.
        CheckpointError: the run to resume is damaged.
        DeviceError: there is no CUDA device for this process.
        OutputError: the folder cannot be written to, holds another run, or another process trains in it.
        StorageError: the disk is full.
    """
    asked = parse_precision(precision or config.precision)
    with joined(torch.device(device)) as ranks:
        with ranks.together():
            device = own_device(torch.device(device))
            trained, held_out = prepare(videos, network, config)
            thresholds = {} if localization is None else localization.to_dict()
            tables = resolved(videos, network, losses, config, held_out, recipe, thresholds, asked)
            # All features are read for it, in each process: each may have a copy of its own, and another one.
            tables = {**tables, "data": {**tables["data"], "features_sha256": videos.features_sha256}}
        _check_processes(ranks, config, tables)
        computed, fallback = supported(asked, device)
        with own_random_numbers(config.seed, device), float32_products("float32"):
            model = AscNet(network)
            with ranks.together():
                if network.subtract_mean:
                    model.set_mean(trained.mean_D())
            model = model.to(device)
            optimiser = make_optimiser(model, config)
            if ranks.n > 1:
                share_dropout(model, ranks, config.batch_size)
            record = Record(run, ranks, device, videos.classes, recipe, thresholds)
            record.notes += [fallback] if fallback else []
            if held_out is None:
                record.notes.append("no video is held out: the last network is taken, whatever it is like")
            with closing(record):
                with ranks.together():
                    state = record.open(tables, resume=resume)
                state = _shared(state, ranks)
                if state is not None:
                    model.load_state_dict(state.model)
                    optimiser.load_state_dict(dict(state.optimiser))
                    set_random_state(state.random, device)
                training = _Training(
                    model, optimiser, trained, held_out, losses, config, computed, ranks, record
                )
                return training.run(
                    state.step if state else 0,
                    state.best if state else None,
                    progress or (lambda _: None),
                    should_stop or (lambda: False),
                    notes or (lambda _: None),
                )


def _check_processes(ranks: Ranks, config: TrainingConfig, tables: Tables) -> None:
    """Holds that all processes were started with the same settings and videos, and that each gets work.

    Raises:
        OptionError: they were not, or there are more of them than videos in a batch.
    """
    if ranks.n == 1:
        return
    if config.batch_size < ranks.n:
        raise OptionError(
            f"a batch of {config.batch_size} videos cannot be shared by {ranks.n} processes",
            hint=f"start at most {config.batch_size} processes, or set a larger batch_size",
        )
    own = {**tables, "versions": {"torch": torch.__version__}}
    wanted = json.loads(ranks.from_first(json.dumps(own).encode()))
    with ranks.together():
        found = differences(wanted, json.loads(json.dumps(own)), "in process 0", "here")
        if found:
            raise OptionError(
                f"process {ranks.rank} is not like process 0: {'; '.join(found)}",
                hint="start all processes with the same command, data and versions",
            )


def _shared(state: TrainingState | None, ranks: Ranks) -> TrainingState | None:
    """What the first process goes on from, in all of them: the others may not see its disk."""
    if ranks.n == 1:
        return state
    data = ranks.from_first(b"" if state is None else state_bytes(state))
    return state_of_bytes(data) if data else None


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """What does not change from step to step but in content."""

    model: AscNet
    optimiser: torch.optim.Adam
    videos: LabelledVideos
    held_out: LabelledVideos | None
    losses: LossConfig
    config: TrainingConfig
    precision: Precision
    ranks: Ranks
    record: Record

    def run(
        self,
        begun_at: int,
        best: Best | None,
        progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
        notes: Callable[[str], None],
    ) -> TrainingResult:
        """All steps that are still to be done."""
        n_steps = self.config.n_updates(len(self.videos.names))
        step, stopped = begun_at, False
        record, ranks = self.record, self.ranks
        with ranks.together():
            record.event("start", step=step, n_steps=n_steps, processes=ranks.n)
            for note in record.notes:
                record.event("note", step=step, text=note)
                notes(note)
        while step < n_steps and not stopped:
            values = self.do_step(step, best)
            step += 1
            found, stopped = None, ranks.any(bool(should_stop()))
            due = step % self.config.validate_every == 0 or step == n_steps
            with ranks.together():
                if step % LOG_EVERY == 0 or step == n_steps:
                    record.event("step", step=step, **values)
            if due:
                best, found = self.validate(step, best)
            if due or stopped:
                # After the chosen one: a run killed in between validates this step again, and finds the same.
                with ranks.together():
                    record.save(step, self.model, self.optimiser, best)
            if ranks.first:
                progress(Progress(step, n_steps, values, found))
        finished = step == n_steps
        with ranks.together():
            record.event("stop", step=step, reason="finished" if finished else "asked to")
            if finished:
                record.write_card(anew=step > begun_at)
        return TrainingResult(record.chosen(), step, finished, best)

    def do_step(self, step: int, best: Best | None) -> dict[str, float]:
        """Step number `step`, from 0; where it cannot be done, what was learned before is kept."""
        share = self.ranks.share(self.config.batch_size)
        try:
            with self.ranks.together():
                batch = batch_of_step(self.videos, self.config, step, self.ranks)
                terms = gradients(self.model, batch, self.losses, share=share, precision=self.precision)
            return update(self.model, self.optimiser, batch, terms, self.ranks)
        except AscnetError as error:
            names = names_of_step(self.videos, self.config, step)
            self.record.event("stop", step=step, reason=str(error), videos=names)
            self.record.save(step, self.model, self.optimiser, best)
            # A launcher may end all processes as soon as one has: not before the first has written.
            with suppress(TrainingError):
                self.ranks.any(False)
            raise

    def validate(self, step: int, best: Best | None) -> tuple[Best | None, float | None]:
        """Validates, and keeps the network as the chosen one where it is."""
        if self.held_out is None:
            with self.ranks.together():
                self.record.choose(step, self.model, None)
            return best, None
        found = validation_map(self.model, self.held_out, self.ranks)
        peak = found if best is None else max(best.peak, found)
        with self.ranks.together():
            self.record.event("validation", step=step, map=found)
            if best is not None and found < peak - 1 / len(self.held_out.names):
                return best, found
            self.record.choose(step, self.model, found)
        return Best(step, found, peak), found
