"""`ascnet detect`: video files in, segments out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.cli.console import Report
    from ascnet_cli.detect import DetectOptions, VideoOutcome
    from ascnet_cli.detector import Detector
    from ascnet_cli.inputs import VideoInput
    from ascnet_cli.segments import VideoDetections

STDOUT = "-"


def detect(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Videos, kept features (.npy), or folders of either.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where to write the segments: .csv or .json (ActivityNet); - is standard output, as CSV.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="kinetics400 (400 everyday and sports actions), or the path of an ASC-Net checkpoint.",
        ),
    ] = "kinetics400",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Keep these classes alone: names with commas between them."),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE", help="Leave out segments that score lower; default: the model's bound."
        ),
    ] = None,
    features_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep features in this folder; a later run uses those still right."
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="csv or json, whatever the ending of --out."),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="pyav or decord (see the README for what it cannot read); as the model wants it.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine-i3d",
            metavar="NAME",
            help="What computes I3D: torch, torch-bfloat16, torch-float16, openvino or openvino-int8; as the"
            " model wants it.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count a truncated video as failed.")] = False,
    json_summary: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary on standard output, not a table.")
    ] = False,
) -> None:
    """Find the actions in videos and write when they happen.

    Exit codes: 0 all done; 2 usage; 3 some videos failed, the rest done; 4 none succeeded; 5 weights or
    features missing, damaged or of the wrong recipe; 6 disk or memory; 130 Ctrl-C; 143 SIGTERM.
    """
    target = _target(out, output_format, json_summary)
    wanted = _labels(labels)
    _check_values(inputs, min_score)

    from ascnet_cli.cli.console import errors
    from ascnet_cli.detect import DetectOptions
    from ascnet_cli.detector import load_detector
    from ascnet_cli.errors import VideoError
    from ascnet_cli.inputs import collect

    try:
        videos = collect([Path(name) for name in inputs])
    except VideoError as error:
        error.exit_code = 4  # nothing to do is nothing done
        raise
    detector = load_detector(model, device=device, decoder=decoder, engine=engine, apart=True)
    if device == "auto":
        errors().print(f"device: {detector.device}")
    options = DetectOptions(min_score=min_score, labels=wanted, features_out=features_out, strict=strict)
    batch = _Batch(n_videos=len(videos), target=target, outcomes=[])
    try:
        batch.run(videos, detector, options)
    except BaseException as stop:
        # Ctrl-C, SIGTERM, a full disk: what is finished is not lost.
        if batch.outcomes or not isinstance(stop, Exception):
            batch.report(stopped=True)
        raise
    batch.report()
    raise typer.Exit(batch.exit_code())


@dataclass(frozen=True, slots=True)
class _Target:
    """Where results go: a file, standard output as CSV or JSON (`path` is None), or the screen alone."""

    path: Path | None = None
    format: str | None = None
    json_summary: bool = False


def _target(out: str | None, output_format: str | None, json_summary: bool) -> _Target:
    """Settle where results go, before any work is done.

    Raises:
        OptionError: options that contradict each other, or an unknown format.
        OutputError: the file cannot be written.
    """
    from ascnet_cli.errors import OptionError
    from ascnet_cli.outputs.files import check_writable, format_of

    if out is None:
        if output_format is not None:
            raise OptionError("--format without --out", hint="say where the segments go with --out")
        return _Target(json_summary=json_summary)
    if out == STDOUT:
        if json_summary:
            raise OptionError("--out - and --json both want standard output", hint="name a file with --out")
        return _Target(format=format_of(Path("segments.csv"), output_format))
    if not out:
        raise OptionError("--out is empty", hint="name a file, or - for standard output")
    check_writable(Path(out), output_format)
    return _Target(path=Path(out), format=format_of(Path(out), output_format), json_summary=json_summary)


def _labels(texts: Sequence[str] | None) -> tuple[str, ...]:
    from ascnet_cli.errors import OptionError

    if not texts:
        return ()
    names = tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
    if not names:
        raise OptionError("--labels names no class", hint='for example --labels "archery,ice skating"')
    return names


def _check_values(inputs: Sequence[str], min_score: float | None) -> None:
    import math

    from ascnet_cli.errors import OptionError

    if "" in inputs:
        raise OptionError("a file name is empty", hint="is a variable of your shell not set?")
    if min_score is not None and not math.isfinite(min_score):
        raise OptionError(f"--min-score must be a number, not {min_score}", hint="for example 0.3")


@dataclass(slots=True)
class _Batch:
    """One run: what it is to do, and what has become of it so far."""

    n_videos: int
    target: _Target
    outcomes: list[VideoOutcome]

    def run(self, videos: Sequence[VideoInput], detector: Detector, options: DetectOptions) -> None:
        """Look at every video and say a line about each."""
        from ascnet_cli.cli.console import meter
        from ascnet_cli.detect import detect_all

        with meter(self.n_videos) as shown:

            def progress(video: VideoInput) -> Report:
                return shown.item(video.name, len(self.outcomes) + 1)

            for outcome in detect_all(videos, detector, options, progress=progress):
                self.outcomes.append(outcome)
                shown.line(_outcome_lines(outcome))

    def report(self, *, stopped: bool = False) -> None:
        """Write what was found, show it, and say how the batch went.

        Raises:
            OutputError: the file cannot be written; the segments are then on standard output.
            StorageError: the same, for want of room.
        """
        from ascnet_cli.cli.console import results, segments_table
        from ascnet_cli.cli.text import say, write_stdout
        from ascnet_cli.errors import AscnetError
        from ascnet_cli.outputs.files import write_file

        target = self.target
        found = [outcome.result for outcome in self.outcomes if outcome.result is not None]
        written, failure = None, None
        # A run in which nothing succeeded leaves an older file alone.
        if target.path is not None and found:
            try:
                write_file(found, target.path, target.format)
                written = target.path
            except AscnetError as error:
                failure = error
        if target.json_summary:
            import json

            write_stdout(json.dumps(summary(self.outcomes, written)) + "\n")
        elif target.format is not None and written is None:
            write_stdout(_as_text(found, target.format) if found else "")
        elif any(result.detections for result in found):
            results().print(segments_table(found))
        say(_closing_line(self.outcomes, self.n_videos, written, stopped=stopped))
        if failure is not None:
            raise failure

    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 all did; 5 or 6 where all failed for that one reason."""
        failed = [outcome for outcome in self.outcomes if outcome.state == "failed"]
        if not failed:
            return 0
        if len(failed) < len(self.outcomes):
            return 3
        reasons = {outcome.exit_code for outcome in failed}
        return reasons.pop() if reasons in ({5}, {6}) else 4


