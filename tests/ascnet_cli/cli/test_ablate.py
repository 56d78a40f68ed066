"""`ascnet ablate` as a person meets it."""

import pytest

from ascnet_cli.ablation import measure
from ascnet_cli.errors import TrainingError
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import ascnet

QUICK = ("--set", "training.updates=6", "--set", "training.validate_every=3", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("sports"))


@pytest.mark.slow
def test_a_table_and_a_second_time_nothing_to_do(folder, tmp_path):
    command = (
        "ablate",
        "--dataset",
        folder,
        "--out",
        "here",
        "--rows",
        "V,cas-only",
        "--seeds",
        "0,1",
        *QUICK,
    )
    ran = ascnet(*command)
    assert ran.code == 0
    header, first, second, third = (line.split() for line in ran.out.splitlines())
    assert header == ["row", "average", "mAP", "std", "difference", "paper", "seeds"]
    assert first[0] == "no-selector"
    assert first[-2:] == ["46.1", "2"]
    assert second[0] == "selector"
    assert third[0] == "cas-only"
    assert "3 rows: 4 trainings, 4 to do" in ran.err
    assert "[4/4] selector, seed 1: done, about 0 min left" in ran.err
    assert "wrote here/ablation.md" in ran.err
    assert {path.name for path in (tmp_path / "here").iterdir()} >= {"ablation.md", "ablation.csv", "runs"}

    again = ascnet(*command)
    assert again.code == 0
    assert again.out == ran.out
    assert "3 rows: 4 trainings, 0 to do" in again.err


def test_rows_are_listed_with_what_they_set(folder, tmp_path):
    ran = ascnet("ablate", "--dataset", folder, "--list", "--rows", "V,paper+guide")
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert [line[0] for line in lines] == ["row", "no-selector", "selector", "paper+guide"]
    assert lines[1][-1] == "model.selector=none"
    assert lines[3][-1] == "model.guide=v"
    assert not list(tmp_path.iterdir())


def test_without_a_place_to_write_nothing_is_trained(folder):
    ran = ascnet("ablate", "--dataset", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "--out" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "selectr"), "no rows selectr"),
        (("--preset", "better"), "unknown preset 'better'"),
        (("--seeds", "4-0"), "no seeds from 4 to 0"),
        (("--set", "model.selectr=none"), "no setting 'model.selectr'"),
        (("--jobs", "0"), "'--jobs'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, tmp_path, arguments, said):
    ran = ascnet("ablate", "--dataset", folder, "--out", "here", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(("broken", "code"), [({"none"}, 3), ({"none", "fixed"}, 4)])
def test_runs_that_fail_are_said_and_end_in_a_code(folder, monkeypatch, broken, code):
    train_and_test = measure.train_and_test

    def sometimes(data, settings, *arguments, **options):
        if settings.network.selector in broken:
            raise TrainingError("the loss is not finite", hint="begin again")
        return train_and_test(data, settings, *arguments, **options)

    monkeypatch.setattr(measure, "train_and_test", sometimes)
    ran = ascnet("ablate", "--dataset", folder, "--out", "here", "--rows", "V", "--seeds", "0", *QUICK)
    assert ran.code == code
    assert "failed: no-selector: seed 0: the loss is not finite (begin again)" in ran.err


def test_without_matplotlib_the_rest_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("ascnet_cli.ablation.run.can_plot", lambda: False)
    ran = ascnet("ablate", "--dataset", folder, "--out", "here", "--rows", "fixed", "--seeds", "0", *QUICK)
    assert ran.code == 0
    assert "pip install 'ascnet[plots]'" in ran.err
    assert not (tmp_path / "here" / "ablation.png").exists()
    assert (tmp_path / "here" / "ablation.md").is_file()
