"""Run the command line inside the test process, and videos whose one action a stand-in network sees."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from ascnet_cli.cli.app import main
from extractors.features import Extractor
from extractors.pieces import read_videos
from extractors.recipe import FeatureRecipe
from tests.synthetic import make_video
from weights.registry import entry
from weights.store import load

ACTION = "archery"
KINETICS_WEIGHTS = "i3d-rgb-kinetics400"
HEADER = "video,label,start_s,end_s,score"


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """Lines on standard error, without the one about the device."""
        return [line for line in self.err.splitlines() if not line.startswith("device:")]


def stream(file: io.BufferedIOBase | io.RawIOBase | None = None, encoding: str = "utf-8") -> io.TextIOWrapper:
    """A standard stream of our own, as bytes and as text."""
    return io.TextIOWrapper(file or io.BytesIO(), encoding=encoding, newline="\n", write_through=True)


def ascnet(
    *arguments: str | Path, out: io.TextIOWrapper | None = None, err: io.TextIOWrapper | None = None
) -> Ran:
    """Run `ascnet ARGUMENTS` as a shell would, but here."""
    out, err = out or stream(), err or stream()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with (
            mock.patch.object(sys, "argv", ["ascnet", *map(str, arguments)]),
            mock.patch.object(sys, "excepthook", sys.excepthook),
            mock.patch.dict(os.environ),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for forcing in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
                os.environ.pop(forcing, None)
            code = _code()
    finally:
        signal.signal(signal.SIGTERM, before)
    return Ran(code, _said(out), _said(err))


def _code() -> int:
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def _said(text: io.TextIOWrapper) -> str:
    return text.buffer.getvalue().decode("utf-8") if isinstance(text.buffer, io.BytesIO) else ""


def action_video(path: Path, *actions_s: tuple[float, float], length_s: float = 5.0) -> Path:
    """A dark video that is bright, and so shows `ACTION` to the stand-in network, from 1 s to 4 s.

    Args:
        path: where to.
        actions_s: other stretches of brightness, seconds.
        length_s: of the video, seconds.
    """
    dark, bright = np.full((48, 64, 3), 20, np.uint8), np.full((48, 64, 3), 235, np.uint8)
    times_s = np.arange(0, length_s, 0.2)
    shown = [any(start <= t < end for start, end in actions_s or [(1.0, 4.0)]) for t in times_s + 0.01]
    pictures = [bright if light else dark for light in shown]
    return make_video(path, n_frames=len(pictures), fps=5, size=(64, 48), pictures=pictures)


class StandIn:
    """In place of a backbone: bright pictures give the features that the head takes for `ACTION`."""

    dim = 1024
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self) -> None:
        tensors = load(KINETICS_WEIGHTS).tensors
        weight = tensors["logits.weight"].reshape(400, 1024)
        names = (Path(entry(KINETICS_WEIGHTS).path).parent / "kinetics400.txt").read_text().splitlines()
        self._row = weight[names.index(ACTION)] * (12 / weight[names.index(ACTION)].square().sum())

    def pixels(self, rgb):
        return rgb.float().div(255).permute(3, 0, 1, 2)

    def snippets(self, clips):
        return (clips.mean(dim=(1, 2, 3, 4)) > 0.5).float()[:, None] * self._row, torch.zeros(len(clips), 400)

    def stream(self):
        return self

    def push(self, x_CTHW, *, last):
        del last
        blocks = x_CTHW.mean(dim=(0, 2, 3)).reshape(-1, 8).mean(dim=1)
        return (blocks > 0.5).float()[:, None] * self._row


@cache
def _loaded():
    return StandIn(), load(KINETICS_WEIGHTS)


class _ReadHere:
    """In place of a decoder's process."""

    read_videos = staticmethod(read_videos)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def stand_in_network(*, apart: bool = False):
    """Everything as it is, but for the slow steps: the network, reading its weights every time, and, unless
    `apart`, the process in which videos are decoded.
    """
    network, loaded = _loaded()
    with (
        contextlib.nullcontext() if apart else mock.patch("extractors.features.DecoderProcess", _ReadHere),
        mock.patch("extractors.features.make_backbone", return_value=network),
        mock.patch(
            "ascnet_cli.detector.load", lambda name: loaded if name == KINETICS_WEIGHTS else load(name)
        ),
    ):
        yield


def default_recipe(**changes) -> FeatureRecipe:
    """The recipe of the default RGB weights in isolated snippets, or another one."""
    values = {"weights": {"rgb": load(KINETICS_WEIGHTS).sha256}, **changes}
    return FeatureRecipe(**values)


def run_until_stuck(arguments: list[str]) -> None:
    """For a process of its own: the command, in which videos called stuck.mp4 never end."""
    extract = Extractor.extract

    def sometimes_stuck(self, path, **options):
        if path.name == "stuck.mp4":
            sys.stderr.write("stuck\n")
            time.sleep(600)
        return extract(self, path, **options)

    sys.argv = ["ascnet", *arguments]
    with stand_in_network(), mock.patch.object(Extractor, "extract", sometimes_stuck):
        main()