def _as_text(found: Sequence[VideoDetections], output_format: str) -> str:
    import io

    from ascnet_cli.outputs.files import WRITERS

    buffer = io.StringIO()
    WRITERS[output_format](found, buffer)
    return buffer.getvalue()


def _outcome_lines(outcome: VideoOutcome) -> str:
    """What became of one video, in rich's markup: one line, and one a warning."""
    from ascnet_cli.cli.console import printable
    from ascnet_cli.cli.text import counted

    name = printable(outcome.video)
    result = outcome.result
    if result is None:
        hint = f"; hint: {printable(outcome.hint)}" if outcome.hint else ""
        return f"[red]failed[/red]: {name}: {printable(outcome.error or '')}{hint}"
    speed = f"{outcome.seconds:.1f} s, {result.duration_s / max(outcome.seconds, 1e-9):.1f}x"
    how = "; ".join(["from kept features" if outcome.kept else speed, *map(printable, outcome.notes)])
    lines = [
        f"{name}: {counted(len(result.detections), 'segment')} in {result.duration_s:.1f} s of video ({how})"
    ]
    lines += [f"[yellow]warning[/yellow]: {name}: {printable(warning)}" for warning in outcome.warnings]
    return "\n".join(lines)


def summary(outcomes: Sequence[VideoOutcome], out: Path | None) -> dict[str, object]:
    """The object that `--json` prints."""
    return {
        "done": sum(outcome.state == "done" for outcome in outcomes),
        "up_to_date": 0,
        "failed": sum(outcome.state == "failed" for outcome in outcomes),
        "videos": [
            {
                "video": outcome.video,
                "state": outcome.state,
                "segments": len(outcome.result.detections) if outcome.result else 0,
                "seconds": round(outcome.seconds, 3),
                "error": outcome.error,
                "hint": outcome.hint,
            }
            for outcome in outcomes
        ],
        "out": str(out) if out is not None else None,
    }


def _closing_line(
    outcomes: Sequence[VideoOutcome], n_videos: int, written: Path | None, *, stopped: bool
) -> str:
    from ascnet_cli.cli.text import counted

    failed = sum(outcome.state == "failed" for outcome in outcomes)
    n_segments = sum(len(outcome.result.detections) for outcome in outcomes if outcome.result)
    parts = [f"{len(outcomes) - failed} of {counted(n_videos, 'video')} done"]
    if failed:
        parts.append(f"{failed} failed")
    if stopped:
        parts.append(f"{n_videos - len(outcomes)} not begun or not finished")
    where = f" in {written}" if written is not None else ""
    return f"{', '.join(parts)}: {counted(n_segments, 'segment')}{where}"
