"""Which Ray cluster, and what a task gets of it."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from dataclasses import dataclass
from typing import Any

from extractors.errors import OptionError

_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class RayOptions:
    """What a person may say of a cluster.

    Attributes:
        address: of a running one, `auto` or host:port; None: one is started on this machine, and ended.
        n_cpus: processor cores of a task, which are its threads; None: four, or what the largest node has.
        n_gpus: graphics cards of a task, fractions share one; None: one where the cluster has any.

    Raises:
        OptionError: an address that tasks cannot report through, or a number out of its range.
    """

    address: str | None = None
    n_cpus: int | None = None
    n_gpus: float | None = None

    def __post_init__(self) -> None:
        if self.address is not None and self.address.startswith("ray://"):
            raise OptionError(
                f"{self.address} is for Ray's client, which this cannot use",
                hint="run ascnet on a node of the cluster, with --address auto",
            )
        if self.n_cpus is not None and self.n_cpus < 1:
            raise OptionError(f"--num-cpus must be at least 1, not {self.n_cpus}", hint="for example 4")
        if self.n_gpus is not None and not 0 <= self.n_gpus < math.inf:
            raise OptionError(f"--num-gpus must be 0 or more, not {self.n_gpus}", hint="for example 0.5")


def connected(address: str | None) -> Any:  # noqa: ANN401 - the module itself
    """Ray, connected to a cluster.

    Raises:
        OptionError: it is not installed, or none answers.
    """
    # Ray reports its use over the network unless it is told not to before it is loaded.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise OptionError("Ray is not installed", hint="pip install 'ascnet[ray]'") from error
    if address not in (None, "auto", "local"):
        _answers(address)
    here: dict[str, Any] = {} if address else {"include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError, OSError, TimeoutError) as error:
        raise _no_cluster(address, str(error)) from error
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # Ray puts its own there, which end the process at once
            signal.signal(number, handler)
    return ray


def _answers(address: str) -> None:
    """Hold that something listens: Ray itself ends the process after a minute where nothing does.

    Raises:
        OptionError: nothing listens there, or it is no address.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, why: str) -> OptionError:
    where = f"no Ray cluster answers at {address}" if address else "Ray could not be started here"
    return OptionError(
        f"{where}: {why.splitlines()[0] if why else 'no reason given'}",
        hint="start one with `ray start --head`, and give the address that it prints",
    )
