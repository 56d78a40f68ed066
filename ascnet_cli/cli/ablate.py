"""`ascnet ablate`: what each part of the method is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.ablation.rows import Row
    from ascnet_cli.ablation.run import Outcome
    from ascnet_cli.ablation.workers import RunState
    from ascnet_cli.config import Preset

_LINE_EVERY_S = 60.0


def ablate(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER", help="See `ascnet datasets list`, or a folder with features and times."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Runs and tables; what is finished there is not run again. Required but with --list.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where a known one lies; default: $ASCNET_DATA/NAME."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", metavar="DIR", help="Default: the folder `features` of the data set."),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="LIST", help="0-4 or 0,2,7: each row is trained with each.")
    ] = "0-4",
    preset: Annotated[
        str,
        typer.Option(metavar="paper|fixed", help="Of the paper's tables; `repairs` has rows of both."),
    ] = "fixed",
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Tables (III, V, VII, repairs, localization, trivial) and rows by name; default: all.",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting of all rows; a row's own win. May be repeated."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps; auto says what it took.")
    ] = "auto",
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Trainings at a time, each in a process of its own.")
    ] = 1,
    show_rows: Annotated[
        bool, typer.Option("--list", help="Print the rows and what each sets, and stop.")
    ] = False,
) -> None:
    """Train the method with one thing changed at a time, over seeds, and write one table of what that costs.

    Tables III (terms of the loss), V (selector), VII (branches) and IX (time) of the paper with its own
    figures beside; each repair of `fixed` alone; localization by one family of thresholds; detectors that
    look at no time. Writes ablation.md, ablation.csv and ablation.png, and the runs below runs/.

    Exit codes: 0 done; 2 usage or settings; 3 some runs failed, and the table says why; 4 all failed, or
    nothing to compare; 5 data missing or damaged; 6 disk or memory; 130 and 143 stopped: the same command
    goes on.
    """
    from ascnet_cli.cli.signals import stopping
    from ascnet_cli.cli.text import counted, say
    from ascnet_cli.training.seeds import parse_seeds
    from ascnet_cli.training.settings import parse_overrides

    if out is None and not show_rows:
        raise typer.BadParameter("where to? give a folder", param_hint="--out")
    numbers, overrides = parse_seeds(seeds), parse_overrides(assignments or [])
    chosen_preset = _preset(preset)

    from ascnet_cli.ablation import run
    from ascnet_cli.ablation.plan import make_plan
    from ascnet_cli.ablation.rows import all_rows, chosen_rows
    from ascnet_cli.ablation.workers import Source
    from ascnet_cli.training.data import load_data
    from extractors.device import resolve_device

    opened = load_data(dataset, data, features)
    known = all_rows(chosen_preset, opened.shape, dataset=dataset, overrides=overrides)
    wanted, notes = run.runnable(chosen_rows(known, rows), opened)
    if show_rows or out is None:
        _print_rows(wanted)
        return
    plan = make_plan(wanted, opened, overrides, numbers)
    place = str(resolve_device(device))
    say(f"device: {place}")
    for note in (*opened.notes, *notes):
        say(f"note: {note}")
    todo = run.unfinished(plan, opened, out)
    say(f"{counted(len(wanted), 'row')}: {counted(len(plan.runs), 'training')}, {len(todo)} to do")
    with stopping("stopping; the same command goes on from here") as stop:
        with _view(len(todo)) as report:
            outcome = run.ablate(
                opened,
                Source(dataset, data, features),
                plan,
                out,
                device=place,
                jobs=jobs,
                facts=run.facts_of(opened, preset, numbers, overrides),
                report=report,
                should_stop=stop.asked,
            )
        _print_outcome(outcome)
        stop.raise_if_asked()
    if outcome.n_failed:
        raise typer.Exit(3 if any(line.scores for line in outcome.report.lines) else 4)


def _preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        OptionError: there is none.
    """
    from ascnet_cli.config import PRESETS
    from ascnet_cli.errors import OptionError

    for preset in PRESETS:
        if name == preset:
            return preset
    raise OptionError(f"unknown preset {name!r}", hint=f"choose one of {', '.join(PRESETS)}.")


def _print_rows(rows: Sequence[Row]) -> None:
    from ascnet_cli.ablation.table import settings_text
    from ascnet_cli.cli.console import plain_table, printable, results

    table = plain_table()
    for title in ("row", "table", "preset", "what", "sets"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        cells = (row.name, row.table, row.preset, row.title, settings_text(row.overrides))
        table.add_row(*map(printable, cells))
    results().print(table)


def _print_outcome(outcome: Outcome) -> None:
    """The rows' averages; what failed, and which files were written, on standard error."""
    from ascnet_cli.cli.console import plain_table, printable, results
    from ascnet_cli.cli.text import counted, say

    table = plain_table()
    table.add_column("row", no_wrap=True)
    for title in ("average mAP", "std", "difference", "paper", "seeds"):
        table.add_column(title, justify="right", no_wrap=True)
    for line in outcome.report.lines:
        average, difference = line.average, line.difference
        table.add_row(
            printable(line.row.name),
            f"{average.mean:.1f}" if average else "",
            f"{average.std:.1f}" if average and average.n > 1 else "",
            f"{difference.mean:+.1f}" if difference else "",
            "" if line.paper is None else f"{line.paper:.1f}",
            str(len(line.scores)),
        )
    results().print(table)
    for line in outcome.report.lines:
        if line.reason:
            say(f"failed: {line.row.name}: {line.reason}")
    if outcome.n_left:
        say(f"{counted(outcome.n_left, 'training')} left")
    for path in outcome.files:
        say(f"wrote {path}")
    if not any(path.suffix == ".png" for path in outcome.files):
        say("no plot: it needs matplotlib (pip install 'ascnet[plots]') and a row that was measured")


@contextmanager
def _view(n_runs: int) -> Iterator[Callable[[RunState], None]]:
    """Show how runs are going: a bar a run on a terminal, lines elsewhere."""
    from ascnet_cli.cli.console import errors

    if not errors().is_terminal:
        yield _lines(n_runs)
        return
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors(), transient=True) as progress:
        whole = progress.add_task("trainings", total=n_runs)
        tasks: dict[str, TaskID] = {}

        def see(report: RunState) -> None:
            name = report.run.title
            if name not in tasks:
                tasks[name] = progress.add_task(escape(name), total=None)
            if report.ended:
                progress.remove_task(tasks.pop(name))
                progress.advance(whole)
            else:
                progress.update(tasks[name], completed=report.step, total=report.n_steps or None)

        yield see


def _lines(n_runs: int) -> Callable[[RunState], None]:
    """A line at the end of each run, and one every so often."""
    from ascnet_cli.cli.text import say

    ended, begin_s, last_s = 0, time.monotonic(), time.monotonic()

    def see(report: RunState) -> None:
        nonlocal ended, last_s
        now = time.monotonic()
        if report.ended:
            ended += 1
            left_s = (now - begin_s) / ended * (n_runs - ended)
            how = f"failed: {report.reason}" if report.reason else "done"
            say(f"[{ended}/{n_runs}] {report.run.title}: {how}, about {left_s / 60:.0f} min left")
        elif now - last_s >= _LINE_EVERY_S and report.n_steps:
            say(f"{report.run.title}: step {report.step} of {report.n_steps}")
        else:
            return
        last_s = now

    return see
