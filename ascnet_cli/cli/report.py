"""`ascnet report`: results side by side, or a training, on a page for the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.cli.judging import JudgedTruth
    from ascnet_cli.evaluation.comparison import Comparison, Side
    from ascnet_cli.evaluation.timelines import Chosen

# Not `report.html`, which is what a report of `ascnet detect` would be called in the same folder.
_PAGE = Path("comparison.html")


def report(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]FILE...",
            help="Segments, .csv or .json; a run's folder stands for its predictions.json. Without --dataset:"
            " one run's folder.",
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="By what to judge, as in `ascnet evaluate`."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The page; default: comparison.html, or a run's report.html."
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also the videos over time alone: .svg, or .png with matplotlib."),
    ] = None,
    video: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A video to show over time; may be repeated. Default: a telling few."
        ),
    ] = None,
    protocol: Annotated[str | None, typer.Option(metavar="NAME", help="As in `ascnet evaluate`.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where a known one lies; default: $ASCNET_DATA/NAME."),
    ] = None,
    tiou: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="0.5:0.95:0.05 (both ends included) or 0.3,0.5; else the protocol's."
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Evaluate the videos of this list alone: a name a line."),
    ] = None,
    ignore_unknown: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown", help="Count unknown labels and videos as false positives, not as an error."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a page or figure that something else made.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output.")
    ] = False,
) -> None:
    """Show results beside each other and beside the truth, or how a training went, on one page.

    The page holds all that it needs, and may be mailed and opened from the disk. `ascnet report FILE...
    --dataset NAME` has mAP over tIoU, classes, kinds of errors, and videos over time for each file; `ascnet
    report runs/NAME` draws a run's report.html anew.

    Exit codes: 0 done; 2 usage; 5 predictions, annotations or run missing, damaged, or with unknown names;
    6 disk or memory.
    """
    given = {
        "--figure": figure, "--video": video, "--protocol": protocol, "--data": data, "--tiou": tiou,
        "--videos": videos, "--ignore-unknown": ignore_unknown or None,
    }  # fmt: skip
    if dataset is None:
        options = [name for name, value in given.items() if value is not None]
        _report_run(results, out, options, force=force, json_output=json_output)
        return
    from ascnet_cli.cli.result_names import named_files

    files = named_files(results)
    page = out or _PAGE
    _check_targets(page, figure, [*files.values(), Path(dataset), *([videos] if videos else [])], force=force)

    from ascnet_cli.cli.judging import open_truth
    from ascnet_cli.evaluation.protocols import parse_tious, protocol_named, protocol_of

    chosen = protocol_named(
        protocol or protocol_of(dataset).name, None if tiou is None else parse_tious(tiou)
    )
    truth = open_truth(dataset, data, chosen, videos)
    sides = [_side(name, path, truth, ignore_unknown=ignore_unknown) for name, path in files.items()]
    comparison = _comparison(truth, sides, video or ())
    written = _write(comparison, page, figure, one_alone=not video)
    if json_output:
        _print_json(comparison, written)


def _check_targets(page: Path, figure: Path | None, reads: Sequence[Path], *, force: bool) -> None:
    """Hold, before any work is done, that everything can be written and nothing is lost.

    Raises:
        OptionError: matplotlib is asked for and not installed, or a file that is read would be replaced.
        OutputError: a folder is missing or cannot be written to, or something else's file is there.
    """
    from ascnet_cli.cli.report_targets import FIGURES, PAGES, check_target
    from ascnet_cli.errors import OptionError

    check_target(page, PAGES, reads, force=force)
    if figure is None:
        return
    if figure.resolve() == page.resolve():
        raise OptionError(f"{figure} is the page, too", hint="give the figure another name")
    check_target(figure, FIGURES, reads, force=force)
    if figure.suffix.lower() == ".png":
        from ascnet_cli.outputs.charts.raster import check_raster

        check_raster()


def _side(name: str, path: Path, truth: JudgedTruth, *, ignore_unknown: bool) -> Side:
    """One result, judged; what was not is said on standard error.

    Raises:
        PredictionsError: it is missing or damaged, or has unknown names.
    """
    from ascnet_cli.cli.judging import prediction_lines
    from ascnet_cli.cli.text import say
    from ascnet_cli.errors import PredictionsError
    from ascnet_cli.evaluation.comparison import Side
    from ascnet_cli.evaluation.diagnosis import diagnose
    from ascnet_cli.evaluation.timelines import TIOU
    from ascnet_cli.outputs.files import read_file

    found = read_file(path)
    try:
        case = truth.case(found, ignore_unknown=ignore_unknown)
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}", hint=error.hint) from error
    result = case.evaluate()
    say(f"{name}: mAP {result.average:.3f}, the average over tIoU")
    for line in prediction_lines(case):
        say(f"{name}: {line}")
    return Side(name, found, case, result, diagnose(case, TIOU))


def _comparison(truth: JudgedTruth, sides: Sequence[Side], wanted: Sequence[str]) -> Comparison:
    from ascnet_cli.cli.judging import absent_lines, prediction_lines, truth_lines
    from ascnet_cli.cli.text import say
    from ascnet_cli.datasets.annotations import ground_truth
    from ascnet_cli.evaluation.comparison import Comparison
    from ascnet_cli.evaluation.timelines import telling_videos

    case, annotations = sides[0].case, truth.annotations
    evaluated = set(case.evaluated)
    seen = {video: said for video, said in ground_truth(truth.judged).items() if video in evaluated}
    results = {side.name: side.found for side in sides}
    shown = _asked_for(wanted, seen) if wanted else telling_videos(seen, results)
    lines = [*truth_lines(case, annotations), *absent_lines(sides[0].result)]
    for line in lines:
        say(line)
    return Comparison(
        dataset=annotations.name,
        sides=tuple(sides),
        truth=seen,
        durations_s={v.video: v.duration_s for v in truth.judged if v.duration_s is not None},
        videos=shown,
        notes=(*lines, *(f"{side.name}: {line}" for side in sides for line in prediction_lines(side.case))),
    )


def _asked_for(wanted: Sequence[str], evaluated: Mapping[str, object]) -> tuple[Chosen, ...]:
    """The videos of `--video`, each once.

    Raises:
        PredictionsError: one is not evaluated.
    """
    import difflib

    from ascnet_cli.errors import PredictionsError
    from ascnet_cli.evaluation.timelines import Chosen

    for video in wanted:
        if video not in evaluated:
            near = difflib.get_close_matches(video, evaluated, n=1)
            raise PredictionsError(
                f"the video {video!r} is not evaluated",
                hint=f"did you mean {near[0]}?" if near else "names must be equal to the letter",
            )
    return tuple(Chosen(video, "") for video in dict.fromkeys(wanted))


def _write(comparison: Comparison, page: Path, figure: Path | None, *, one_alone: bool) -> list[Path]:
    """The page, and the figure: of the videos asked for, or of the first that was chosen."""
    from dataclasses import replace

    from ascnet_cli.cli.text import say
    from ascnet_cli.evaluation.comparison import timelines_figure, write_comparison
    from weights.atomic import replacing

    written = [write_comparison(comparison, page)]
    if figure is not None:
        drawing = timelines_figure(
            replace(comparison, videos=comparison.videos[:1]) if one_alone else comparison
        )
        with replacing(figure) as file:
            if figure.suffix.lower() == ".png":
                from ascnet_cli.outputs.charts.raster import write_png

                write_png(drawing, file)
            else:
                from ascnet_cli.outputs.charts.svg import to_svg

                file.write(to_svg(drawing).encode())
        written.append(figure)
    for path in written:
        say(f"wrote {path}")
    return written


def _print_json(comparison: Comparison, written: Sequence[Path]) -> None:
    import json

    from ascnet_cli.cli.text import write_stdout
    from ascnet_cli.evaluation.summary import summary

    document = {
        "out": str(written[0]),
        "figure": str(written[1]) if len(written) > 1 else None,
        "videos": [chosen.video for chosen in comparison.videos],
        "results": [
            {"name": side.name, **summary(side.case, side.result, side.diagnosis)}
            for side in comparison.sides
        ],
    }
    write_stdout(json.dumps(document) + "\n")


def _report_run(
    results: Sequence[str], out: Path | None, options: Sequence[str], *, force: bool, json_output: bool
) -> None:
    """A training's page, from its folder.

    Raises:
        OptionError: what is given are no runs, or options that need a data set.
        CheckpointError: the folder holds no run, or a damaged one.
    """
    from ascnet_cli.cli.report_targets import PAGES, check_target
    from ascnet_cli.errors import OptionError

    if len(results) == 1 and not Path(results[0]).exists():
        raise OptionError(f"there is no {results[0]}", hint="name a run's folder, or files and --dataset")
    if len(results) != 1 or not Path(results[0]).is_dir():
        raise OptionError(
            "--dataset is missing: by what to judge the results",
            hint="as in `ascnet evaluate`; without it, name the folder of one run",
        )
    if options:
        raise OptionError(
            f"{', '.join(options)} needs --dataset", hint=f"leave it out to report on the run {results[0]}"
        )

    if out is not None:
        check_target(out, PAGES, (), force=force)

    from ascnet_cli.cli.text import say, write_stdout
    from ascnet_cli.training.report import write_report

    written = write_report(Path(results[0]), out)
    say(f"wrote {written}")
    if json_output:
        import json

        write_stdout(json.dumps({"out": str(written)}) + "\n")
