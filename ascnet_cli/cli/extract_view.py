"""What a person sees of an extraction: the plan, how far it is, each video, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ascnet_cli.cli.console import errors, printable
from ascnet_cli.cli.extract_bars import Bars
from ascnet_cli.cli.text import counted, one_line, say, write_stdout
from extractors.batch.failures import NAME as FAILURES
from extractors.batch.jobs import Failure, Progressed, Ready, Withdrawn

if TYPE_CHECKING:
    from extractors.batch.estimate import Estimate, Rate
    from extractors.batch.plan import Plan
    from extractors.batch.run import Outcome

_SHOWN_TASKS = 20  # videos of a plan that are named


def plan_line(plan: Plan) -> str:
    """What there is to do, by reason, in one line."""
    n_done = len(plan.tasks) - len(plan.to_do)
    reasons = ", ".join(f"{count} {reason}" for reason, count in plan.reasons().items())
    return (
        f"{counted(len(plan.to_do), 'video')} to do{f' ({reasons})' if reasons else ''}, {n_done} up to date"
    )


def tell_plan(
    plan: Plan,
    cost: Estimate,
    rate: Rate | None,
    n_workers: int,
    out: Path,
    free_bytes: int,
    json_summary: bool,
) -> None:
    """Print what a run would do and what it would take.

    Args:
        plan: what is to be done.
        cost: of it.
        rate: as measured with one worker; None where there was nothing to measure.
        n_workers: that a run would have.
        out: the output folder.
        free_bytes: on its disk.
        json_summary: one JSON object on standard output rather than lines.
    """
    needed_s = cost.video_s / (rate.factor * n_workers) if rate else None
    if json_summary:
        told = {
            "dry_run": True,
            "to_do": len(plan.to_do),
            "up_to_date": len(plan.tasks) - len(plan.to_do),
            "video_s": round(cost.video_s, 3),
            "rows": cost.n_rows,
            "bytes": cost.n_bytes,
            "free_bytes": free_bytes,
            "rate": round(rate.factor, 3) if rate else None,
            "seconds": round(needed_s, 1) if needed_s is not None else None,
            "videos": [
                {
                    "video": task.item.video.name,
                    "state": "to_do" if task.reason else "up_to_date",
                    "reason": task.reason or None,
                }
                for task in plan.tasks
            ],
            "out": str(out),
        }
        write_stdout(json.dumps(told) + "\n")
        return
    for task in plan.to_do[:_SHOWN_TASKS]:
        write_stdout(f"{one_line(task.item.video.name)}: {one_line(task.reason)}\n")
    if len(plan.to_do) > _SHOWN_TASKS:
        write_stdout(f"... and {len(plan.to_do) - _SHOWN_TASKS} more\n")
    write_stdout(plan_line(plan) + "\n")
    if not plan.to_do:
        return
    source = "" if cost.n_read == cost.n_videos else f" (by {cost.n_read} of {cost.n_videos} headers)"
    write_stdout(
        f"{_hours(cost.video_s)} of video{source}, {counted(cost.n_rows, 'row')} of features,"
        f" {_size(cost.n_bytes)} in {one_line(str(out))}, {_size(free_bytes)} free\n"
    )
    if rate is None or needed_s is None:
        write_stdout("no time estimate: none of the videos that were tried can be read\n")
        return
    write_stdout(
        f"about {_hours(needed_s)} with {counted(n_workers, 'worker')} on {rate.device}: an estimate from"
        f" {rate.video_s:.1f} s of your videos, which took one worker {rate.seconds:.1f} s just now\n"
    )


class View:
    """One run, as it goes: a bar on a terminal, a line a video elsewhere.

    Args:
        n_videos: in all.
        video_s: seconds of video to be made, estimated; None where nobody looked.
        out: the output folder.
        json_summary: print one JSON object at the end.
    """

    def __init__(self, n_videos: int, video_s: float | None, out: Path, json_summary: bool) -> None:
        self._n_videos = n_videos
        self._out, self._json = out, json_summary
        self._outcomes: list[Outcome] = []
        self._console = errors()
        self._bars = Bars(self._console, video_s) if self._console.is_terminal else None
        self._devices: set[str] = set()

    @staticmethod
    def has_bars() -> bool:
        """Whether somebody looks on, to whom the time left means something."""
        return errors().is_terminal

    def __enter__(self) -> View:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def watch(self, event: Ready | Progressed | Withdrawn) -> None:
        """A worker is ready, or none gets ready at some place, or a video has come further."""
        if isinstance(event, Ready):
            if event.device not in self._devices:
                self._devices.add(event.device)
                self._console.print(f"device: {event.device}")
        elif isinstance(event, Withdrawn):
            where = f" on {printable(event.place)}" if event.place else ""
            self._console.print(
                f"[yellow]warning[/yellow]: a worker{where} cannot begin, the others do its part:"
                f" {printable(event.failure.message)}{_hint(event.failure)}"
            )
        elif self._bars is not None:
            self._bars.move(event)

    def add(self, outcome: Outcome) -> None:
        """A video is over; one that was up to date is counted and not named."""
        self._outcomes.append(outcome)
        if self._bars is not None:
            self._bars.end(outcome.video, outcome.duration_s)
        text = outcome_lines(outcome)
        if text:
            self._console.print(text)

    def close(self, *, stopped: bool) -> None:
        """Say how the run went."""
        if self._json:
            write_stdout(json.dumps(summary(self._outcomes, self._out)) + "\n")
        say(closing_line(self._outcomes, self._n_videos, self._out, stopped=stopped))

    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 all did; 5 or 6 where all failed for that one reason."""
        failures = [outcome.failure for outcome in self._outcomes if outcome.failure is not None]
        if not failures:
            return 0
        if len(failures) < len(self._outcomes):
            return 3
        reasons = {failure.exit_code for failure in failures}
        return reasons.pop() if reasons in ({5}, {6}) else 4


