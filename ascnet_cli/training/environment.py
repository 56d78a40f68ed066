"""Where a run computes: what `environment.json` says, and what a resumed run finds changed in it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import torch

_PACKAGES = ("torch", "numpy", "safetensors")
_DECIDING = ("torch", "cuda", "device", "threads", "processes")  # each may change the last digits of a sum


def environment(device: torch.device, processes: int) -> dict[str, object]:
    """Versions and machine, as JSON knows them."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": processes,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        **{name: version(name) for name in _PACKAGES},
    }


def changes(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """What may keep a resumed run from the very numbers of one that was not interrupted; else nothing.

    What an older record does not hold is not compared.
    """
    found = [
        f"{name} is {now[name]}, and was {before[name]}"
        for name in _DECIDING
        if name in before and before[name] != now[name]
    ]
    if not found:
        return ""
    return f"resumed elsewhere: {'; '.join(found)}: the last digits of the weights may come out otherwise"
