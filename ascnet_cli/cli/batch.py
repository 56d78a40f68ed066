"""The end of a batch, for `ascnet detect` and `ascnet render`: what is written, drawn and said about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ascnet_cli.cli.console import Report
    from ascnet_cli.errors import AscnetError
    from ascnet_cli.outputs.curves import Curves
    from ascnet_cli.rendering import Drawn, Look
    from ascnet_cli.segments import VideoDetections
    from ascnet_cli.targets import Plan

_KEPT_SHOWN = 5  # files that a line each is said about


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one video.

    Attributes:
        video: its name.
        state: "done" or "failed"; one whose pictures failed has a result all the same.
        seconds: how long it took.
        result: its segments.
        curves: what the network saw, for a report.
        error: what is wrong, where it failed.
        hint: what to do about it.
        exit_code: what the command ends with where all fail for this reason.
    """

    video: str
    state: Literal["done", "failed"]
    seconds: float
    result: VideoDetections | None = None
    curves: Curves | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0


@dataclass(slots=True)
class Batch:
    """One run: what it is to write, and what has become of it so far.

    Attributes:
        plan: every file that is to be written.
        n_videos: how many there are.
        json_summary: a program reads standard output.
        rows: a record a video.
        written: files so far.
        failures: what could not be written.
    """

    plan: Plan
    n_videos: int
    json_summary: bool = False
    rows: list[Row] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    failures: list[AscnetError] = field(default_factory=list)

    def begin(self) -> None:
        """Say, before any work, what is asked for and cannot be had.

        Raises:
            OptionError: nothing of it can be.
        """
        from ascnet_cli.remarks import check_embeds, lacking_files, lacking_truth

        check_embeds(self.plan)
        warn(lacking_truth(self.plan))
        warn(lacking_files(self.plan))

    def write(self) -> None:
        """Write the files of segments; a run in which nothing succeeded leaves older files alone."""
        from ascnet_cli.cli.console import errors
        from ascnet_cli.rendering import write_texts

        made = write_texts(self.plan, self._results())
        self.written += made.written
        self.failures += made.failures
        for line in _kept_lines(made.kept):
            errors().print(line)

    def draw(self) -> None:
        """Draw videos, cut clips and write the report; pictures that fail are their video's failure.

        Raises:
            StorageError: the disk is full.
        """
        from ascnet_cli.cli.console import meter, printable
        from ascnet_cli.cli.text import counted
        from ascnet_cli.errors import AscnetError
        from ascnet_cli.remarks import other_clips, unplayed
        from ascnet_cli.rendering import draw, write_pages

        if self.failures:
            return  # no room or no place: said at the end
        looks = self._looks()
        n_done = 0
        with meter(len(looks)) as shown:

            def progress(video: str) -> Report:
                return shown.item(video, n_done + 1)

            for drawn in draw(self.plan, looks, progress=progress):
                n_done += 1
                self._settle(drawn)
                shown.line(_drawn_lines(drawn, looks[n_done - 1]))
            clips = self.plan.wanted.clips
            if clips is not None and (others := other_clips(clips, [look.result for look in looks])):
                said = f"{clips}/: {counted(others, 'other clip')} of these videos lay there before"
                shown.line(f"[yellow]note[/yellow]: {printable(said)}")
            for line in unplayed(self.plan, [look.result for look in looks]):
                shown.line(f"[yellow]note[/yellow]: {printable(line)}")
            try:
                pages = write_pages(self.plan, looks, self._failed())
            except AscnetError as error:
                self.failures.append(error)
                return
            self.written += pages
            if pages:
                shown.line(f"report: {_printable(pages[0])}")

    def finish(self) -> None:
        """Write everything and say how it went, also where drawing is stopped in the middle.

        Raises:
            AscnetError: something could not be written.
        """
        self.write()
        try:
            self.draw()
        except BaseException:
            self.show()
            raise
        self.show()

    def show(self, *, stopped: bool = False) -> None:
        """Put the results on standard output, and say how the batch went.

        Raises:
            AscnetError: a file could not be written; the segments are then on standard output, with `--json`
                as `results` of its object.
        """
        from ascnet_cli.cli.console import results, segments_table
        from ascnet_cli.cli.text import say, write_stdout
        from ascnet_cli.rendering import text_of

        found = self._results()
        wanted = self.plan.wanted
        texts_failed = bool(wanted.texts) and not self._places_written()
        if self.json_summary:
            import json

            document = self.summary()
            if texts_failed:
                document["results"] = (
                    json.loads(text_of(self.plan, found, "json"))["results"] if found else {}
                )
            write_stdout(json.dumps(document) + "\n")
        elif wanted.stdout is not None or texts_failed:
            # Nothing that was found is lost where its file could not be written.
            format = wanted.stdout or ("json" if wanted.formats == {"json"} else "csv")
            write_stdout(text_of(self.plan, found, format) if found else "")
        elif any(result.detections for result in found):
            results().print(segments_table(found))
        say(self._closing_line(stopped=stopped))
        if texts_failed and found:
            say("what could not be written to a file is on standard output")
        if self.failures:
            raise self.failures[0]

    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 all did; 5 or 6 where all failed for that one reason."""
        failed = [row for row in self.rows if row.state == "failed"]
        if not failed:
            return 0
        if len(failed) < len(self.rows) or any(row.result is not None for row in failed):
            return 3
        reasons = {row.exit_code for row in failed}
        return reasons.pop() if reasons in ({5}, {6}) else 4

    def summary(self) -> dict[str, object]:
        """The object that `--json` prints; `files` is in it where more than one file was asked for."""
        places = self._places_written()
        document: dict[str, object] = {
            "done": sum(row.state == "done" for row in self.rows),
            "up_to_date": 0,
            "failed": sum(row.state == "failed" for row in self.rows),
            "videos": [
                {
                    "video": row.video,
                    "state": row.state,
                    "segments": len(row.result.detections) if row.result else 0,
                    "seconds": round(row.seconds, 3),
                    "error": row.error,
                    "hint": row.hint,
                }
                for row in self.rows
            ],
            "out": str(places[0]) if places else None,
        }
        wanted = self.plan.wanted
        is_one_file = len(wanted.texts) <= 1 and not any(text.is_folder for text in wanted.texts)
        if not is_one_file or wanted.draws or wanted.report is not None:
            document["files"] = [str(path) for path in self.written]
        return document

    def _results(self) -> list[VideoDetections]:
        return [row.result for row in self.rows if row.result is not None]

    def _failed(self) -> dict[str, str]:
        """The videos that have no result, and why."""
        return {row.video: row.error or "" for row in self.rows if row.result is None}

    def _looks(self) -> list[Look]:
        from ascnet_cli.rendering import Look

        return [Look(row.result, row.curves) for row in self.rows if row.result is not None]

    def _settle(self, drawn: Drawn) -> None:
        """Record what became of a video's pictures."""
        self.written += drawn.files
        place = next(n for n, row in enumerate(self.rows) if row.video == drawn.video)
        row = replace(self.rows[place], seconds=self.rows[place].seconds + drawn.seconds)
        if drawn.error is not None:
            row = replace(row, state="failed", error=drawn.error, hint=drawn.hint, exit_code=drawn.exit_code)
        self.rows[place] = row

    def _places_written(self) -> list[Path]:
        """The files and folders that were asked for, as far as something is in them."""
        planned = {text.path for text in self.plan.texts} & set(self.written)
        return [
            text.path
            for text in self.plan.wanted.texts
            if text.path in planned or (text.is_folder and any(text.path in path.parents for path in planned))
        ]

    def _closing_line(self, *, stopped: bool) -> str:
        from ascnet_cli.cli.text import counted

        failed = sum(row.state == "failed" for row in self.rows)
        n_segments = sum(len(result.detections) for result in self._results())
        parts = [f"{len(self.rows) - failed} of {counted(self.n_videos, 'video')} done"]
        if failed:
            parts.append(f"{failed} failed")
        if stopped:
            parts.append(f"{self.n_videos - len(self.rows)} not begun or not finished")
        places = self._places_written()
        where = f" in {' and '.join(map(str, places))}" if places else ""
        return f"{', '.join(parts)}: {counted(n_segments, 'segment')}{where}"


