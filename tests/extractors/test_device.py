"""Which device a name means here."""

from __future__ import annotations

import pytest
import torch

from extractors.device import exact_arithmetic, resolve_device
from extractors.errors import DeviceError


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As if the machine had this many CUDA devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize(
    ("cards", "name", "device"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
    indirect=["cards"],
)
def test_names_that_mean_a_device(cards: None, name: str, device: str) -> None:
    assert resolve_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("cards", "name", "message", "hint"),
    [
        (0, "cuda", "no CUDA device is available", "--device cpu"),
        (0, "cuda:1", "cuda:1 was asked for", "--device cpu"),
        (2, "cuda:2", r"has 2 CUDA device\(s\)", "lower number"),
        (2, "gpu", "unknown device 'gpu'", "cuda:N"),
        (2, "cuda:", "unknown device", "auto"),
        (2, "cuda:-1", "unknown device", "auto"),
        (2, "CUDA", "unknown device", "auto"),
        (2, "", "unknown device ''", "auto"),
    ],
    indirect=["cards"],
)
def test_names_that_do_not(cards: None, name: str, message: str, hint: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        resolve_device(name)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_mps_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="mps is not available"):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == torch.device("mps")


def test_exact_arithmetic_switches_tf32_off() -> None:
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = True
        exact_arithmetic()
        assert not any(switch.allow_tf32 for switch in switches)
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value
