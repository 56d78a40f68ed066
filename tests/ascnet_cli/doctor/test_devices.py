"""What is said of the device."""

import pytest
import torch

from ascnet_cli.doctor import devices
from ascnet_cli.doctor.devices import driver_version, look_at_device, processor

WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@WITHOUT_CUDA
def test_auto_says_what_it_took():
    finding = look_at_device("auto")
    assert finding.text.startswith("auto took cpu: ")
    assert finding.facts["took"] == "cpu"
    assert finding.facts["cuda"]["cards"] == []
    assert finding.facts["processor"]["threads"] == torch.get_num_threads()


@pytest.mark.parametrize(
    "asked", [pytest.param("cuda", marks=WITHOUT_CUDA), "cuda:99", "tpu", pytest.param("mps")]
)
def test_a_device_that_is_not_there(asked):
    finding = look_at_device(asked)
    assert (finding.state, finding.exit_code) == ("problem", 2)
    assert finding.hint
    assert (finding.facts["asked"], finding.facts["took"]) == (asked, None)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """What the system says of its processor and of its driver: files to write into."""
    files = tmp_path / "cpuinfo", tmp_path / "driver"
    monkeypatch.setattr(devices, "_CPUINFO", files[0])
    monkeypatch.setattr(devices, "_DRIVER", files[1])
    return files


CPUINFO = "processor\t: 0\nmodel name\t: Some Chip 9000\nflags\t\t: fpu {}\nbugs\t: avx2\n\n" * 2


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("sse2", (False, False, False)),
        ("avx avx2", (True, False, False)),
        ("avx2 avx512f avx512_bf16", (True, True, True)),
        ("avx2 avx512f amx_bf16", (True, True, True)),
    ],
)
def test_units_of_the_processor(system, flags, units):
    system[0].write_text(CPUINFO.replace("{}", flags))
    known = processor()
    assert known["name"] == "Some Chip 9000"
    assert (known["avx2"], known["avx512"], known["bf16"]) == units
    finding = look_at_device("cpu")
    assert finding.state == ("ok" if units[0] else "warning")
    assert ("no AVX-512" in finding.text) is not units[1]


@pytest.mark.parametrize(("n_threads", "said"), [(1, "1 thread on"), (3, "3 threads on")])
def test_threads_are_counted(monkeypatch, n_threads, said):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    assert f", {said} " in look_at_device("cpu").text


def test_a_system_that_does_not_say_which_units(system):
    assert processor()["avx2"] is None
    finding = look_at_device("cpu")
    assert finding.state == "ok"
    assert "AVX" not in finding.text


@WITHOUT_CUDA
def test_a_driver_without_a_card_that_pytorch_sees(system):
    system[1].write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n")
    assert driver_version() == "550.54.15"
    finding = look_at_device("auto")
    assert finding.state == "warning"
    assert "550.54.15" in finding.hint
    assert look_at_device("cpu").state != "warning"


def test_the_open_drivers_version(system):
    text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build  (root@x)\n"
    system[1].write_text(text)
    assert driver_version() == "570.86.10"


def test_a_card(monkeypatch):
    """As a machine with two cards would answer."""

    class Properties:
        name, major, minor = "Some Card", 9, 0

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _index: Properties)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _index: (3 * 10**9, 80 * 10**9))
    finding = look_at_device("auto")
    assert finding.state == "ok"
    assert finding.text.startswith("auto took cuda:0: Some Card, 3.0 of 80.0 GB free, driver ")
    assert finding.text.endswith("1 more")
    assert [card["index"] for card in finding.facts["cuda"]["cards"]] == [0, 1]
    assert finding.facts["cuda"]["cards"][0]["capability"] == "9.0"
    assert look_at_device("cuda:1").facts["took"] == "cuda:1"
