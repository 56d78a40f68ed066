"""I3D, Inception-v1 inflated to three dimensions: the network, and nothing else.

Source: Carreira and Zisserman, "Quo Vadis, Action Recognition?" (CVPR 2017), with TensorFlow's 'SAME'
padding, which is asymmetric where a stride meets an even length. Batch norm is folded into the
convolutions (see `weights.convert`), so every unit is convolution, bias, ReLU.

The network is fully convolutional in time: one feature every `TEMPORAL_STRIDE` frames. Two drivers run
the same operators:

* `I3D.forward` takes a whole clip at once, as a batch of isolated snippets does.
* `I3DStream` takes a video piece by piece and keeps, before every operator that looks across time, the
  few frames that the next piece still needs. Its output is that of one pass over the whole video, in
  memory that does not depend on the video's length; there are no chunk borders, so no seams.

Shape legend: B clips, C channels, T frames, H and W pixels, D features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from extractors.errors import OptionError
from weights.architecture import IN_CHANNELS, MIXED_WIDTHS, N_CLASSES, Stream

TEMPORAL_STRIDE = 8  # frames a feature: strides 2 (stem), 2 (pool 4a), 2 (pool 5a)
# Max pools of stride 2 stand before these modules; their kernel in all three directions.
POOLS = {"mixed_4b": 3, "mixed_5b": 2}


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's 'SAME' padding of one axis, (before, after).

    Source: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def _pad(x: Tensor, time: tuple[int, int], height: tuple[int, int], width: tuple[int, int]) -> Tensor:
    if any((*time, *height, *width)):
        return F.pad(x, (*width, *height, *time))
    return x


def _max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Max pooling with 'SAME' padding in space and none in time.

    A maximum over a box is that over time, then that over the picture. Taken one after the other they run on
    all cores also for a single clip, which the three-dimensional operator does not, and give the same bits.
    Inputs come from a ReLU, so a window that hangs over the far edge may as well see zeros: `ceil_mode`
    gives that without a padded copy.
    """
    n_out = (x.shape[2] - kernel[0]) // stride[0] + 1
    shifted = [x[:, :, i : i + stride[0] * (n_out - 1) + 1 : stride[0]] for i in range(kernel[0])]
    x = reduce(torch.maximum, shifted)
    pictures = x.transpose(1, 2).flatten(0, 1)  # a view in channels-last memory
    pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[3:], kernel[1:], stride[1:], strict=True)]
    if all(before == after for before, after in pads):
        pooled = F.max_pool2d(pictures, kernel[1:], stride[1:], [before for before, _ in pads])
    else:
        if any(before for before, _ in pads):
            pictures = F.pad(pictures, (*pads[1], *pads[0]))
        pooled = F.max_pool2d(pictures, kernel[1:], stride[1:], ceil_mode=True)
    return pooled.reshape(x.shape[0], n_out, *pooled.shape[1:]).transpose(1, 2)


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], padding: list[int]
) -> Tensor:
    """A convolution; on a processor always oneDNN's.

    For a single small clip PyTorch chooses an operator of its own, which is slower and answers in the default
    memory layout, and all that follows is slower for it.
    """
    on_cpu = x.device.type == weight.device.type == "cpu" and x.dtype == torch.float32
    if on_cpu and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)


