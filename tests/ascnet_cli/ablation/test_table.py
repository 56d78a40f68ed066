"""The table, in Markdown, in CSV and as a picture."""

import csv
import io

import pytest

from ascnet_cli.ablation import plot
from ascnet_cli.ablation.rows import Row
from ascnet_cli.ablation.scores import Score
from ascnet_cli.ablation.table import Report, csv_text, lines_of, markdown
from ascnet_cli.ablation.times import BranchTime

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def score(average):
    return Score(TIOUS, tuple(average + (4 - k) / 100 for k in range(1, 8)), average)


def row(name, **fields):
    return Row(**({"name": name, "table": "III", "title": f"{name} | title", "preset": "fixed"} | fields))


ROWS = (
    row("part", against="whole", paper={"thumos14": 37.7}, overrides={"loss.weight_bg": "0"}),
    row("whole", paper={"thumos14": 47.5}),
    row("broken", table="repairs", against="whole"),
    row("lonely", table="repairs", against="elsewhere"),
)
SCORES = {
    "part": {0: score(0.30), 1: score(0.36)},
    "whole": {0: score(0.40), 1: score(0.40), 2: score(0.70)},
    "lonely": {0: score(0.25)},
}


def report(dataset="thumos14", **fields):
    lines = lines_of(
        ROWS,
        SCORES,
        paper_dataset="thumos14",
        runs={"part": "abc"},
        reasons={"broken": "seed 0: the loss is not finite"},
    )
    options = {"facts": ("One fact.",), "lines": lines} | fields
    return Report(dataset=dataset, paper_dataset="thumos14", tious=TIOUS, **options)


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_means_deviations_and_differences_seed_by_seed():
    part, whole, broken, lonely = report().lines
    assert part.average.mean == pytest.approx(33.0)
    assert part.average.std == pytest.approx(18**0.5)  # of 30 and 36, over n - 1
    # Seed 2 is missing on one side: the difference is of seeds 0 and 1, -10 and -4.
    assert part.difference.mean == pytest.approx(-7.0)
    assert part.difference.std == pytest.approx(18**0.5)
    assert part.difference.n == 2
    assert part.paper_difference == pytest.approx(-9.8)
    assert whole.difference is None
    assert broken.average is None
    assert lonely.difference is None


def test_markdown():
    head, _, part, whole, broken, lonely = cells(markdown(report()))
    assert head[6] == "paper (thumos14)"
    assert part[:8] == [
        *("Table III", "part", "part \\| title", "33.0 ± 4.2", "-7.0 ± 4.2", "whole", "37.7", "-9.8"),
    ]
    assert part[8:] == ["36.0 ± 4.2", "34.0 ± 4.2", "32.0 ± 4.2", "30.0 ± 4.2", "2"]
    assert head[8:12] == ["mAP at 0.1", "mAP at 0.3", "mAP at 0.5", "mAP at 0.7"]
    assert whole[3:6] == ["50.0 ± 17.3", "", ""]
    assert broken[3] == ""
    assert lonely[3] == "25.0"  # one seed has no deviation
    assert "- broken: seed 0: the loss is not finite" in markdown(report())
    assert "One fact." in markdown(report())


def test_csv_has_every_number():
    first, second, third, _ = csv.DictReader(io.StringIO(csv_text(report())))
    assert float(first["average_map_percent"]) == pytest.approx(33.0)
    assert first["overrides"] == "loss.weight_bg=0"
    assert first["by_seed"] == "0:30.0000 1:36.0000"
    assert float(first["map_0.1_percent"]) == pytest.approx(36.0)
    assert (first["run"], first["against"], first["paper_difference"]) == ("abc", "whole", "-9.8000")
    assert (second["against"], second["n_seeds"]) == ("", "3")
    assert (third["average_map_percent"], third["reason"]) == ("", "seed 0: the loss is not finite")


def test_times_stand_beside_the_papers():
    times = (BranchTime("both", 0.004, 0.001), BranchTime("class-aware", 0.003, 0.001))
    text = markdown(report(times=times))
    found = cells(text[text.index("Table IX") :])
    assert found[2] == ["both", "0.0050", "0.0040", "0.0010", "0.083"]
    assert found[3][-1] == "0.074"
    assert "Table IX" not in markdown(report())


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    assert plot.can_plot()
    own, other = tmp_path / "own.png", tmp_path / "other.png"
    plot.write_plot(report(), own)
    plot.write_plot(report(dataset="of one's own"), other)
    assert own.read_bytes()[:4] == other.read_bytes()[:4] == b"\x89PNG"
    # On its own data set the paper's figures are drawn, too.
    assert own.read_bytes() != other.read_bytes()
