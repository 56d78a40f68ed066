"""An ablation from its rows to its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ascnet_cli.ablation.measure import missing, scores_of
from ascnet_cli.ablation.plan import Plan, Run
from ascnet_cli.ablation.plot import can_plot, write_plot
from ascnet_cli.ablation.rows import Row
from ascnet_cli.ablation.scores import Score, truth_digest
from ascnet_cli.ablation.table import Report, csv_text, lines_of, markdown, settings_text
from ascnet_cli.ablation.times import BranchTime, measure_times
from ascnet_cli.ablation.workers import RunState, Source, run_at_once, run_here
from ascnet_cli.config import DATASETS
from ascnet_cli.errors import TrainingError
from ascnet_cli.evaluation.protocols import protocol_of
from ascnet_cli.training.data import TrainingData
from ascnet_cli.training.settings import BORROWED
from weights.atomic import check_writable, replacing, write_error

_BRANCHES = ("both", "class-aware", "class-agnostic")  # rows of Table VII, in the order of Table IX


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an ablation came to.

    Attributes:
        report: the table.
        files: that were written.
        n_failed: rows that lack a seed since a run failed.
        n_left: runs that are not finished since somebody asked to stop.
    """

    report: Report
    files: tuple[Path, ...]
    n_failed: int
    n_left: int


def runnable(rows: Sequence[Row], data: TrainingData) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows that a data set can have, and why it cannot have the others.

    Raises:
        TrainingError: no test video has annotations and features, or no row is left.
    """
    if not data.test:
        raise TrainingError(
            f"{data.name} has no test videos with annotations and features: nothing can be compared",
            hint='give videos the subset "test", and their annotations times',
        )
    timed = any(video.instances for video in data.annotations.training())
    left = tuple(row for row in rows if timed or row.finder != "uniform")
    notes = ["uniform is left out: training videos have no times to take a length from"]
    if not left:
        raise TrainingError(notes[0], hint="ask for other rows")
    return left, tuple(notes if len(left) < len(rows) else ())


def ablate(
    data: TrainingData,
    source: Source,
    plan: Plan,
    out: Path,
    *,
    device: str = "cpu",
    jobs: int = 1,
    facts: Sequence[str] = (),
    report: Callable[[RunState], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Complete what is not complete, and write the table of all that is.

    Args:
        data: to learn from and to test on.
        source: of the same data, for other processes.
        plan: what to train and measure.
        out: the ablation's folder; what is there from earlier is used.
        device: where networks run.
        jobs: runs at a time; with 1 they are in this process.
        facts: more sentences for the head of the table.
        report: called with each run's state.
        should_stop: asked often; when it says yes the table is written and the rest left for another time.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full.
    """
    tell, stop = report or (lambda _: None), should_stop or (lambda: False)
    reasons: dict[tuple[str, int], str] = {}

    def listen(state: RunState) -> None:
        if state.reason:
            reasons[state.run.key, state.run.seed] = state.reason
        tell(state)

    _make_folder(out)
    todo = unfinished(plan, data, out)
    if jobs == 1:
        run_here(todo, data, out, device=device, report=listen, should_stop=stop)
    elif todo:
        run_at_once(todo, source, out, jobs=jobs, device=device, report=listen, should_stop=stop)
    left = [run for run in unfinished(plan, data, out) if (run.key, run.seed) not in reasons]
    times = () if stop() else _times(plan, data, out, device)
    found = _report(plan, data, out, facts, reasons, times)
    return Outcome(
        report=found,
        files=_write(found, out),
        n_failed=sum(bool(line.reason) for line in found.lines),
        n_left=len(left),
    )


def unfinished(plan: Plan, data: TrainingData, out: Path) -> list[Run]:
    """The runs that are not trained to their end, or of which something is not measured."""
    truth = truth_digest(data.annotations, data.test)
    return [run for run in plan.runs if missing(run, out, truth)]


def facts_of(
    data: TrainingData, preset: str, seeds: Sequence[int], overrides: Mapping[str, str]
) -> tuple[str, ...]:
    """What was run, in sentences."""
    shape = data.shape
    listed = ", ".join(map(str, seeds))
    if len(seeds) > 1:
        spread = f"Mean ± standard deviation over the seeds {listed}; of differences, seed by seed."
    else:
        spread = f"One seed, {listed}."
    others = f" with {settings_text(overrides)}" if overrides else ""
    return (
        f"{shape.n_videos} training videos, {len(data.test)} test videos, {shape.n_classes} classes,"
        f" {shape.in_dim} numbers a snippet. Protocol {protocol_of(data.name).name}, percent.",
        spread,
        f"Preset `{preset}`{others}, but where a row says otherwise. Checkpoints were chosen on held-out"
        " training videos.",
    )


def _times(plan: Plan, data: TrainingData, out: Path, device: str) -> tuple[BranchTime, ...]:
    """Table IX, where each of its rows has a checkpoint."""
    truth = truth_digest(data.annotations, data.test)
    variants = []
    for name in _BRANCHES:
        key, measured = plan.places.get(name, ("", ""))
        runs = [run for run in plan.runs if run.key == key and measured in scores_of(run, out, truth)]
        if not runs:
            return ()
        localization = next(m.localization for m in runs[0].measurements if m.key == measured)
        variants.append((name, runs[0].folder(out) / "best.safetensors", localization))
    return measure_times(variants, data, device=torch.device(device))


def _report(
    plan: Plan,
    data: TrainingData,
    out: Path,
    facts: Sequence[str],
    reasons: Mapping[tuple[str, int], str],
    times: tuple[BranchTime, ...],
) -> Report:
    truth = truth_digest(data.annotations, data.test)
    by_run = {(run.key, run.seed): scores_of(run, out, truth) for run in plan.runs}
    scores: dict[str, dict[int, Score]] = {}
    why: dict[str, str] = {}
    for row in plan.rows:
        key, measured = plan.places[row.name]
        scores[row.name] = {
            s: found[measured] for (k, s), found in by_run.items() if k == key and measured in found
        }
        failed = [
            f"seed {s}: {reason}"
            for (k, s), reason in reasons.items()
            if k == key and s not in scores[row.name]
        ]
        if failed:
            why[row.name] = "; ".join(failed)
    known = data.name in DATASETS
    paper_dataset = data.name if known else BORROWED
    return Report(
        dataset=data.name if known else data.annotations.name,
        paper_dataset=paper_dataset,
        tious=protocol_of(data.name).tious,
        facts=tuple(facts),
        lines=lines_of(
            plan.rows,
            scores,
            paper_dataset=paper_dataset,
            runs={name: key for name, (key, _) in plan.places.items()},
            reasons=why,
        ),
        times=times,
    )


def _write(report: Report, out: Path) -> tuple[Path, ...]:
    texts = {"ablation.md": markdown(report), "ablation.csv": csv_text(report)}
    for name, text in texts.items():
        with replacing(out / name) as file:
            file.write(text.encode())
    files = [out / name for name in texts]
    if can_plot() and any(line.scores for line in report.lines):
        write_plot(report, out / "ablation.png")
        files.append(out / "ablation.png")
    return tuple(files)


def _make_folder(out: Path) -> None:
    """Hold, before any work is done, that the table can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, out) from error
    check_writable(out / "ablation.md")
