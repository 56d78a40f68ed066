"""Make an 8-bit calibration of an I3D from a few clips: see `extractors.calibration`.

Rounding weights and activations moves the mean of every channel a little, always the same way. That much
is added back to the bias, unit after unit, each on what the units before it, already corrected, give.
Sources: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019),
section 4.2, with measured means; Krishnamoorthi, arXiv:1806.08342, for ranges and channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from extractors.backbones import scaled_pixels
from extractors.calibration import INPUT, Calibration, made_by, read_by, weight_parts
from extractors.errors import OptionError
from extractors.i3d import POOLS, same_padding
from extractors.pieces import Piece, read_videos
from extractors.snippets import SNIPPET_FRAMES
from extractors.video import DECODERS, LIMITS
from weights.architecture import MIXED_WIDTHS

_STEPS = 255
# Chosen on 28 snippets of other videos than those it was calibrated with: less cuts off what other clips
# have more of, more makes the steps coarser.
_ROOM = 1.25  # from the largest value of these clips to the bound
_TOWARDS_CHANNELS = 0.75  # of the scaling, where the weights that read a tensor have two parts
_FURTHEST = 8.0  # channels' scales from the middle one, either way


def rounded(x: Float[Tensor, "*shape"], low: float, high: float) -> Float[Tensor, "*shape"]:
    """To the nearest of 256 values from `low` to `high`, as FakeQuantize does."""
    step = (high - low) / _STEPS
    return ((x.clamp(low, high) - low) / step).round_().mul_(step).add_(low)


def rounded_weight(weight: Float[Tensor, "o c k1 k2 k3"]) -> Float[Tensor, "o c k1 k2 k3"]:
    """The sum of its 8-bit parts."""
    parts = weight_parts(weight.numpy())
    return torch.from_numpy(np.sum([part for part, _ in parts], axis=0))


def channel_scales(
    largest: Float[Tensor, " c"], weights: Sequence[Float[Tensor, "_ c _ _ _"]]
) -> Float[Tensor, " c"]:
    """What to divide the channels of a tensor by, so that they and the weights that read them are alike.

    Between making the channels' largest values equal and making the largest weights that read them equal:
    halfway (geometrically), or nearer to the former where the weights' rounding hardly matters. Scales stay
    within a factor of the middle one, since a channel that these clips hardly use may be used by others.
    Source: Xiao et al., "SmoothQuant" (ICML 2023), equation 4.

    Args:
        largest: value of each channel.
        weights: of the units that read the tensor.
    """
    read = torch.stack([weight.abs().amax(dim=(0, 2, 3, 4)) for weight in weights]).amax(dim=0)
    alpha = 0.5 if any(weight.shape[-1] == 3 for weight in weights) else _TOWARDS_CHANNELS
    scale = largest.clamp_min(1e-6) ** alpha / read.clamp_min(1e-6) ** (1 - alpha)
    return (scale / scale.median()).clamp(1 / _FURTHEST, _FURTHEST)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The same tensor twice: as it is, and as the 8-bit network has it."""

    exact: Tensor
    rounded: Tensor

    def both(self, change: Callable[[Tensor], Tensor]) -> _Pair:
        return _Pair(change(self.exact), change(self.rounded))


