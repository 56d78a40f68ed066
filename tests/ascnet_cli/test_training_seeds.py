"""Several seeds: how they are written, their spread, and which run is the best."""

from pathlib import Path

import pytest

from ascnet_cli.errors import OptionError
from ascnet_cli.training.checkpoint import Best
from ascnet_cli.training.loop import TrainingResult
from ascnet_cli.training.run import RunResult
from ascnet_cli.training.seeds import Spread, best_run, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("7", (7,)), ("0,2,7-8", (0, 2, 7, 8)), (" 3 , 1 ", (3, 1))]
)
def test_seeds_as_people_write_them(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-0", "1,1", "0-4,2", "-1", "1.5", "0-", "0-9999999999"])
def test_what_are_no_seeds(text):
    with pytest.raises(OptionError):
        parse_seeds(text)


def test_spread_is_that_of_a_sample():
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3)
    assert Spread.of([0.5]) == Spread(0.5, 0.0, 1)
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


def result(seed, validation):
    best = None if validation is None else Best(1, validation, validation)
    return RunResult(Path(str(seed)), seed, TrainingResult(None, 1, True, best), None)


def test_the_best_run_is_the_first_of_the_best_by_validation():
    runs = [result(0, 0.5), result(1, 0.9), result(2, 0.9), result(3, None)]
    assert best_run(runs).seed == 1
    assert best_run([result(4, None)]).seed == 4
    with pytest.raises(ValueError, match="no runs"):
        best_run([])
