"""A run's page: what is on it, when it is drawn, and that it never ends a training."""

import dataclasses

import pytest

from ascnet_cli.errors import TrainingError
from ascnet_cli.outputs.charts import page
from ascnet_cli.training import report
from ascnet_cli.training import run as run_module
from ascnet_cli.training.data import load_data
from ascnet_cli.training.history import read_history
from ascnet_cli.training.report import draw_report, page_values, write_report
from ascnet_cli.training.run import train_and_test
from ascnet_cli.training.settings import resolve
from tests.ascnet_cli.folder_tools import write_folder
from tests.ascnet_cli.test_training_history import START, TEST, step, validation, write_run
from tests.svg_tools import of_class, parsed, points, title

QUICK = {"training.updates": "7", "training.validate_every": "3", "model.embed_dim": "16"}
EVENTS = [
    START,
    step(5, 10, total=2.0),
    validation(6, 10, 0.25),
    step(9, 20, total=1.0),
    validation(9, 20, 0.75),
]


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    data = load_data(str(write_folder(tmp_path_factory.mktemp("data"))))
    return data, resolve("fixed", data.shape, dataset="data", overrides=QUICK)


def seeds(folder, n=2):
    for seed in range(n):
        test = TEST | {"per_class": {"run": [0.5 + 0.2 * seed, 0.25]}}
        events = [
            START,
            *(step(k, 10 * k, total=float(k + seed)) for k in (1, 2)),
            validation(3, 20, 0.5 * seed),
        ]
        write_run(folder / f"seed-{seed}", events, seed=seed, test=test)
    return folder


def test_a_run_on_a_page(tmp_path):
    run = write_run(tmp_path / "a <b> run", EVENTS, test=TEST)
    text = write_report(run).read_text("utf-8")
    assert "Training a &lt;b&gt; run" in text
    for shown in ("20 of 40", "0.750", "0.375", "validation mAP", "cpu", "torch 2.14", "held_out"):
        assert shown in text


def test_curves_of_several_seeds_and_their_mean(tmp_path):
    folder = seeds(tmp_path)
    values = page_values(folder, [read_history(run) for run in sorted(folder.iterdir())])
    (chart,) = values["terms"]
    lines = {title(path): points(path)[0] for path in of_class(parsed(chart), "path", "line")}
    assert list(lines) == ["seed 0", "seed 1", "mean"]
    for (x0, y0), (x1, y1), (x, y) in zip(*lines.values(), strict=True):
        assert x0 == x1 == x
        assert y == pytest.approx((y0 + y1) / 2, abs=0.02)
    table = values["runs"]
    assert [row[0].text for row in (*table.rows, *table.foot)] == ["0", "1", "mean", "standard deviation"]
    assert [row[2].text for row in table.foot] == ["0.250", "0.354"]
    (bar,) = of_class(parsed(values["classes"]), "rect", "bar")
    assert title(bar) == "test, run: 0.425"  # the mean over seeds of the mean over tIoU


def test_long_curves_are_bounded(tmp_path):
    events = [START, *(step(1, 10 * n, total=float(n % 7)) for n in range(1, 5001))]
    short = write_run(tmp_path / "short", events[:400])
    long = write_run(tmp_path / "long", events)
    sizes = [len(write_report(run).read_bytes()) for run in (short, long)]
    assert sizes[1] < sizes[0] * 1.2


def test_a_run_that_has_hardly_begun(tmp_path):
    text = write_report(write_run(tmp_path / "run", [START])).read_text("utf-8")
    assert "There was no validation yet." in text
    assert "No step was recorded yet." in text


def test_it_is_drawn_at_each_validation_and_at_the_end(problem, tmp_path, monkeypatch):
    data, settings = problem
    seen = []
    monkeypatch.setattr(
        run_module,
        "draw_report",
        lambda run, notes: seen.append((read_history(run).step, (run / "test.json").exists())),
    )
    train_and_test(data, settings, tmp_path / "run")
    assert seen == [(3, False), (6, False), (7, True)]


def test_a_resumed_run_has_each_step_once(problem, tmp_path):
    data, settings = problem
    run = tmp_path / "run"
    stop = iter([False] * 4 + [True])
    train_and_test(data, settings, run, should_stop=lambda: next(stop))
    assert "stopped: asked to" in (run / report.PAGE).read_text("utf-8")
    train_and_test(data, settings, run, resume=True)
    assert [x for x, _ in read_history(run).validation] == [3, 6, 7]
    assert "finished" in (run / report.PAGE).read_text("utf-8")


def test_a_run_that_breaks_has_its_page(problem, tmp_path):
    data, settings = problem
    wild = dataclasses.replace(settings.training, learning_rate=1e30)
    with pytest.raises(TrainingError):
        train_and_test(data, dataclasses.replace(settings, training=wild), tmp_path / "run")
    assert "stopped: " in (tmp_path / "run" / report.PAGE).read_text("utf-8")


def test_a_page_that_cannot_be_drawn_is_a_note(problem, tmp_path, monkeypatch):
    data, settings = problem
    run, notes = tmp_path / "run", []
    monkeypatch.setattr(page, "to_svg", lambda *_, **__: 1 / 0)
    result = train_and_test(data, settings, run, notes=notes.append)
    assert result.training.finished
    assert result.test is not None
    assert f"{run / report.PAGE} was not drawn: division by zero" in notes
    assert not (run / report.PAGE).exists()


def test_a_folder_in_the_place_of_the_page_is_a_note(tmp_path):
    run, notes = write_run(tmp_path / "run", EVENTS), []
    (run / report.PAGE).mkdir()
    draw_report(run, notes.append)
    draw_report(run, None)
    assert len(notes) == 1
    assert "is a folder" in notes[0]