class _Unit(nn.Conv3d):
    """Convolution and bias, then ReLU; 'SAME' padding in space, the caller's in time."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride)

    def run(self, x: Tensor, time: tuple[int, int] = (0, 0)) -> Tensor:
        k, s = self.kernel_size[1], self.stride[1]
        if k == 1:  # a matrix product over the channels, which lie side by side
            weight = self.weight.flatten(1)
            return F.relu_(F.linear(x.movedim(1, -1), weight, self.bias)).movedim(-1, 1)
        pads = (time, same_padding(x.shape[3], k, s), same_padding(x.shape[4], k, s))
        if any(before != after for before, after in pads):
            x, pads = _pad(x, *pads), ((0, 0),) * 3
        return F.relu_(_convolve(x, self.weight, self.bias, self.stride, [before for before, _ in pads]))


class _Mixed(nn.Module):
    """An Inception module: four branches side by side, three of which look one frame to each side."""

    def __init__(self, c_in: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = sizes
        self.b0 = _Unit(c_in, b0, 1)
        self.b1a, self.b1b = _Unit(c_in, b1a, 1), _Unit(b1a, b1b, 3)
        self.b2a, self.b2b = _Unit(c_in, b2a, 1), _Unit(b2a, b2b, 3)
        self.b3b = _Unit(c_in, b3b, 1)

    def run(self, x: Tensor, time: tuple[int, int]) -> Tensor:
        """(B, C, T, H, W) to (B, C', T + sum(time) - 2, H, W)."""
        before, after = time
        # Without padding on a side, that side's outermost frame is context alone.
        inner = x[:, :, 1 - before : x.shape[2] - 1 + after]
        pooled = _max_pool(_pad(x, time, (0, 0), (0, 0)), (3, 3, 3), (1, 1, 1))
        return torch.cat(
            (
                self.b0.run(inner),
                self.b1b.run(self.b1a.run(x), time),
                self.b2b.run(self.b2a.run(x), time),
                self.b3b.run(pooled),
            ),
            dim=1,
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """One operator that looks across time, followed by those that do not."""

    run: Callable[[Tensor, tuple[int, int]], Tensor]
    kernel: int
    stride: int


@runtime_checkable
class Staged(Protocol):
    """A network as the operators that look across time, in order."""

    def stages(self) -> list[Stage]:
        """Each takes (1, C, T, H, W) and how many frames of zeros go before and after."""


class I3D(nn.Module):
    """Inception-v1 I3D for one stream.

    Args:
        stream: "rgb" (3 channels, values in [-1, 1]) or "flow" (2 channels, x then y, in [-1, 1]).
        n_classes: length of the logits.
        width_divisor: divides every channel count; 1 is the real network, more makes a small one of the
            same structure to test with.
    """

    def __init__(self, stream: Stream = "rgb", *, n_classes: int = N_CLASSES, width_divisor: int = 1) -> None:
        super().__init__()
        self.stream = stream

        def narrow(channels: int) -> int:
            return max(channels // width_divisor, 1)

        self.conv3d_1a_7x7 = _Unit(IN_CHANNELS[stream], narrow(64), 7, 2)
        self.conv3d_2b_1x1 = _Unit(narrow(64), narrow(64), 1)
        self.conv3d_2c_3x3 = _Unit(narrow(64), narrow(192), 3)
        c_in = narrow(192)
        for name, sizes in MIXED_WIDTHS.items():
            narrowed = tuple(narrow(size) for size in sizes)
            self.add_module(name, _Mixed(c_in, narrowed))
            c_in = narrowed[0] + narrowed[2] + narrowed[4] + narrowed[5]
        self.dim = c_in
        self.logits = nn.Conv3d(c_in, n_classes, 1)

    def stages(self) -> list[Stage]:
        """The network as the operators that look across time, in order."""

        def mixed(name: str, then: Callable[[Tensor], Tensor] | None = None) -> Stage:
            module = self.get_submodule(name)
            if not isinstance(module, _Mixed):
                raise TypeError(f"{name} is not an Inception module")

            def run(x: Tensor, time: tuple[int, int]) -> Tensor:
                x = module.run(x, time)
                return x if then is None else then(x)

            return Stage(run, 3, 1)

        def stem(x: Tensor, time: tuple[int, int]) -> Tensor:
            x = _max_pool(self.conv3d_1a_7x7.run(x, time), (1, 3, 3), (1, 2, 2))
            return self.conv3d_2b_1x1.run(x)

        def conv_2c(x: Tensor, time: tuple[int, int]) -> Tensor:
            return _max_pool(self.conv3d_2c_3x3.run(x, time), (1, 3, 3), (1, 2, 2))

        def pool(kernel: int) -> Stage:
            def run(x: Tensor, time: tuple[int, int]) -> Tensor:
                x = _pad(x, time, (0, 0), (0, 0))
                return _max_pool(x, (kernel, kernel, kernel), (2, 2, 2))

            return Stage(run, kernel, 2)

        return [
            Stage(stem, 7, 2),
            Stage(conv_2c, 3, 1),
            mixed("mixed_3b"),
            mixed("mixed_3c"),
            pool(3),
            *(mixed(f"mixed_4{letter}") for letter in "bcdef"),
            pool(2),
            mixed("mixed_5b"),
            mixed("mixed_5c"),
        ]

    def feature_map(self, clips_BCTHW: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t8 h32 w32"]:
        """The output of mixed_5c: one position every 8 frames and 32 pixels (rounded up)."""
        x = clips_BCTHW
        for stage in self.stages():
            x = stage.run(x, same_padding(x.shape[2], stage.kernel, stage.stride))
        return x

    def classify(self, pooled_BDT: Float[Tensor, "b d t"]) -> Float[Tensor, "b k t"]:
        """Logits at each position, from features averaged over space."""
        weight = self.logits.weight[:, :, :, 0, 0]
        return F.conv1d(pooled_BDT, weight, self.logits.bias)

    def forward(
        self, clips_BCTHW: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        """Features and logits of isolated clips.

        As published: average pool (2, 7, 7) with stride 1 over mixed_5c, then the mean over time. The
        pool weighs the inner positions twice, so it is more than a plain mean from 3 positions on.

        Args:
            clips_BCTHW: values in [-1, 1]; 224 x 224 pixels, at least 9 frames (16 in a snippet).

        Returns:
            features (B, 1024) and logits (B, 400).
        """
        pooled_BDT = self.feature_map(clips_BCTHW).mean(dim=(3, 4))
        if pooled_BDT.shape[2] > 1:
            pooled_BDT = (pooled_BDT[:, :, :-1] + pooled_BDT[:, :, 1:]) / 2
        features_BD = pooled_BDT.mean(dim=2)
        return features_BD, self.classify(features_BD.unsqueeze(2)).squeeze(2)


class I3DStream:
    """I3D over one video that arrives in pieces; the result is that of a single pass.

    Feature j is centred on frames 8 j .. 8 j + 7. The total number of frames must be even at every
    stride, a multiple of 8: then 'SAME' padding is the same as that of the whole video.

    Args:
        network: an I3D in eval mode, or another one in stages; its device and dtype are the stream's.
    """

    def __init__(self, network: Staged) -> None:
        self._stages = network.stages()
        self._tails: list[Tensor | None] = [None] * len(self._stages)
        self._started = [False] * len(self._stages)
        self._frames = 0

    @torch.inference_mode()
    def push(self, frames_CTHW: Float[Tensor, "c t h w"], *, last: bool = False) -> Float[Tensor, "t8 d"]:
        """Take the next frames and return the features that are now certain.

        Args:
            frames_CTHW: the next frames, on the network's device and of its dtype.
            last: no more frames will come.

        Returns:
            (n, 1024) features averaged over space, n >= 0; all together T / 8 rows.

        Raises:
            OptionError: `last` with a total that is not a multiple of 8.
        """
        self._frames += frames_CTHW.shape[1]
        if last and self._frames % TEMPORAL_STRIDE:
            raise OptionError(f"a stream of {self._frames} frames is not a multiple of {TEMPORAL_STRIDE}")
        x: Tensor | None = frames_CTHW.unsqueeze(0)
        for index in range(len(self._stages)):
            x = self._step(index, x, last)
            if x is None and not last:
                break
        if x is None:
            return frames_CTHW.new_zeros((0, 0))
        return x.mean(dim=(3, 4)).squeeze(0).transpose(0, 1)

    def _step(self, index: int, x: Tensor | None, last: bool) -> Tensor | None:
        """Run one stage on what it kept and what is new; keep what the next piece will need."""
        stage, tail = self._stages[index], self._tails[index]
        pieces = [piece for piece in (tail, x) if piece is not None]
        if not pieces:
            return None
        joined = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)
        # An even length: the padding depends on kernel and stride alone.
        before, after = same_padding(2 * stage.kernel, stage.kernel, stage.stride)
        before = 0 if self._started[index] else before
        after = after if last else 0
        n_out = (joined.shape[2] + before + after - stage.kernel) // stage.stride + 1
        if n_out < 1:
            self._tails[index] = joined
            return None
        out = stage.run(joined[:, :, : (n_out - 1) * stage.stride + stage.kernel - before], (before, after))
        # A copy, so that the large piece it is cut from can go.
        self._tails[index] = joined[:, :, n_out * stage.stride - before :].clone()
        self._started[index] = True
        return out


def load_i3d(
    tensors: dict[str, Tensor],
    *,
    stream: Stream,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> I3D:
    """An I3D in eval mode with these tensors, laid out as the device likes best.

    Channels-last memory is 1.6 times faster than the default layout on x86 processors, and what tensor
    cores want.

    Args:
        tensors: canonical names (see `weights.convert`); strict.
        stream: "rgb" or "flow".
        device: where the network lives.
        dtype: of parameters and inputs.
    """
    with torch.device("meta"):
        network = I3D(stream)
    network.load_state_dict(tensors, strict=True, assign=True)
    network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last_3d)
