"""Which device the networks would run on, and what there is to know about it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ascnet_cli.doctor.findings import Finding
from ascnet_cli.errors import DeviceError

if TYPE_CHECKING:
    import torch

_CPUINFO = Path("/proc/cpuinfo")
_DRIVER = Path("/proc/driver/nvidia/version")
# What /proc/cpuinfo calls units for 16-bit brain floats.
_BF16 = ("avx512_bf16", "amx_bf16")


def look_at_device(asked: str) -> Finding:
    """What `--device` would take.

    Args:
        asked: as `--device` takes it.
    """
    from extractors.device import resolve_device

    facts: dict[str, object] = {"asked": asked, "took": None, "processor": processor(), "cuda": cards()}
    try:
        device = resolve_device(asked)
    except DeviceError as error:
        return Finding("device", "problem", str(error), error.hint, error.exit_code, facts)
    facts["took"] = str(device)
    took = f"auto took {device}" if asked == "auto" else str(device)
    text = f"{took}: {_card(device) if device.type == 'cuda' else _processor()}"
    driver = driver_version()
    if asked == "auto" and device.type == "cpu" and driver:
        hint = (
            f"an NVIDIA driver ({driver}) is here, but PyTorch sees no card: is the driver too old for it,"
            " or CUDA_VISIBLE_DEVICES empty?"
        )
        return Finding("device", "warning", text, hint, 0, facts)
    if device.type == "cpu" and processor()["avx2"] is False:
        hint = "this processor has no AVX2: it works, slowly; use another machine for long videos"
        return Finding("device", "warning", text, hint, 0, facts)
    return Finding("device", "ok", text, facts=facts)


def processor() -> dict[str, object]:
    """Name, threads and units of the processor; None for what the system does not say."""
    import torch

    text = _read(_CPUINFO)
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    line = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(line[1].split()) if line else None
    return {
        "name": name[1].strip() if name else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "avx2": None if flags is None else "avx2" in flags,
        "avx512": None if flags is None else "avx512f" in flags,
        "bf16": None if flags is None else any(flag in flags for flag in _BF16),
        "torch_uses": torch.backends.cpu.get_cpu_capability(),
    }


def cards() -> dict[str, object]:
    """The CUDA cards that PyTorch sees, with their memory in bytes."""
    import torch

    found: list[dict[str, object]] = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        found.append(
            {
                "index": index,
                "name": properties.name,
                "memory_bytes": total,
                "free_bytes": free,
                "capability": f"{properties.major}.{properties.minor}",
            }
        )
    return {"torch_cuda": torch.version.cuda, "driver": driver_version(), "cards": found}


def driver_version() -> str | None:
    """Version of the NVIDIA driver, where one is loaded on Linux."""
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 ..."
    found = re.search(r"Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", _read(_DRIVER))
    return found[1] if found else None


def _processor() -> str:
    known = processor()
    names = {"avx2": "AVX2", "avx512": "AVX-512", "bf16": "bf16"}
    units = [name if known[key] else f"no {name}" for key, name in names.items() if known[key] is not None]
    used, cores = (
        f"{known[what]} {what if known[what] != 1 else what[:-1]}" for what in ("threads", "cores")
    )
    parts = [str(known["name"] or "processor"), f"{used} on {cores}"]
    return ", ".join(parts + units)


def _card(device: torch.device) -> str:
    import torch

    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    others = torch.cuda.device_count() - 1
    parts = [
        properties.name,
        f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free",
        f"driver {driver_version() or 'unknown'}, CUDA {torch.version.cuda}",
    ]
    return ", ".join(parts + ([f"{others} more"] if others else []))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
