"""An ablation from rows to files."""

import csv
import dataclasses
import json

import pytest

from ascnet_cli.ablation import measure
from ascnet_cli.ablation.run import ablate, facts_of, runnable, unfinished
from ascnet_cli.ablation.times import measure_times
from ascnet_cli.ablation.workers import Source
from ascnet_cli.errors import OutputError, TrainingError
from ascnet_cli.training.data import load_data
from tests.ascnet_cli.ablation.ablation_tools import toy_data, toy_plan, toy_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy_data(tmp_path_factory.mktemp("toy"))


def run(plan, data, out, **options):
    return ablate(data, Source(data.name), plan, out, **options)


@pytest.mark.slow
def test_a_table_of_rows_over_seeds_and_the_time_of_each_branch(data, tmp_path):
    plan = toy_plan(data, "VII,trivial,fixed", seeds=(0, 5))
    out = tmp_path / "new" / "folder"
    outcome = run(plan, data, out, facts=["A fact."])
    assert (outcome.n_failed, outcome.n_left) == (0, 0)
    assert [file.name for file in outcome.files[:2]] == ["ablation.md", "ablation.csv"]
    lines = {line.row.name: line for line in outcome.report.lines}
    assert list(lines) == ["class-agnostic", "class-aware", "both", "fixed", "whole-video", "uniform"]
    assert all(set(line.scores) == {0, 5} for line in lines.values())
    assert lines["class-aware"].difference is not None
    assert lines["whole-video"].difference is not None
    assert lines["both"].paper == 41.9  # of THUMOS14, whose constants are borrowed
    assert [one.row for one in outcome.report.times] == ["both", "class-aware", "class-agnostic"]
    assert all(one.total_s > one.network_s > 0 for one in outcome.report.times)
    with (out / "ablation.csv").open() as file:
        assert [row["row"] for row in csv.DictReader(file)] == list(lines)
    assert "A fact." in (out / "ablation.md").read_text()


@pytest.mark.slow
def test_a_stop_leaves_a_table_of_what_there_is_and_the_rest_for_later(data, tmp_path):
    plan, steps = toy_plan(data, "V", seeds=(0,)), []

    def seen(state):
        steps.append((state.run.title, state.step))

    first = run(plan, data, tmp_path, report=seen, should_stop=lambda: ("selector, seed 0", 2) in steps)
    assert first.n_left == 1
    assert [bool(line.scores) for line in first.report.lines] == [True, False]
    assert len(unfinished(plan, data, tmp_path)) == 1
    last = steps[-1]
    steps.clear()
    second = run(plan, data, tmp_path, report=seen)
    assert second.n_left == 0
    assert {title for title, _ in steps} == {"selector, seed 0"}
    assert steps[1] == (last[0], last[1] + 1)
    before, after = first.report.lines[0], second.report.lines[0]
    assert after == dataclasses.replace(before, against=second.report.lines[1].scores)


@pytest.mark.slow
def test_a_failed_run_is_said_in_its_rows(data, tmp_path, monkeypatch):
    train_and_test = measure.train_and_test

    def sometimes(data, settings, *arguments, **options):
        if settings.network.selector == "none":
            raise TrainingError("the loss is not finite")
        return train_and_test(data, settings, *arguments, **options)

    monkeypatch.setattr(measure, "train_and_test", sometimes)
    outcome = run(toy_plan(data, "V"), data, tmp_path)
    assert (outcome.n_failed, outcome.n_left) == (1, 0)
    broken, whole = outcome.report.lines
    assert broken.reason == "seed 0: the loss is not finite"
    assert whole.scores
    assert "no-selector: seed 0: the loss is not finite" in (tmp_path / "ablation.md").read_text()


def test_a_folder_that_cannot_be_is_refused_before_training(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        run(toy_plan(data, "V"), data, tmp_path / "file" / "out")


def without_times(folder, subset):
    """The annotations with labels alone for a subset."""
    path = folder / "annotations.json"
    database = json.loads(path.read_text())["database"]
    rows = ["video,label"]
    for name, entry in database.items():
        if entry["subset"] == subset:
            rows += [f"{name},{one['label']}" for one in entry["annotations"]]
            entry["annotations"] = []
    path.write_text(json.dumps({"database": database}))
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return load_data(str(folder))


def test_without_times_to_learn_lengths_from_there_are_no_equal_pieces(tmp_path):
    toy_data(tmp_path)
    data = without_times(tmp_path, "training")
    rows = toy_rows(data, "trivial")
    left, notes = runnable(rows, data)
    assert [row.name for row in left] == ["whole-video"]
    assert len(notes) == 1
    with pytest.raises(TrainingError, match="uniform"):
        runnable(rows[1:], data)


def test_without_test_videos_there_is_nothing_to_compare(tmp_path):
    toy_data(tmp_path)
    data = without_times(tmp_path, "testing")
    with pytest.raises(TrainingError, match="no test videos"):
        runnable(toy_rows(data), data)


def test_times_need_a_test_video(data):
    with pytest.raises(ValueError, match="no test video"):
        measure_times([], dataclasses.replace(data, test=()))


def test_the_facts_say_what_was_run(data):
    text = " ".join(facts_of(data, "fixed", (0, 2), {"training.updates": "6"}))
    assert "10 training videos, 4 test videos, 2 classes, 8 numbers a snippet. Protocol custom" in text
    assert "the seeds 0, 2;" in text
    assert "`fixed` with training.updates=6" in text
    assert "One seed, 2." in " ".join(facts_of(data, "fixed", (2,), {}))
