"""Which devices are there, told without torch where that can be."""

import subprocess
import sys

import pytest

from extractors.batch import machine
from extractors.errors import DeviceError


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "CPU", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(DeviceError, match="unknown device"):
        machine.check_device(name)


def test_what_is_certainly_there_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(machine, "n_cards", lambda: 2)
    monkeypatch.setattr("extractors.device.resolve_device", lambda name: pytest.fail(name))
    for name in ("auto", "cpu", "cuda", "cuda:0", "cuda:1"):
        machine.check_device(name)


def test_a_card_too_many_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "n_cards", lambda: 2)
    monkeypatch.setattr("extractors.device.resolve_device", asked.append)
    machine.check_device("cuda:2")
    assert asked == ["cuda:2"]


def test_the_usual_devices_load_no_torch():
    program = (
        "import sys; from extractors.batch.machine import check_device\n"
        "check_device('auto'); check_device('cpu'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
