"""The numbers of an ablation, as one table in Markdown and in CSV. Percent throughout."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ascnet_cli.ablation.rows import Row, table_title
from ascnet_cli.ablation.scores import Score
from ascnet_cli.ablation.times import PAPER_S, BranchTime
from ascnet_cli.training.seeds import Spread

_SHOWN_TIOUS = 4  # of a protocol's, in Markdown; CSV has all


@dataclass(frozen=True, slots=True)
class Line:
    """One row with what was measured.

    Attributes:
        row: which.
        scores: by seed.
        against: those of the row that it is compared with; empty where there is none here.
        paper: average mAP in percent that the paper prints; None where it has no such row.
        paper_difference: to the paper's row that it is compared with.
        run: key of its runs' folder.
        reason: why seeds are missing.
    """

    row: Row
    scores: Mapping[int, Score]
    against: Mapping[int, Score] = field(default_factory=dict)
    paper: float | None = None
    paper_difference: float | None = None
    run: str = ""
    reason: str = ""

    @property
    def average(self) -> Spread | None:
        """Average mAP over seeds, percent."""
        return _spread(100 * score.average for score in self.scores.values())

    @property
    def difference(self) -> Spread | None:
        """Average mAP less the other row's, percent; seed by seed, for equal seeds begin alike."""
        both = [seed for seed in self.scores if seed in self.against]
        return _spread(100 * (self.scores[seed].average - self.against[seed].average) for seed in both)

    def at(self, place: int) -> Spread | None:
        """The mAP at one threshold over seeds, percent."""
        return _spread(100 * score.map[place] for score in self.scores.values())


@dataclass(frozen=True, slots=True)
class Report:
    """All that the table says.

    Attributes:
        dataset: its name.
        paper_dataset: the data set that the paper's figures are of.
        tious: thresholds of the protocol.
        facts: sentences on what was run, for the head of the table.
        lines: the rows.
        times: Table IX; empty where it was not measured.
    """

    dataset: str
    paper_dataset: str
    tious: tuple[float, ...]
    facts: tuple[str, ...]
    lines: tuple[Line, ...]
    times: tuple[BranchTime, ...] = ()


def lines_of(
    rows: Sequence[Row],
    scores: Mapping[str, Mapping[int, Score]],
    *,
    paper_dataset: str,
    runs: Mapping[str, str],
    reasons: Mapping[str, str],
) -> tuple[Line, ...]:
    """The rows with what was measured.

    Args:
        rows: of the table.
        scores: by row and seed.
        paper_dataset: whose figures of the paper stand beside them.
        runs: keys of the runs' folders by row.
        reasons: why seeds are missing, by row.
    """
    papers = {row.name: row.paper.get(paper_dataset) for row in rows}
    found = []
    for row in rows:
        own, other = papers[row.name], papers.get(row.against or "")
        found.append(
            Line(
                row,
                scores.get(row.name, {}),
                scores.get(row.against or "", {}),
                own,
                None if own is None or other is None else own - other,
                runs.get(row.name, ""),
                reasons.get(row.name, ""),
            )
        )
    return tuple(found)


def markdown(report: Report) -> str:
    """The table for people."""
    places = _shown(report.tious)
    head = [
        *("table", "row", "what", "average mAP", "difference", "to"),
        *(f"paper ({report.paper_dataset})", "its difference"),
        *(f"mAP at {report.tious[place]:g}" for place in places),
        "seeds",
    ]
    rows = [
        [
            table_title(line.row.table, report.dataset),
            line.row.name,
            line.row.title,
            _cell(line.average),
            _cell(line.difference, sign="+"),
            (line.row.against or "") if line.difference else "",
            "" if line.paper is None else f"{line.paper:.1f}",
            "" if line.paper_difference is None else f"{line.paper_difference:+.1f}",
            *(_cell(line.at(place)) for place in places),
            str(len(line.scores)),
        ]
        for line in report.lines
    ]
    text = [f"# What each part is worth on {report.dataset}", "", *(f"{fact}  " for fact in report.facts), ""]
    text += _pipes(head, rows)
    missing = [f"- {line.row.name}: {line.reason}" for line in report.lines if line.reason]
    if missing:
        text += ["", "Not measured:", "", *missing]
    if report.times:
        text += ["", *_times(report)]
    return "\n".join(text) + "\n"


def csv_text(report: Report) -> str:
    """The table for programs: every number, and those of each seed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [
            *("table", "row", "title", "preset", "overrides", "run", "n_seeds"),
            *("average_map_percent", "average_map_std", "against", "difference", "difference_std"),
            *("paper_percent", "paper_difference"),
            *(f"map_{tiou:g}_percent" for tiou in report.tious),
            *("by_seed", "reason"),
        ]
    )
    for line in report.lines:
        average, difference = line.average, line.difference
        values = [
            *([average.mean, average.std] if average else [None, None]),
            line.row.against if difference else None,
            *([difference.mean, difference.std] if difference else [None, None]),
            *(line.paper, line.paper_difference),
            *(spread.mean if (spread := line.at(k)) else None for k in range(len(report.tious))),
        ]
        row = line.row
        writer.writerow(
            [
                *(row.table, row.name, row.title, row.preset, settings_text(row.overrides), line.run),
                len(line.scores),
                *(f"{value:.4f}" if isinstance(value, float) else value for value in values),
                " ".join(f"{seed}:{100 * score.average:.4f}" for seed, score in line.scores.items()),
                line.reason,
            ]
        )
    return file.getvalue()


def settings_text(overrides: Mapping[str, str]) -> str:
    """Settings as they are typed."""
    return " ".join(f"{name}={value}" for name, value in overrides.items())


def _spread(values: Iterable[float]) -> Spread | None:
    found = list(values)
    return Spread.of(found) if found else None


def _cell(spread: Spread | None, sign: str = "") -> str:
    if spread is None:
        return ""
    mean = f"{spread.mean:{sign}.1f}"
    return f"{mean} ± {spread.std:.1f}" if spread.n > 1 else mean


def _shown(tious: Sequence[float]) -> list[int]:
    """Places of a few thresholds, from the first to the last."""
    n = min(_SHOWN_TIOUS, len(tious))
    return sorted({round(k * (len(tious) - 1) / max(1, n - 1)) for k in range(n)})


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _times(report: Report) -> list[str]:
    """Table IX."""
    paper = PAPER_S.get(report.paper_dataset, {})
    rows = [
        [
            one.row,
            f"{one.total_s:.4f}",
            f"{one.network_s:.4f}",
            f"{one.localization_s:.4f}",
            f"{paper[one.row]:.3f}" if one.row in paper else "",
        ]
        for one in report.times
    ]
    return [
        "## Table IX: seconds a video",
        "",
        "Test videos one at a time, features in memory, variants in turns.",
        "",
        *_pipes(("row", "all", "network", "localization", f"paper ({report.paper_dataset}, RTX 3090)"), rows),
    ]
