"""report.html in a run's folder: how the training goes, and what came of it; several seeds together.

It is made from the folder alone, and so can be made again at any time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ascnet_cli.errors import CheckpointError
from ascnet_cli.evaluation.charts import class_chart, class_table, curve_chart
from ascnet_cli.outputs.charts.drawing import INK, Drawing
from ascnet_cli.outputs.charts.lines import Axis, Line, line_chart
from ascnet_cli.outputs.charts.looks import Look, look, sample
from ascnet_cli.outputs.charts.page import write_page
from ascnet_cli.outputs.charts.scale import clock
from ascnet_cli.outputs.charts.tables import Cell, Table, fraction
from ascnet_cli.training.history import Curve, RunHistory, mean_curve, read_history, seed_folders

PAGE = "report.html"
_TERM_WIDTH, _TERM_HEIGHT = 340.0, 210.0
_MEAN = Look(INK, (), "circle")
_TERMS = {
    "total": "total", "fg": "foreground (fg)", "ct": "context (ct)", "bg": "background (bg)",
    "nce": "contrast (nce)", "gui": "guidance (gui)",
}  # fmt: skip


def draw_report(folder: Path, notes: Callable[[str], None] | None) -> None:
    """Write a run's page; whatever goes wrong is a note and nothing more, for a training must not end by it.

    Args:
        folder: as `write_report` takes it.
        notes: called with what went wrong.
    """
    try:
        write_report(folder)
    except Exception as error:  # noqa: BLE001 - a picture is never worth a training
        if notes is not None:
            notes(f"{folder / PAGE} was not drawn: {error}")


def write_report(folder: Path, path: Path | None = None) -> Path:
    """Write the page of a run, or of the runs of several seeds.

    Args:
        folder: a run's, or one with `seed-N` folders in it.
        path: the page; None: `report.html` in the folder.

    Raises:
        CheckpointError: there is no run, or it is damaged.
        OutputError: the page cannot be written.
        StorageError: the disk is full or broken.
    """
    seeds = seed_folders(folder)
    if not seeds and not (folder / "config.toml").is_file():
        raise CheckpointError(f"{folder} holds no run", hint="name the folder that `ascnet train` wrote")
    histories = [read_history(run) for run in seeds or (folder,)]
    return write_page(path or folder / PAGE, "training.html", page_values(folder, histories))


def page_values(folder: Path, histories: Sequence[RunHistory]) -> dict[str, Any]:
    """What the page's template asks for.

    Args:
        folder: the run's, or that of all seeds.
        histories: at least one; of the same settings but for the seed.
    """
    first = histories[0]
    tested = [(f"seed {one.seed}", one.test) for one in histories if one.test is not None]
    looks = [look(number) for number in range(len(histories))]
    several = len(histories) > 1
    seeds = [
        (f"seed {one.seed}", sample(style, lines=True)) for one, style in zip(histories, looks, strict=True)
    ]
    return {
        "title": f"Training {folder.resolve().name}",
        "about": list(_about(histories)),
        "notes": list(dict.fromkeys(note for one in histories for note in one.notes)),
        "several": several,
        "seeds": [*seeds, *([("mean", sample(_MEAN, lines=True))] if several else [])],
        "runs": _runs(histories),
        "validation": _validation(histories, looks),
        "curve": _test_curve(tested, looks) if tested else None,
        "total": _term("total", histories, looks) if not tested and "total" in first.losses else None,
        "terms": [_term(name, histories, looks) for name in first.losses],
        "classes": _classes([test for _, test in tested]),
        "class_choices": _choices([test for _, test in tested]),
        "class_table": _class_table(tested),
        "settings": _settings(histories),
    }


def _about(histories: Sequence[RunHistory]) -> Iterator[tuple[str, str]]:
    first = histories[0]
    data, training = first.settings.get("data", {}), first.settings.get("training", {})
    yield "state", _joined(one.state for one in histories)
    yield "steps", _joined(f"{one.step} of {one.n_steps}" for one in histories)
    yield "preset", str(training.get("preset", ""))
    yield "training videos", f"{data.get('videos', '?')}, of which {data.get('held_out', '?')} held out"
    yield "classes", str(data.get("classes", "?"))
    yield "device", _joined(_device(one.environment) for one in histories)
    yield "time", _joined(clock(float(round(one.elapsed_s))) for one in histories)
    per_step = [one.elapsed_s / one.step for one in histories if one.step and one.elapsed_s]
    if per_step:
        yield "a step", f"{statistics.fmean(per_step):.3g} s, with its share of validations"
    yield "made with", _joined(_versions(one.environment) for one in histories)


def _device(environment: Mapping[str, object]) -> str:
    device, processes = environment.get("device", "unknown"), environment.get("processes", 1)
    return f"{device}" + (f", {processes} processes" if processes != 1 else "")


def _versions(environment: Mapping[str, object]) -> str:
    known = [f"{name} {environment[name]}" for name in ("torch", "python") if environment.get(name)]
    return ", ".join(known)


def _joined(words: Iterator[str]) -> str:
    """Each once, in order."""
    return "; ".join(dict.fromkeys(word for word in words if word))


def _runs(histories: Sequence[RunHistory]) -> Table:
    """A row a seed, then mean and standard deviation."""
    tious: list[float] = next((one.test["tiou"] for one in histories if one.test is not None), [])
    rows: list[list[float | None]] = []
    for one in histories:
        test = one.test
        numbers = (
            [*test["map"], test["average"]] if test is not None else [None] * (len(tious) + 1 if tious else 0)
        )
        rows.append([one.chosen[1] if one.chosen else None, *numbers])
    cells = [
        (Cell(one.seed), Cell(f"{one.chosen[0]:g}" if one.chosen else ""), *map(fraction, row))
        for one, row in zip(histories, rows, strict=True)
    ]
    foot: list[tuple[Cell, ...]] = []
    if len(histories) > 1:
        columns = [[v for v in column if v is not None] for column in zip(*rows, strict=True)]
        means = [statistics.fmean(column) if column else None for column in columns]
        spread = [statistics.stdev(column) if len(column) > 1 else None for column in columns]
        foot.append((Cell("mean"), Cell(""), *map(fraction, means)))
        foot.append((Cell("standard deviation"), Cell(""), *map(fraction, spread)))
    test_columns = [*(f"{tiou:g}" for tiou in tious), "average"] if tious else []
    caption = "Step and validation mAP of the chosen network"
    caption += "; its mAP on the test videos at each tIoU" if tious else ""
    return Table(caption, ("seed", "step", "validation mAP", *test_columns), tuple(cells), tuple(foot))


def _with_mean(curves: Sequence[tuple[str, Curve]], looks: Sequence[Look]) -> list[Line]:
    """A line a seed; of several the mean over them, which stands out."""
    several = len(curves) > 1
    lines = [
        Line(name, style, curve, 1.5 if several else 2.0, 0.75 if several else 1.0)
        for (name, curve), style in zip(curves, looks, strict=False)
    ]
    if several:
        lines.append(Line("mean", _MEAN, mean_curve([curve for _, curve in curves]), 2.5))
    return lines


def _validation(histories: Sequence[RunHistory], looks: Sequence[Look]) -> Drawing | None:
    if not any(one.validation for one in histories):
        return None
    curves = [(f"seed {one.seed}", one.validation) for one in histories]
    chosen = histories[0].chosen
    at = (chosen[0], "chosen") if len(histories) == 1 and chosen is not None else None
    return line_chart(
        _with_mean(curves, looks),
        Axis("step", 0.0, float(max(one.n_steps for one in histories)) or None),
        Axis("mAP of video labels", 0.0, 1.0),
        label="Validation mAP over steps",
        at=at,
        named=len(histories) > 1,
    )


def _term(name: str, histories: Sequence[RunHistory], looks: Sequence[Look]) -> Drawing:
    curves = [(f"seed {one.seed}", one.losses.get(name, ())) for one in histories]
    n_steps = float(max(one.n_steps for one in histories)) or None
    return line_chart(
        _with_mean(curves, looks),
        Axis("step", 0.0, n_steps),
        Axis(_TERMS.get(name, name)),
        label=f"Loss over steps: {name}",
        width=_TERM_WIDTH,
        height=_TERM_HEIGHT,
        named=False,
    )


def _test_curve(tested: Sequence[tuple[str, Mapping[str, Any]]], looks: Sequence[Look]) -> Drawing:
    curves = [(name, tuple(sorted(zip(test["tiou"], test["map"], strict=True)))) for name, test in tested]
    return curve_chart(_with_mean(curves, looks), named=len(tested) > 1)


def _classes(tests: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """Average precision by class; of several seeds the mean."""
    if not tests:
        return None
    labels = list(tests[0]["per_class"])
    means = {
        label: [
            statistics.fmean(values)
            for values in zip(*(test["per_class"][label] for test in tests), strict=True)
        ]
        for label in labels
    }
    title = "average precision, mean over seeds" if len(tests) > 1 else "average precision"
    return class_chart([("test", means)], {}, [look(0)], title=title)


def _choices(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["average", *(f"at tIoU {tiou:g}" for tiou in tests[0]["tiou"])] if tests else []


def _class_table(tested: Sequence[tuple[str, Mapping[str, Any]]]) -> Table | None:
    if not tested:
        return None
    return class_table([(name, test["per_class"]) for name, test in tested], {})


def _settings(histories: Sequence[RunHistory]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every setting by table; of several seeds the seed is told as all of them."""
    tables = []
    for table, values in histories[0].settings.items():
        rows = [(name, _shown(value)) for name, value in values.items()]
        if table == "training" and len(histories) > 1:
            rows = [(n, ", ".join(one.seed for one in histories) if n == "seed" else v) for n, v in rows]
        tables.append((table, rows))
    return tables


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return str(value)
