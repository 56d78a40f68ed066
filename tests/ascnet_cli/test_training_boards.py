"""Curves for TensorBoard: what is written, when, and what is said where it is not installed."""

import importlib.util
import sys
import types

import pytest

from ascnet_cli.errors import OptionError
from ascnet_cli.training.boards import Board
from ascnet_cli.training.loop import Progress
from tests.ascnet_cli.training_tools import toy_train


class Writer:
    def __init__(self, log_dir, purge_step):
        self.opened = (log_dir, purge_step)
        self.scalars, self.closed = [], False
        Writer.last = self

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def close(self):
        self.closed = True


@pytest.fixture
def writer(monkeypatch):
    """`SummaryWriter` as its documentation describes it, whether tensorboard is installed or not."""
    Writer.last = None
    fake = types.SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    return Writer


def test_losses_and_validations_are_written(writer, tmp_path):
    with Board(tmp_path) as board:
        assert writer.last is None  # a process that never reports makes no folder
        board(Progress(7, 12, {"total": 2.0, "fg": 1.5}, None))
        board(Progress(8, 12, {"total": 1.0}, 0.75))
    assert writer.last.opened == (str(tmp_path / "tensorboard"), 7)
    assert writer.last.scalars == [
        ("loss/total", 2.0, 7),
        ("loss/fg", 1.5, 7),
        ("loss/total", 1.0, 8),
        ("validation/map", 0.75, 8),
    ]
    assert writer.last.closed


def test_a_board_follows_a_run(writer, tmp_path):
    with Board(tmp_path / "run") as board:
        toy_train(tmp_path / "run", progress=board)
    assert [step for name, _, step in writer.last.scalars if name == "loss/total"] == list(range(1, 13))
    assert [step for name, _, step in writer.last.scalars if name == "validation/map"] == [5, 10, 12]
    assert writer.last.closed


def test_a_board_is_closed_after_an_error(writer, tmp_path):
    board = Board(tmp_path)
    board(Progress(1, 2, {"total": 2.0}, None))
    with pytest.raises(ZeroDivisionError), board:
        raise ZeroDivisionError
    assert writer.last.closed


def test_without_tensorboard_the_extra_is_named_before_anything_is_done(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OptionError, match="tensorboard is not installed") as caught:
        Board(tmp_path / "run")
    assert "pip install 'ascnet[tensorboard]'" in caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_reads_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Board(tmp_path) as board:
        board(Progress(1, 2, {"total": 2.0}, 0.5))
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.value for event in found.Scalars("loss/total")] == [2.0]