def outcome_lines(outcome: Outcome) -> str:
    """What became of one video, in rich's markup: one line, and one a warning; empty for one up to date."""
    name = printable(outcome.video)
    failure = outcome.failure
    if failure is not None:
        return f"[red]failed[/red]: {name}: {printable(failure.message)}{_hint(failure)}"
    if outcome.by_other:
        return f"{name}: made by another process"
    if outcome.state == "up_to_date":
        return ""
    speed = f"{outcome.duration_s / max(outcome.seconds, 1e-9):.1f}x"
    lines = [
        f"{name}: {counted(outcome.n_rows, 'row')} of {outcome.duration_s:.1f} s of video"
        f" ({outcome.seconds:.1f} s, {speed}; {printable(outcome.reason)})"
    ]
    lines += [f"[yellow]warning[/yellow]: {name}: {printable(warning)}" for warning in outcome.warnings]
    return "\n".join(lines)


def _hint(failure: Failure) -> str:
    return f"; hint: {printable(failure.hint)}" if failure.hint else ""


def summary(outcomes: Sequence[Outcome], out: Path) -> dict[str, object]:
    """The object that `--json` prints."""
    return {
        "done": _count(outcomes, "done"),
        "up_to_date": _count(outcomes, "up_to_date"),
        "failed": _count(outcomes, "failed"),
        "videos": [
            {
                "video": outcome.video,
                "state": outcome.state,
                "rows": outcome.n_rows,
                "seconds": round(outcome.seconds, 3),
                "reason": outcome.reason or None,
                "error": outcome.failure.message if outcome.failure else None,
                "hint": (outcome.failure.hint or None) if outcome.failure else None,
            }
            for outcome in outcomes
        ],
        "out": str(out),
    }


def closing_line(outcomes: Sequence[Outcome], n_videos: int, out: Path, *, stopped: bool) -> str:
    """How the run went, in one line."""
    n_failed = _count(outcomes, "failed")
    parts = [f"{_count(outcomes, 'done')} of {counted(n_videos, 'video')} done"]
    if up_to_date := _count(outcomes, "up_to_date"):
        parts.append(f"{up_to_date} up to date")
    if n_failed:
        parts.append(f"{n_failed} failed")
    if stopped and n_videos > len(outcomes):
        parts.append(f"{n_videos - len(outcomes)} not begun or not finished")
    where = f": see {out / FAILURES}" if n_failed else f": {out}"
    return ", ".join(parts) + where


def _count(outcomes: Sequence[Outcome], state: str) -> int:
    return sum(outcome.state == state for outcome in outcomes)


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
