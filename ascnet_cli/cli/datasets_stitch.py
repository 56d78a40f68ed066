"""`ascnet datasets stitch`: untrimmed videos with exact annotations, made of trimmed clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.datasets.stitch import Stitching
    from ascnet_cli.datasets.stitch_clips import Clip

_SOME_FAILED, _NOTHING_DONE = 3, 4


def stitch(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIPS", help="Folders with a folder of trimmed clips a class.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the data set goes.")],
    background: Annotated[
        list[str],
        typer.Option(
            metavar="CLASS", help="A class to show between actions, never labelled; repeat for more."
        ),
    ],
    seed: Annotated[int, typer.Option(help="The same one gives the same videos.")] = 0,
    videos: Annotated[int, typer.Option(metavar="N", help="Training videos.")] = 40,
    test_videos: Annotated[int, typer.Option(metavar="N", help="Test videos.")] = 20,
    min_seconds: Annotated[float, typer.Option(help="Length of the shortest video.")] = 20.0,
    max_seconds: Annotated[float, typer.Option(help="Length of the longest video.")] = 40.0,
    max_clip_seconds: Annotated[
        float, typer.Option(help="Clips of actions up to this length stay whole; longer ones are cut.")
    ] = 10.0,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Pixels; clips are scaled to cover it and cropped.")
    ] = "340x256",
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 25,
    test_share: Annotated[
        float, typer.Option(help="Share of each class's groups that is for tests.", show_default="1/3")
    ] = 1 / 3,
    group_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="What in a clip's name says which recording it is of, in parentheses; clips of one are never"
            " on both sides of the split. Default: as in UCF101, HMDB51 and Kinetics.",
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Make untrimmed videos with exact annotations out of trimmed clips; resumes.

    DIR gets videos/, annotations.json and stitch.json, which says what each video is made of.
    Exit codes: 3 some clips could not be used, others took their places; 4 no video could be made.
    """
    from ascnet_cli.cli.console import errors, printable
    from ascnet_cli.cli.text import counted
    from ascnet_cli.datasets.stitch import draw
    from ascnet_cli.datasets.stitch_clips import DEFAULT_GROUP_PATTERN, find_clips
    from ascnet_cli.datasets.stitch_options import StitchOptions
    from ascnet_cli.errors import VideoError

    width, height = _size(size)
    options = StitchOptions(
        background=tuple(dict.fromkeys(background)),
        seed=seed,
        n_train=videos,
        n_test=test_videos,
        min_s=min_seconds,
        max_s=max_seconds,
        max_clip_s=max_clip_seconds,
        width=width,
        height=height,
        fps=fps,
        test_share=test_share,
    )
    try:
        found = find_clips(clips, DEFAULT_GROUP_PATTERN if group_pattern is None else group_pattern)
        errors().print(f"looking at up to {counted(len(found), 'clip')}")
        with _looking(len(found)) as looking:
            stitching = draw(found, options, looking)
    except VideoError as error:
        error.exit_code = _NOTHING_DONE
        raise
    for bad in stitching.bad_clips:
        errors().print(f"[yellow]warning[/yellow]: {printable(bad.clip)}: {printable(bad.error)}")
    n_kept = _write(stitching, out)
    _report(stitching, out, n_kept, json_output=json_output)
    if stitching.bad_clips:
        raise typer.Exit(_SOME_FAILED)


def _size(text: str) -> tuple[int, int]:
    """Width and height out of `340x256`."""
    from ascnet_cli.errors import OptionError

    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(f"{text!r} is no size", hint="give width and height in pixels, e.g. --size 340x256")
    return int(parts[0]), int(parts[1])


@contextmanager
def _looking(n_clips: int) -> Iterator[Callable[[Clip], None]]:
    """Show how many clips are read: those that are drawn, all of them at most."""
    from ascnet_cli.cli.console import meter

    n_seen = 0
    with meter(1, unit="clips", rate="/s") as shown:
        report = shown.item("clips", 1)

        def looking(_clip: Clip) -> None:
            nonlocal n_seen
            report(n_seen, n_clips)
            n_seen += 1

        yield looking


def _write(stitching: Stitching, out: Path) -> int:
    """Make the videos, a line each; how many had been there."""
    from ascnet_cli.cli.console import meter, printable
    from ascnet_cli.cli.text import counted
    from ascnet_cli.datasets.stitch import write

    n_kept = 0
    index = {video.name: number for number, video in enumerate(stitching.videos, start=1)}
    with meter(len(index)) as shown:
        for video, kept in write(stitching, out, lambda video: shown.item(video.name, index[video.name])):
            n_kept += kept
            actions = counted(len(video.instances), "action")
            length_s = video.n_frames / video.fps
            names = ", ".join(sorted({instance.label for instance in video.instances}))
            state = "up to date" if kept else f"{length_s:.1f} s, {actions} ({printable(names)})"
            shown.line(f"{video.name}: {state}")
    return n_kept


def _report(stitching: Stitching, out: Path, n_kept: int, *, json_output: bool) -> None:
    """How many actions of each class there are, and how it went."""
    import json

    from ascnet_cli.cli.console import plain_table, printable, results
    from ascnet_cli.cli.text import counted, say, write_stdout
    from ascnet_cli.datasets.stitch import instance_counts

    counts = instance_counts(stitching.videos)
    n_videos = len(stitching.videos)
    if json_output:
        summary = {
            "done": n_videos - n_kept,
            "up_to_date": n_kept,
            "bad_clips": [{"clip": bad.clip, "error": bad.error} for bad in stitching.bad_clips],
            "instances": counts,
            "out": str(out),
        }
        write_stdout(json.dumps(summary) + "\n")
    else:
        table = plain_table()
        table.add_column("class", no_wrap=True)
        for subset in counts:
            table.add_column(subset, justify="right")
        for label in sorted({label for by_class in counts.values() for label in by_class}):
            table.add_row(printable(label), *(str(by_class.get(label, 0)) for by_class in counts.values()))
        results().print(table)
    bad = f", {counted(len(stitching.bad_clips), 'clip')} passed over" if stitching.bad_clips else ""
    length_min = sum(video.n_frames / video.fps for video in stitching.videos) / 60
    done = f"{n_videos - n_kept} of {counted(n_videos, 'video')} done, {n_kept} up to date"
    say(f"{done}{bad}: {length_min:.1f} min in {out}")
