"""The whole chain with a network that costs nothing: for hundreds of files, and for very long ones."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from extractors.batch.source import Seat
from extractors.recipe import FeatureRecipe
from tests.extraction_tools import RGB

_ADDRESSES = 12 << 30  # bytes; torch alone maps several gigabytes that it never touches


@dataclass(frozen=True)
class SmallSource:
    """Makes the real extractor, with the stand-in of `cli_tools` for its network, wherever it is sent."""

    recipe: FeatureRecipe = field(default=RGB)

    def build(self, seat: Seat):
        import torch

        from extractors.features import Extractor
        from tests.cli_tools import StandIn

        torch.set_num_threads(seat.n_threads)
        with mock.patch("extractors.features.make_backbone", return_value=StandIn()):
            return Extractor(self.recipe, {"rgb": {}}, device=torch.device("cpu")), "cpu"


def run_extract(arguments: list[str]) -> None:
    """For a process of its own: `ascnet ARGUMENTS` with the small network."""
    import resource

    from ascnet_cli.cli.app import main

    # Also of its workers: memory that grows must fail the test, not the machine.
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    sys.argv = ["ascnet", *arguments]
    with mock.patch("ascnet_cli.extraction.extractor_spec", return_value=SmallSource()):
        main()


def memory_kib(which: str, process: str = "self") -> int:
    """A line of a process's memory in KiB: VmRSS is now, VmHWM the highest so far (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0])
