"""What every test may rely on."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("ascnet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ascnet")

# Real material for development, beside the repository; most machines do not have it.
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real clips, annotations and predictions, where there is one."""
    if not _DATA.is_dir():
        pytest.skip(f"the development data is not at {_DATA}")
    return _DATA


@pytest.fixture(scope="session")
def cuda_device() -> torch.device:
    """A CUDA device; without one the test is skipped, or fails where FAIL_WITHOUT_CUDA=1 says so."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if os.environ.get("FAIL_WITHOUT_CUDA") == "1":
        pytest.fail("FAIL_WITHOUT_CUDA=1, and there is no CUDA device")
    pytest.skip("there is no CUDA device (FAIL_WITHOUT_CUDA=1 makes this a failure)")


@pytest.fixture(autouse=True)
def _nothing_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test starts with the same random numbers, in a folder of its own, with its own weights folder."""
    torch.manual_seed(0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASCNET_WEIGHTS", str(tmp_path / "fetched-weights"))
    yield
    torch.set_default_dtype(torch.float32)


class _SignalStack(ctypes.Structure):
    """The C structure `stack_t` of Linux."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@pytest.fixture(autouse=True)
def _the_signal_stack_stays() -> Iterator[None]:
    """A thread's stack for signals is afterwards what it was.

    OpenVINO's threading library sets one in the thread that computes, and puts back what it found when the
    model goes: of two models that live side by side, the second puts back what was the first one's and is
    gone, and the next signal ends the process. A command's models live to its end.
    """
    library = ctypes.CDLL(None, use_errno=True)
    before, after = _SignalStack(), _SignalStack()
    library.sigaltstack(None, ctypes.byref(before))
    yield
    library.sigaltstack(None, ctypes.byref(after))
    if (before.pointer, before.flags, before.size) != (after.pointer, after.flags, after.size):
        library.sigaltstack(ctypes.byref(before), None)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors gain nothing from threads, and results must not depend on how many there are."""
    torch.set_num_threads(1)