class _Calibrator:
    """Takes clips through the network unit by unit, in both ways."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)
        self._readers = read_by()
        self.scales: dict[str, Float32[np.ndarray, " _"]] = {}
        self.ranges: dict[str, tuple[float, float]] = {}
        self.shifts: dict[str, Float32[np.ndarray, " _"]] = {}

    def unit(self, x: _Pair, name: str, stride: int = 1, *, exactly: bool = False) -> _Pair:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        exact = _convolved(x.exact, weight, bias, stride)
        coarse = _convolved(x.rounded, weight if exactly else rounded_weight(weight), bias, stride)
        shift = exact.mean(dim=(0, 2, 3, 4)) - coarse.mean(dim=(0, 2, 3, 4))
        self.shifts[name] = shift.numpy().copy()
        return _Pair(exact.relu_(), coarse.add_(shift.view(-1, 1, 1, 1)).relu_())

    def tensor(self, x: _Pair, name: str) -> _Pair:
        if name != INPUT and name in self._readers:
            x = self._equalized(x, name)
        low, high = (-1.0, 1.0) if name == INPUT else (0.0, max(_ROOM * float(x.exact.max()), 1e-6))
        self.ranges[name] = low, high
        return _Pair(x.exact, rounded(x.rounded, low, high))

    def _equalized(self, x: _Pair, name: str) -> _Pair:
        """Scale a tensor's channels, and the other way those of the weights to come.

        The rounded weights that made it are scaled by output channel, so they are rounded as they were.
        """
        readers = [f"{unit}.weight" for unit in self._readers[name]]
        scale = channel_scales(x.exact.amax(dim=(0, 2, 3, 4)), [self._tensors[unit] for unit in readers])
        self.scales[name] = scale.numpy().copy()
        for unit in readers:
            self._tensors[unit] = self._tensors[unit] * scale.view(1, -1, 1, 1, 1)
        start = 0
        for unit in made_by(name):
            n_channels = len(self.shifts[unit])
            self.shifts[unit] = self.shifts[unit] / self.scales[name][start : start + n_channels]
            start += n_channels
        return x.both(lambda t: t / scale.view(-1, 1, 1, 1))

    def mixed(self, x: _Pair, name: str) -> _Pair:
        one = self.tensor(self.unit(x, f"{name}.b1a"), f"{name}.b1a")
        two = self.tensor(self.unit(x, f"{name}.b2a"), f"{name}.b2a")
        parts = [
            self.unit(x, f"{name}.b0"),
            self.unit(one, f"{name}.b1b"),
            self.unit(two, f"{name}.b2b"),
            self.unit(x.both(lambda t: _pooled(t, (3, 3, 3), (1, 1, 1))), f"{name}.b3b"),
        ]
        return _Pair(torch.cat([p.exact for p in parts], 1), torch.cat([p.rounded for p in parts], 1))


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    kernel = weight.shape[-1]
    pads = [same_padding(length, kernel, stride) for length in x.shape[2:]]
    padded = F.pad(x, [n for pair in reversed(pads) for n in pair])
    # Twice as fast in this layout.
    return F.conv3d(padded.contiguous(memory_format=torch.channels_last_3d), weight, bias, stride)


def _pooled(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    return F.max_pool3d(F.pad(x, [n for pair in reversed(pads) for n in pair]), kernel, stride)


@torch.inference_mode()
def calibrate(
    weights: str, tensors: Mapping[str, Tensor], clips_BCTHW: Float[Tensor, "b c t h w"]
) -> Calibration:
    """Find the ranges and the corrections of one network.

    Args:
        weights: sha256 of its weights.
        tensors: canonical, float32.
        clips_BCTHW: what it will meet, in [-1, 1]; all of them are in memory at once, 0.1 GB each.

    Raises:
        OptionError: there is no clip.
    """
    if not len(clips_BCTHW):
        raise OptionError("a calibration needs at least one snippet", hint="give a longer video")
    run = _Calibrator(tensors)
    x = run.tensor(_Pair(clips_BCTHW, clips_BCTHW), INPUT)
    # What the stem gives is not rounded: it costs a third of the accuracy, and saves little time.
    x = run.unit(x, "conv3d_1a_7x7", 2).both(lambda t: _pooled(t, (1, 3, 3), (1, 2, 2)))
    x = run.tensor(run.unit(x, "conv3d_2b_1x1", exactly=True), "conv3d_2b_1x1")
    x = run.tensor(run.unit(x, "conv3d_2c_3x3"), "conv3d_2c_3x3")
    x = x.both(lambda t: _pooled(t, (1, 3, 3), (1, 2, 2)))
    for name in MIXED_WIDTHS:
        if name in POOLS:
            x = x.both(partial(_pooled, kernel=(POOLS[name],) * 3, stride=(2, 2, 2)))
        x = run.mixed(x, name)
        if name != "mixed_5c":  # the features are the mean of the last one: nothing is gained by rounding it
            x = run.tensor(x, name)
    return Calibration(weights, run.ranges, run.shifts, run.scales)


def snippets_of(paths: Sequence[Path], n_snippets: int) -> Float[Tensor, "b 3 16 h w"]:
    """Whole snippets, evenly from each video, as many of each as of the others.

    Raises:
        VideoError: a video cannot be read.
        OptionError: there is no whole snippet.
    """
    share = -(-n_snippets // max(len(paths), 1))
    kept = [clip for path in paths for clip in _evenly(_snippets(path), share)]
    if not kept:
        raise OptionError("no video is as long as one snippet (0.64 s)", hint="give a longer video")
    clips = [scaled_pixels(torch.from_numpy(clip), torch.float32) for clip in kept[:n_snippets]]
    return torch.stack(clips).to(memory_format=torch.channels_last_3d)


def _snippets(path: Path) -> Iterator[UInt8[np.ndarray, "16 h w 3"]]:
    reading = read_videos([path], decoder=DECODERS[0], limits=LIMITS, length=SNIPPET_FRAMES, whole=False)
    for item in reading:
        if isinstance(item, Piece):
            if len(item.frames) == SNIPPET_FRAMES:
                yield item.frames
        elif isinstance(item.outcome, Exception):
            raise item.outcome


def _evenly(clips: Iterator[UInt8[np.ndarray, "16 h w 3"]], n: int) -> list[UInt8[np.ndarray, "16 h w 3"]]:
    """Up to n of them from beginning to end, in bounded memory: every one, every second, every fourth, ..."""
    kept: list[UInt8[np.ndarray, "16 h w 3"]] = []
    step = 1
    for index, clip in enumerate(clips):
        if index % step == 0:
            kept.append(clip)
        if len(kept) == 2 * n:
            kept, step = kept[::2], 2 * step
    return [kept[i * len(kept) // n] for i in range(n)] if len(kept) > n else kept
