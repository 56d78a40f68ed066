"""`ascnet detect`: video files in, segments out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascnet_cli.cli import options

if TYPE_CHECKING:
    from ascnet_cli.cli.batch import Batch
    from ascnet_cli.cli.console import Report
    from ascnet_cli.detect import DetectOptions, VideoOutcome
    from ascnet_cli.detector import Detector
    from ascnet_cli.inputs import VideoInput


def detect(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Videos, kept features (.npy), or folders of either.",
            show_default=False,
        ),
    ],
    out: options.Out = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="kinetics400 (400 everyday and sports actions), mocap (the movements of the shipped"
            " example), or the path of an ASC-Net checkpoint.",
        ),
    ] = "kinetics400",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    labels: options.Labels = None,
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
    output_format: options.Formats = None,
    video: options.Video = None,
    clips: options.Clips = None,
    clips_copy: options.ClipsCopy = False,
    report: options.Report = None,
    embed: options.Embed = False,
    truth: options.Truth = None,
    fps: options.Fps = None,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    force: options.Force = False,
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
    max_pixels: options.MaxPixels = None,
    max_damage: options.MaxDamage = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count a truncated video as failed.")] = False,
    json_summary: Annotated[
        bool, typer.Option("--json", help="Print one JSON summary on standard output, not a table.")
    ] = False,
) -> None:
    """Find the actions in videos and write when they happen.

    Files of a run before are replaced; one of segments that had another content is kept as NAME~. One that
    something else wrote is not replaced, unless with --force.

    Exit codes: 0 all done; 2 usage; 3 some videos failed, the rest done; 4 none succeeded; 5 weights or
    features missing, damaged or of the wrong recipe; 6 disk or memory; 130 Ctrl-C; 143 SIGTERM.
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
    _check_inputs(inputs)
    options.check_min_score(min_score)

    from ascnet_cli.cli.batch import Batch
    from ascnet_cli.cli.console import errors
    from ascnet_cli.cli.text import passed_over, say
    from ascnet_cli.errors import DeviceError, VideoError
    from ascnet_cli.features_out import check_features_out
    from ascnet_cli.inputs import FEATURE_ENDING, find
    from ascnet_cli.targets import Source, plan

    limits = options.limits_of(max_pixels, max_damage)
    own = [] if wanted.video is None else [wanted.video.path]
    own += [] if wanted.clips is None else [wanted.clips]
    try:
        found = find([Path(name) for name in inputs], own)
    except VideoError as error:
        error.exit_code = 4  # nothing to do is nothing done
        raise
    videos = found.videos
    sources = [Source(v.name, None if v.path.suffix == FEATURE_ENDING else v.path) for v in videos]
    reads = [v.path for v in videos] + ([truth] if truth is not None else [])
    batch = Batch(plan(wanted, sources, reads), len(videos), json_summary)
    if features_out is not None:
        check_features_out(features_out, videos, batch.plan)
    if found.n_other:
        say(passed_over(found.n_other))
    batch.begin()

    from ascnet_cli.detect import DetectOptions
    from ascnet_cli.detector import load_detector

    detector = load_detector(model, device=device, decoder=decoder, limits=limits, engine=engine, apart=True)
    if device == "auto":
        errors().print(f"device: {detector.device}")
    asked = DetectOptions(
        min_score=min_score,
        labels=kept,
        features_out=features_out,
        strict=strict,
        curves=report is not None,
    )
    try:
        _detect(batch, videos, detector, asked)
    except BaseException as stop:
        # Ctrl-C, SIGTERM, a full disk: what is finished is not lost.
        if batch.rows or not isinstance(stop, Exception):
            batch.write()
            batch.show(stopped=True)
        if isinstance(stop, DeviceError):  # it was there, so nothing was asked for wrongly
            stop.exit_code = 3 if any(row.state == "done" for row in batch.rows) else 4
        raise
    batch.finish()
    raise typer.Exit(batch.exit_code())


def _check_inputs(inputs: Sequence[str]) -> None:
    from ascnet_cli.errors import OptionError

    if "" in inputs:
        raise OptionError("a file name is empty", hint="is a variable of your shell not set?")


def _detect(batch: Batch, videos: Sequence[VideoInput], detector: Detector, asked: DetectOptions) -> None:
    """Look at every video and say a line about each."""
    from ascnet_cli.cli.batch import Row
    from ascnet_cli.cli.console import meter
    from ascnet_cli.detect import detect_all

    with meter(len(videos)) as shown:

        def progress(video: VideoInput) -> Report:
            return shown.item(video.name, len(batch.rows) + 1)

        for outcome in detect_all(videos, detector, asked, progress=progress):
            batch.rows.append(
                Row(
                    outcome.video,
                    outcome.state,
                    outcome.seconds,
                    outcome.result,
                    outcome.curves,
                    outcome.error,
                    outcome.hint,
                    outcome.exit_code,
                )
            )
            shown.line(_outcome_lines(outcome))


def _outcome_lines(outcome: VideoOutcome) -> str:
    """What became of one video, in rich's markup: one line, and one a warning."""
    from ascnet_cli.cli.batch import failed_line
    from ascnet_cli.cli.console import printable
    from ascnet_cli.cli.text import counted

    name = printable(outcome.video)
    result = outcome.result
    if result is None:
        return failed_line(outcome.video, outcome.error, outcome.hint)
    speed = f"{outcome.seconds:.1f} s, {result.duration_s / max(outcome.seconds, 1e-9):.1f}x"
    how = "; ".join(["from kept features" if outcome.kept else speed, *map(printable, outcome.notes)])
    lines = [
        f"{name}: {counted(len(result.detections), 'segment')} in {result.duration_s:.1f} s of video ({how})"
    ]
    lines += [f"[yellow]warning[/yellow]: {name}: {printable(warning)}" for warning in outcome.warnings]
    return "\n".join(lines)
