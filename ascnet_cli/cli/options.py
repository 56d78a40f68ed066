"""Options that `ascnet detect` and `ascnet render` share: what is to be written, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.targets import Wanted
    from extractors.video import Limits

STDOUT = "-"

MaxPixels = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Videos with larger pictures are refused; default: 33177600 (7680x4320). A picture takes three"
        " bytes a pixel, and several are held at once.",
    ),
]
MaxDamage = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION",
        help="Videos of which more cannot be read are refused; default: 0.05 of their packets. What is"
        " missing is filled with the pictures beside it.",
    ),
]

Out = Annotated[
    list[str] | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE|FOLDER/",
        help="Where to write the segments; may be given several times. The ending says the format: .csv,"
        " .json (ActivityNet), .srt, .vtt, .eaf (ELAN), .label-studio.json or .ffmeta (chapters). A folder,"
        " with --format: FOLDER/segments.csv, or FOLDER/VIDEO.srt for formats that hold one video (srt, vtt,"
        " eaf, chapters). - is standard output, as CSV.",
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="NAMES",
        help="csv, json, srt, vtt, eaf, label-studio, chapters: one for a file whatever its ending, or any"
        " number for a folder, with commas between them.",
    ),
]
Video = Annotated[
    str | None,
    typer.Option(
        "--video",
        metavar="FILE|FOLDER/",
        help="Write the video with its segments drawn in (.mp4); a folder for several.",
    ),
]
Clips = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Write one file a segment, cut exactly: VIDEO__LABEL__START-END.mp4."
    ),
]
ClipsCopy = Annotated[
    bool,
    typer.Option("--clips-copy", help="Cut clips fast at the nearest key frames, without encoding anew."),
]
Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="Write a page for the browser: video, timeline, curves, table."),
]
Embed = Annotated[
    bool, typer.Option("--embed", help="Put the videos into the page; otherwise it links to them.")
]
Truth = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Annotations in ActivityNet's JSON, shown in the page beside the segments."
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        metavar="RATE", help="Frame rate for label-studio, which counts frames; default: the video's own."
    ),
]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe",
        help="In CSV, put ' before names and labels that a spreadsheet would take for a formula.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace files that are there and do not look as ascnet writes them; files of segments are kept"
        " as NAME~.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--labels", metavar="NAMES", help="Keep these classes alone: names with commas between them."
    ),
]


def limits_of(max_pixels: int | None, max_damage: float | None) -> Limits:
    """How large and how damaged a video may be; None: as by default.

    Raises:
        OptionError: a number out of its range.
    """
    from extractors.video import LIMITS, Limits

    return Limits(
        LIMITS.max_pixels if max_pixels is None else max_pixels,
        LIMITS.max_damage if max_damage is None else max_damage,
    )


def wanted_of(
    out: Sequence[str] | None,
    formats: Sequence[str] | None,
    *,
    json_summary: bool,
    video: str | None = None,
    clips: Path | None = None,
    clips_copy: bool = False,
    report: Path | None = None,
    embed: bool = False,
    truth: Path | None = None,
    fps: float | None = None,
    spreadsheet_safe: bool = False,
    force: bool = False,
) -> Wanted:
    """What a person asked for, with its places checked, before any work is done.

    Raises:
        OptionError: options that contradict each other, or an unknown format.
        OutputError: a file cannot be written, or one is there that would be lost.
    """
    from ascnet_cli.errors import OptionError
    from ascnet_cli.targets import Place, Wanted, check_places, text_targets

    outs = list(out or ())
    names = listed(formats, "--format", "csv,srt")
    stdout = None
    if STDOUT in outs:
        if json_summary:
            raise OptionError("--out - and --json both want standard output", hint="name a file with --out")
        outs.remove(STDOUT)
        stdout = _stdout_format(outs, names)
        names = names if outs else ()
    if video == "":
        raise OptionError("--video is empty", hint="name a file or a folder")
    wanted = Wanted(
        texts=text_targets(outs, names),
        stdout=stdout,
        video=None if video is None else Place.of(video),
        clips=clips,
        clips_copy=clips_copy,
        report=report,
        embed=embed,
        truth=truth,
        fps=fps,
        spreadsheet_safe=spreadsheet_safe,
        force=force,
    )
    check_places(wanted)
    return wanted


def listed(texts: Sequence[str] | None, option: str, example: str) -> tuple[str, ...]:
    """Names with commas between them; the option may be given several times.

    Raises:
        OptionError: it was given, and names nothing.
    """
    from ascnet_cli.errors import OptionError

    if not texts:
        return ()
    names = tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
    if not names:
        what = "class" if option == "--labels" else "format"
        raise OptionError(f"{option} names no {what}", hint=f'for example {option} "{example}"')
    return names


def check_min_score(min_score: float | None) -> None:
    """Hold that a bound is a number.

    Raises:
        OptionError: it is none.
    """
    import math

    from ascnet_cli.errors import OptionError

    if min_score is not None and not math.isfinite(min_score):
        raise OptionError(f"--min-score must be a number, not {min_score}", hint="for example 0.3")


def _stdout_format(others: Sequence[str], names: Sequence[str]) -> str:
    """The format on standard output: the one that is named for it alone, else CSV."""
    from ascnet_cli.errors import OptionError
    from ascnet_cli.outputs.files import format_of

    if STDOUT in others:
        raise OptionError("--out - is there twice", hint="standard output takes one format")
    if len(names) > 1 and not others:
        raise OptionError(
            f"standard output cannot have the formats {' and '.join(names)}",
            hint="name a folder with --out FOLDER/",
        )
    return format_of(Path("segments.csv"), names[0] if names and not others else None)
