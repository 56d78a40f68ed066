"""Random numbers that can be drawn again: streams by name, and the state of torch's own generators."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


def generator(seed: int, *stream: str | int) -> torch.Generator:
    """A generator of the CPU for one purpose: equal seeds and streams draw equal numbers.

    Streams of different names do not overlap: no draw depends on how many another purpose took before.

    Args:
        seed: the run's.
        stream: what the numbers are for, as `("order", epoch)`.
    """
    digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators for a block; the caller's numbers go on unchanged after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's global generators, of the CPU and of a CUDA device in use."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Takes up a state that `random_state` gave; one of the other kind of device says nothing here."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
