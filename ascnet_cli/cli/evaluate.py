"""`ascnet evaluate`: how good segments are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.datasets.annotations import Annotations
    from ascnet_cli.evaluation.detection import EvaluationResult
    from ascnet_cli.evaluation.diagnosis import Diagnosis
    from ascnet_cli.evaluation.protocols import Case, Protocol

_DATASET_OF = {
    "thumos14-210": "thumos14",
    "thumos14-212": "thumos14",
    "wtalc": "thumos14",
    "activitynet13": "activitynet13",
}
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
    from ascnet_cli.evaluation.protocols import parse_tious, prepare, protocol_named, protocol_of

    chosen = protocol_named(
        protocol or protocol_of(dataset).name, None if tiou is None else parse_tious(tiou)
    )
    if plots is not None:
        from ascnet_cli.evaluation.plots import check_plots

        check_plots(plots)

    from ascnet_cli.datasets.annotations import ground_truth
    from ascnet_cli.outputs.files import read_file

    found = read_file(predictions)
    annotations = _annotations(dataset, data, chosen)
    judged = annotations.judged()
    if videos is not None:
        wanted = _listed(videos, {video.video for video in annotations.videos})
        judged = tuple(video for video in annotations.videos if video.video in wanted)
    case = prepare(
        chosen,
        ground_truth(judged),
        found,
        known_videos=[video.video for video in annotations.videos],
        classes=annotations.classes,
        ambiguous={video.video: video.ambiguous for video in annotations.videos},
        ignore_unknown=ignore_unknown,
    )
    result = case.evaluate()
    _say_case(case, result, annotations)
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

        write_stdout(json.dumps(summary(case, result, shown)) + "\n")
        return
    _print_result(chosen, result, per_class=per_class)
    if shown is not None:
        _print_diagnosis(shown)


def summary(case: Case, result: EvaluationResult, diagnosis: Diagnosis | None = None) -> dict[str, object]:
    """The object that `--json` prints; `diagnosis` is in it only where it was asked for."""
    document: dict[str, object] = {
        "protocol": case.protocol.name,
        "tiou": list(result.tious),
        "map": list(result.map),
        "average": result.average,
        "per_class": {label: list(values) for label, values in result.per_class.items()},
        "videos_evaluated": result.n_videos,
        "unknown_labels": list(case.unknown_labels),
        "unknown_videos": list(case.unknown_videos),
    }
    if diagnosis is not None:
        document["diagnosis"] = {
            "tiou": diagnosis.tiou,
            "predictions": {kind: list(counts) for kind, counts in diagnosis.counts.items()},
            "gains": dict(diagnosis.gains),
            "recall": [
                {
                    "from_s": length.from_s,
                    "to_s": None if length is diagnosis.lengths[-1] else length.to_s,
                    "instances": length.n_instances,
                    "recall": list(length.recall) or None,
                }
                for length in diagnosis.lengths
            ],
        }
    return document


def _annotations(dataset: str, data: Path | None, protocol: Protocol) -> Annotations:
    """The annotations, whole: what is dropped is for the protocol to say."""
    from dataclasses import replace

    from ascnet_cli.datasets.catalog import KNOWN, load_annotations
    from ascnet_cli.errors import OptionError

    name = _DATASET_OF.get(protocol.name)
    if dataset in KNOWN and name not in (None, dataset):
        raise OptionError(
            f"{protocol.name} is no protocol of {dataset}", hint=f"leave it out, or --dataset {name}"
        )
    if data is not None and dataset not in KNOWN:
        raise OptionError(
            "--data says where a known data set lies", hint=f"leave it out: --dataset {dataset} is a path"
        )
    known = dataset if dataset in KNOWN else name
    if known is None:
        return load_annotations(dataset)
    place = data if dataset in KNOWN else Path(dataset)
    return load_annotations(known, place, replace(KNOWN[known].policies, known_bad="keep"))


def _listed(path: Path, known: set[str]) -> set[str]:
    """The names in a list of videos.

    Raises:
        PredictionsError: it cannot be read, is empty, or names videos that are not annotated.
    """
    from ascnet_cli.datasets.activitynet_json import read_text
    from ascnet_cli.errors import PredictionsError

    names = {line.strip() for line in read_text(path).splitlines() if line.strip()}
    strange = sorted(names - known)
    if strange or not names:
        shown = ", ".join(map(repr, strange[:20])) + (", ..." if len(strange) > 20 else "")
        raise PredictionsError(
            f"{path}: videos that are not annotated ({len(strange)}): {shown}"
            if names
            else f"{path} is empty",
            hint="write a name a line, equal to the letter to that in the annotations",
        )
    return names


def _say_case(case: Case, result: EvaluationResult, annotations: Annotations) -> None:
    """What was judged, and what was not, on standard error."""
    from ascnet_cli.cli.text import counted, say

    if annotations.findings:
        rules = ", ".join(f"{finding.rule} {finding.count}" for finding in annotations.findings)
        say(f"annotations: {rules} (`ascnet datasets check` says where)")
    say(f"protocol {case.protocol.name}: {case.protocol.note}".removesuffix(": "))
    say(f"evaluated: {annotations.name}, {case.description()}")
    if case.n_dropped:
        say(f"left out by the protocol: {counted(case.n_dropped, 'video')}")
    if case.n_silent:
        say(f"without any prediction: {counted(case.n_silent, 'video')}")
    if case.n_elsewhere:
        say(f"left out, in videos that are not evaluated: {counted(case.n_elsewhere, 'prediction')}")
    if case.n_ambiguous:
        say(f"deleted, in ambiguous intervals: {counted(case.n_ambiguous, 'prediction')}")
    if case.n_unknown:
        say(f"false positives with an unknown label or video: {counted(case.n_unknown, 'prediction')}")
    for what, names in (("labels", case.unknown_labels), ("videos", case.unknown_videos)):
        if names:
            say(f"unknown {what}: {', '.join(map(repr, names))}")
    if result.absent_classes:
        say(f"classes without an instance here, not in the mean: {', '.join(result.absent_classes)}")


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
