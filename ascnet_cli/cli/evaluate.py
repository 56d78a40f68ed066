"""`ascnet evaluate`: how good segments are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.evaluation.detection import EvaluationResult
    from ascnet_cli.evaluation.diagnosis import Diagnosis
    from ascnet_cli.evaluation.protocols import Protocol

_DIAGNOSIS_TIOU = 0.5


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="FILE", help="Segments: .csv or .json, as `ascnet detect` writes them.")
    ],
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="thumos14, activitynet13, annotations in ActivityNet's JSON, or a folder with them.",
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="thumos14-210, thumos14-212, wtalc, activitynet13 or custom; default: the data set's, or"
            " custom. With a path it also says whose annotations these are.",
        ),
    ] = None,
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
    per_class: Annotated[bool, typer.Option("--per-class", help="A row a class, too.")] = False,
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
    diagnose: Annotated[
        bool,
        typer.Option("--diagnose", help="Sort false positives by kind; recall by the length of instances."),
    ] = False,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw mAP and diagnosis there (pip install 'ascnet[plots]')."),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, not a table.")
    ] = False,
) -> None:
    """Judge segments by annotations: mean average precision at thresholds on temporal IoU.

    Exit codes: 0 done; 2 usage; 5 predictions or annotations missing, damaged, or with unknown names;
    6 disk or memory.
    """
    from ascnet_cli.evaluation.protocols import parse_tious, protocol_named, protocol_of

    chosen = protocol_named(
        protocol or protocol_of(dataset).name, None if tiou is None else parse_tious(tiou)
    )
    if plots is not None:
        from ascnet_cli.evaluation.plots import check_plots

        check_plots(plots)

    from ascnet_cli.cli.judging import open_truth, say_case
    from ascnet_cli.outputs.files import read_file

    found = read_file(predictions)
    truth = open_truth(dataset, data, chosen, videos)
    case = truth.case(found, ignore_unknown=ignore_unknown)
    result = case.evaluate()
    say_case(case, result, truth.annotations)
    diagnosis = None
    if diagnose or plots is not None:
        from ascnet_cli.evaluation.diagnosis import diagnose as diagnose_case

        diagnosis = diagnose_case(case, _DIAGNOSIS_TIOU)
    if plots is not None and diagnosis is not None:
        from ascnet_cli.cli.text import say
        from ascnet_cli.evaluation.plots import write_plots

        for path in write_plots(plots, chosen.name, result, diagnosis):
            say(f"wrote {path}")
    shown = diagnosis if diagnose else None
    if json_output:
        import json

        from ascnet_cli.cli.text import write_stdout
        from ascnet_cli.evaluation.summary import summary

        write_stdout(json.dumps(summary(case, result, shown)) + "\n")
        return
    _print_result(chosen, result, per_class=per_class)
    if shown is not None:
        _print_diagnosis(shown)


def _print_result(protocol: Protocol, result: EvaluationResult, *, per_class: bool) -> None:
    from ascnet_cli.cli.console import plain_table, printable, results
    from ascnet_cli.evaluation.protocols import mean_over

    ranges = [bounds for bounds in protocol.means if mean_over(result.tious, result.map, *bounds) is not None]
    titles = [f"{tiou:g}" for tiou in result.tious]
    titles += [f"{first:g}:{last:g}" for first, last in ranges]

    def add(name: str, n_instances: int, values: Sequence[float]) -> None:
        means = [mean_over(result.tious, values, *bounds) for bounds in ranges]
        numbers = [*values, *means, sum(values) / len(values)]
        table.add_row(printable(name), str(n_instances), *map(_fraction, numbers))

    table = plain_table()
    table.add_column("class", no_wrap=True)
    for title in ("instances", *titles, "average"):
        table.add_column(title, justify="right", no_wrap=True)
    if per_class:
        for label, values in result.per_class.items():
            add(label, result.instances[label], values)
    add("mAP", sum(result.instances.values()), result.map)
    results().print(table)


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    from ascnet_cli.cli.console import plain_table, results

    total = sum(map(sum, diagnosis.counts.values()))
    table = plain_table()
    table.add_column(f"predictions at tIoU {diagnosis.tiou:g}", no_wrap=True)
    for title in ("number", "share", "mAP gained without"):
        table.add_column(title, justify="right", no_wrap=True)
    for kind, counts in diagnosis.counts.items():
        share = sum(counts) / total if total else None
        gain = diagnosis.gains.get(kind)
        table.add_row(kind, str(sum(counts)), _fraction(share), _fraction(gain))
    lengths = plain_table()
    lengths.add_column("recall of instances", no_wrap=True)
    for title in ("instances", *(f"{tiou:g}" for tiou in diagnosis.tious)):
        lengths.add_column(title, justify="right", no_wrap=True)
    for length in diagnosis.lengths:
        cells: Sequence[float | None] = length.recall or [None] * len(diagnosis.tious)
        lengths.add_row(length.name, str(length.n_instances), *map(_fraction, cells))
    console = results()
    for shown in (table, lengths):
        console.print()
        console.print(shown)
