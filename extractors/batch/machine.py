"""What this machine has for workers: processor cores and graphics cards, told without loading torch."""

from __future__ import annotations

import os
import re
from pathlib import Path


def n_cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells
        return os.cpu_count() or 1


def threads_each(n_workers: int) -> int:
    """Threads a worker, so that all of them together do not use more than there are cores.

    OMP_NUM_THREADS, where a person has set it, is taken as it is.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) > 0 else max(1, n_cores() // n_workers)


def default_workers(device: str) -> int:
    """Worker processes where nobody says how many: one a graphics card, or one for four cores.

    Args:
        device: as it was asked for. One card that is named has one worker.
    """
    if device in ("auto", "cuda"):
        cards = n_cards()
        if cards or device == "cuda":
            return max(cards, 1)
    return max(1, n_cores() // 4) if device in ("auto", "cpu") else 1


def n_cards() -> int:
    """NVIDIA cards that a process may use, without loading torch to ask."""
    try:
        n_cards = sum(1 for _ in Path("/proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return n_cards
    return min(n_cards, sum(1 for name in visible.split(",") if name.strip() not in ("", "-1")))


def check_device(name: str) -> None:
    """Hold, before any work is done, that a device is there; torch is loaded only where nobody else knows.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        DeviceError: the name is unknown, or the device is not there.
    """
    if name in ("auto", "cpu"):
        return
    card = re.fullmatch(r"cuda(?::(\d{1,4}))?", name)
    if card is not None and int(card[1] or 0) < n_cards():
        return  # the driver shows it; whether torch can use it, the worker finds out
    from extractors.device import resolve_device

    resolve_device(name)
