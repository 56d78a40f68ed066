"""What a person sees of an extraction: the plan, how far it is, each video, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from ascnet_cli.cli.console import errors, printable
from ascnet_cli.cli.extract_bars import Bars
from ascnet_cli.cli.text import counted, say, write_stdout
from extractors.batch.failures import NAME as FAILURES
from extractors.batch.jobs import Failure, Progressed, Ready, Withdrawn

if TYPE_CHECKING:
    from extractors.batch.plan import Plan
    from extractors.batch.run import Outcome


def plan_line(plan: Plan) -> str:
    """What there is to do, by reason, in one line."""
    n_done = len(plan.tasks) - len(plan.to_do)
    reasons = ", ".join(f"{count} {reason}" for reason, count in plan.reasons().items())
    return (
        f"{counted(len(plan.to_do), 'video')} to do{f' ({reasons})' if reasons else ''}, {n_done} up to date"
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
        self._by_video: dict[str, Outcome] = {}
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
        """A video is over; one that was up to date is counted and not named. The last word on it counts."""
        self._by_video[outcome.video] = outcome
        if self._bars is not None:
            self._bars.end(outcome.video, outcome.duration_s)
        text = outcome_lines(outcome)
        if text:
            self._console.print(text)

    @property
    def _outcomes(self) -> list[Outcome]:
        return list(self._by_video.values())

    def close(self, *, stopped: bool) -> None:
        """Say how the run went."""
        if self._json:
            write_stdout(json.dumps(summary(self._outcomes, self._out)) + "\n")
        recorded = (self._out / FAILURES).is_file()
        say(closing_line(self._outcomes, self._n_videos, self._out, stopped=stopped, recorded=recorded))

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


def closing_line(
    outcomes: Sequence[Outcome], n_videos: int, out: Path, *, stopped: bool, recorded: bool
) -> str:
    """How the run went, in one line.

    Args:
        outcomes: of this run.
        n_videos: that it had.
        out: the output folder.
        stopped: it was ended early.
        recorded: there is a record of failures, of this run or of others. Features that another process has
            replaced have none.
    """
    n_failed, n_kept = _count(outcomes, "failed"), _count(outcomes, "up_to_date")
    if n_kept == n_videos > 0:
        all_of = "the video is" if n_videos == 1 else f"all {n_videos} videos are"
        parts = [f"nothing to do, {all_of} up to date"]
    else:
        parts = [f"{_count(outcomes, 'done')} of {counted(n_videos, 'video')} done"]
        parts += [f"{n_kept} up to date"] if n_kept else []
    if n_failed:
        parts.append(f"{n_failed} failed")
    if stopped and n_videos > len(outcomes):
        parts.append(f"{n_videos - len(outcomes)} not begun or not finished")
    where = f": see {out / FAILURES}" if n_failed and recorded else f": {out}"
    if n_failed == n_videos and not recorded:
        where = ""  # there may be no such folder
    if recorded and not n_failed:
        where += f"; others failed before: see {out / FAILURES}"
    return ", ".join(parts) + where


def _count(outcomes: Sequence[Outcome], state: str) -> int:
    return sum(outcome.state == state for outcome in outcomes)
