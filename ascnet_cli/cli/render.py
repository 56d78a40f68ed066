"""`ascnet render`: what people look at, from segments that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascnet_cli.cli import options

if TYPE_CHECKING:
    from ascnet_cli.cli.batch import Batch
    from ascnet_cli.predictions import Prediction
    from ascnet_cli.segments import Detection


def render(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Segments: .csv or .json as `ascnet detect` writes them, or any other format of its --out.",
            show_default=False,
        ),
    ],
    video_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the videos lie. Each is found by its name in the file, with or without its ending.",
        ),
    ] = None,
    out: options.Out = None,
    output_format: options.Formats = None,
    labels: options.Labels = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Leave out segments that score lower.")
    ] = None,
    video: options.Video = None,
    clips: options.Clips = None,
    clips_copy: options.ClipsCopy = False,
    report: options.Report = None,
    embed: options.Embed = False,
    truth: options.Truth = None,
    fps: options.Fps = None,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    force: options.Force = False,
    json_summary: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary on standard output, not a table.")
    ] = False,
) -> None:
    """Write subtitles, annotated videos, clips or a report from segments, without running a model.

    Files of a run before are replaced; one of segments that had another content is kept as NAME~. One that
    something else wrote is not replaced, unless with --force.

    Exit codes: 0 all done; 2 usage; 3 some videos failed, the rest done; 4 none succeeded; 5 segments or
    annotations missing or damaged; 6 disk or memory; 130 Ctrl-C; 143 SIGTERM.
    """
    wanted = options.wanted_of(
        out,
        output_format,
        json_summary=json_summary,
        video=video,
        clips=clips,
        clips_copy=clips_copy,
        report=report,
        embed=embed,
        truth=truth,
        fps=fps,
        spreadsheet_safe=spreadsheet_safe,
        force=force,
    )
    kept = options.listed(labels, "--labels", "archery,ice skating")
    options.check_min_score(min_score)

    from ascnet_cli.cli.batch import Batch, warn
    from ascnet_cli.errors import OptionError, PredictionsError, VideoError
    from ascnet_cli.outputs.files import read_durations
    from ascnet_cli.predictions import find_sources, read_predictions
    from ascnet_cli.remarks import lengths_unknown
    from ascnet_cli.targets import plan

    detections = read_predictions(predictions, labels=kept, min_score=min_score)
    if not detections:
        raise PredictionsError(f"{predictions} names no video", hint="there is nothing to write")
    if wanted.draws and video_root is None:
        raise OptionError(
            "--video and --clips need the videos", hint="say where they lie with --video-root FOLDER"
        )
    try:
        found = list(find_sources(tuple(detections), video_root))
    except VideoError as error:
        error.exit_code = 4  # nothing to do is nothing done
        raise
    reads = [path for path in (predictions, truth) if path is not None]
    sources = [prediction.source for prediction in found if prediction.state == "done"]
    batch = Batch(plan(wanted, sources, reads, n_videos=len(found)), len(found), json_summary)
    batch.begin()
    durations_s = read_durations(predictions)
    if report is not None and video_root is None:
        warn([lengths_unknown(tuple(detections), durations_s)], "note")
    _look(batch, found, detections, durations_s)
    batch.finish()
    raise typer.Exit(batch.exit_code())


def _look(
    batch: Batch,
    found: Sequence[Prediction],
    detections: Mapping[str, tuple[Detection, ...]],
    durations_s: Mapping[str, float],
) -> None:
    """Give each video its segments, and say which failed."""
    import time

    from ascnet_cli.cli.batch import Row, failed_line
    from ascnet_cli.cli.console import meter, printable
    from ascnet_cli.predictions import with_results
    from ascnet_cli.remarks import past_end

    started = time.monotonic()
    with meter(len(found)) as shown:
        for row in with_results(found, detections, durations_s):
            seconds, started = time.monotonic() - started, time.monotonic()
            batch.rows.append(
                Row(
                    row.video,
                    row.state,
                    seconds,
                    row.result,
                    error=row.error,
                    hint=row.hint,
                    exit_code=row.exit_code,
                )
            )
            if row.state == "failed":
                shown.line(failed_line(row.video, row.error, row.hint))
            elif row.result is not None and (late := past_end(row.result)):
                shown.line(f"[yellow]warning[/yellow]: {printable(late)}")