def failed_line(video: str, error: str | None, hint: str | None) -> str:
    """A video that failed, in rich's markup."""
    from ascnet_cli.cli.console import printable

    said = f"; hint: {printable(hint)}" if hint else ""
    return f"[red]failed[/red]: {printable(video)}: {printable(error or '')}{said}"


def _kept_lines(kept: Mapping[Path, Path]) -> list[str]:
    """Which files are kept that were replaced, in rich's markup; many at once are counted."""
    if len(kept) > _KEPT_SHOWN:
        return [
            f"[yellow]note[/yellow]: {len(kept)} files had another content: those that were there are kept"
            " beside the new ones, each with a ~ after its name"
        ]
    lines = []
    for path, place in kept.items():
        shown = path.with_name(place.name) if place.parent == path.parent.resolve() else place
        what = f"{_printable(path)}: the one that was there is kept as {_printable(shown)}"
        lines.append(f"[yellow]note[/yellow]: {what}")
    return lines


def _drawn_lines(drawn: Drawn, look: Look) -> str:
    """What became of one video's pictures, in rich's markup."""
    from ascnet_cli.cli.console import printable
    from ascnet_cli.cli.text import counted

    if drawn.error is not None:
        return failed_line(drawn.video, drawn.error, drawn.hint)
    name = printable(drawn.video)
    clips = len(drawn.files) - drawn.n_videos
    parts = (drawn.n_videos, "annotated video"), (clips, "clip")
    what = ", ".join(counted(n, noun) for n, noun in parts if n) or "no clip"
    where = _printable(drawn.files[0]) if len(drawn.files) == 1 else what
    speed = f"{drawn.seconds:.1f} s, {look.result.duration_s / max(drawn.seconds, 1e-9):.1f}x"
    lines = [f"{name}: drawn into {where} ({speed})"]
    lines += [f"[yellow]note[/yellow]: {name}: {printable(note)}" for note in drawn.notes]
    return "\n".join(lines)


def warn(lines: Iterable[str], kind: str = "warning") -> None:
    """Say lines on standard error, after the word for what they are."""
    from ascnet_cli.cli.console import errors, printable

    for line in lines:
        errors().print(f"[yellow]{kind}[/yellow]: {printable(line)}")


def _printable(path: Path) -> str:
    from ascnet_cli.cli.console import printable

    return printable(str(path))
