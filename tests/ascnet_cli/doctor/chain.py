"""The self-test's chain with the network's answer at hand instead of the network."""

from __future__ import annotations

import contextlib
from functools import cache
from unittest import mock

import numpy as np
import torch

from ascnet_cli.detector import load_detector
from ascnet_cli.doctor import selftest
from ascnet_cli.doctor.selftest import EXPECTED
from tests.cli_tools import KINETICS_WEIGHTS, StandIn
from weights.files import parse_safetensors
from weights.store import load


class Answers(StandIn):
    """A backbone that has looked the features up."""

    def __init__(self, values):
        self.values = values

    def pixels(self, rgb):
        return rgb.float().permute(3, 0, 1, 2)

    def push(self, x_CTHW, *, last):
        return torch.from_numpy(self.values) if last else torch.zeros(0, 1024)


@cache
def _loaded():
    return load(KINETICS_WEIGHTS)


def stored() -> np.ndarray:
    return parse_safetensors(EXPECTED.read_bytes(), "stored")[0]["features"]


@contextlib.contextmanager
def answering(values: np.ndarray | None = None):
    """Everything as it is, but for the network: it answers with the stored features, or with others.

    The decoder is not in a process of its own, which takes a second to start; it is with the real network.
    """
    network = Answers(stored() if values is None else values)
    loaded = _loaded()
    with (
        mock.patch("extractors.features.make_backbone", return_value=network),
        mock.patch("ascnet_cli.detector.load", return_value=loaded),
        mock.patch.object(
            selftest, "load_detector", lambda *a, **o: load_detector(*a, **{**o, "apart": False})
        ),
    ):
        yield
