"""`ascnet datasets`: which data sets there are, whether they are complete, and how to make them readable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascnet_cli.cli.datasets_stitch import stitch

if TYPE_CHECKING:
    from ascnet_cli.datasets.check import FeatureCheck

app = typer.Typer(
    help="Data sets: list, check, prepare, stitch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("stitch")(stitch)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
_INCOMPLETE = 5
_SHOWN = 5  # videos named for each thing that is wrong; --json has all


@app.command("list")
def list_datasets(json_output: _Json = False) -> None:
    """Which data sets ascnet knows, and which of them are here."""
    from ascnet_cli.cli.console import plain_table, printable, results
    from ascnet_cli.datasets.catalog import KNOWN, data_folder, load_annotations
    from ascnet_cli.errors import AscnetError

    rows: list[dict[str, str | int | None]] = []
    for name, known in KNOWN.items():
        row: dict[str, str | int | None] = {
            "name": name,
            "title": known.title,
            "folder": str(data_folder(name)),
            "videos": None,
            "problem": None,
        }
        try:
            row["videos"] = len(load_annotations(name).of(None))
        except AscnetError as error:
            row["problem"] = str(error)
        rows.append(row)
    if json_output:
        _print_json(rows)
        return
    table = plain_table()
    for column in ("name", "what", "videos", "folder"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        videos = "not here" if row["videos"] is None else str(row["videos"])
        table.add_row(*map(printable, (str(row["name"]), str(row["title"]), videos, str(row["folder"]))))
    results().print(table)


@app.command()
def check(
    dataset: Annotated[
        str,
        typer.Argument(metavar="NAME|FOLDER", help="See `ascnet datasets list`, or a folder of your own."),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where a known one lies; default: $ASCNET_DATA/NAME."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", metavar="DIR", help="Default: the folder `features` of the data set."),
    ] = None,
    json_output: _Json = False,
) -> None:
    """Say what is there, what is missing and what does not fit; exit code 5 if anything is wrong."""
    from ascnet_cli.cli.text import one_line, say, write_stdout
    from ascnet_cli.datasets.catalog import data_folder, load_annotations
    from ascnet_cli.datasets.check import check_features

    annotations = load_annotations(dataset, data)
    place = data or data_folder(dataset)
    if place.is_file():
        place = place.parent
    found = check_features(features or place / "features", annotations.of(None))
    if json_output:
        _print_json({"annotations": annotations.report(), "features": _as_json(found), "good": found.good})
    else:
        lines = [*annotations.report(), *_lines(found)]
        write_stdout("".join(one_line(line) + "\n" for line in lines))
    if not found.good:
        say(f"error: {found.problem or f'{dataset} is not complete'}")
        say(f"hint: {found.next_step}")
        raise typer.Exit(_INCOMPLETE)


@app.command()
def prepare(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="W-TALC's arrays, or published features.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to; default: FOLDER itself.")
    ] = None,
    fps: Annotated[
        int | None, typer.Option("--fps", min=1, help="Frames a second that the features were made at.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option("--stride", min=1, help="Frames from one row of features to the next.")
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", min=1, help="Frames that a row stands for; default: --stride.")
    ] = None,
    offset: Annotated[
        float, typer.Option("--offset", help="Frames by which a row looks later than its window's middle.")
    ] = 0.0,
    json_output: _Json = False,
) -> None:
    """Turn W-TALC's arrays into JSON and plain files, or record when published features are.

    Nothing in the arrays is run. Published I3D features of THUMOS14 and ActivityNet-1.3 are mostly made at
    25 frames a second with a stride of 16; `ascnet datasets check` tells whether that fits.
    """
    from ascnet_cli.cli.text import one_line, write_stdout
    from ascnet_cli.datasets.prepare import prepare as prepare_folder
    from ascnet_cli.errors import OptionError
    from extractors.snippets import TimeGrid

    if (fps is None) != (stride is None) or (fps is None and (window is not None or offset)):
        raise OptionError("--fps and --stride belong together", hint="give both, e.g. --fps 25 --stride 16")
    grid = None
    if fps is not None and stride is not None:
        grid = TimeGrid(stride, window or stride, fps, offset)
    done = prepare_folder(folder, out or folder, grid)
    if json_output:
        _print_json([{"path": str(path), "what": what} for path, what in done])
        return
    write_stdout("".join(f"{one_line(str(path))}: {what}\n" for path, what in done))


def _lines(found: FeatureCheck) -> list[str]:
    """The check of the features as a person reads it."""
    if found.layout is None:
        return [f"features: 0 of {found.n_videos} videos"]
    size = " or ".join(map(str, found.dims)) or "no"
    present = f"{len(found.present)} of {found.n_videos} videos"
    lines = [f"features: {present}, layout {found.layout}, {size} numbers a row"]
    lengths = [wrong.line() for wrong in found.wrong_length]
    parts = [
        ("missing", list(found.missing)),
        ("damaged", [f"{video}: {problem}" for video, problem in found.damaged]),
        ("of the wrong length", lengths),
        ("of unknown duration", list(found.unchecked)),
    ]
    for name, entries in parts:
        if entries:
            more = [f"  ... and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
            lines += [f"{name}: {len(entries)}", *(f"  {entry}" for entry in entries[:_SHOWN]), *more]
    return lines


def _as_json(found: FeatureCheck) -> dict[str, object]:
    return {
        "folder": str(found.folder),
        "layout": found.layout,
        "videos": found.n_videos,
        "present": len(found.present),
        "missing": list(found.missing),
        "damaged": [{"video": video, "error": problem} for video, problem in found.damaged],
        "wrong_length": [
            {"video": w.video, "rows": w.n_rows, "expected": w.expected, "duration_s": w.duration_s}
            for w in found.wrong_length
        ],
        "unknown_duration": list(found.unchecked),
        "dims": list(found.dims),
        "fits_fps": found.fits_fps,
        "problem": found.problem or None,
        "next_step": found.next_step or None,
    }


def _print_json(content: object) -> None:
    import json

    from ascnet_cli.cli.text import write_stdout

    write_stdout(json.dumps(content) + "\n")
