"""I3D RGB on the processor: memory layouts, batches and the dense stream, side by side in one run.

    python -m tests.bench.i3d_speed

The default path is isolated snippets in lanes (`extractors.lanes`). Its two figures come last: its rate as a
share of the float32 matrix-product peak, and its ratio to plain eager PyTorch (NCDHW, batch 1).

Ratios are to the graph written out plainly (the reference of the tests: one PyTorch operator after the other)
in the default layout at batch 1. The peak is the best float32 rate seen between the rounds, of a large matrix
product or of a convolution of 512 channels: on some processors the library of matrix products does not use
all that the convolutions' library does. Rounds take turns, so that a change of the machine's speed hits all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from extractors.backbones import I3DBackbone
from extractors.i3d import I3DStream, load_i3d
from extractors.lanes import LaneClips, Lanes
from tests.extractors.test_i3d import reference
from weights.store import load

SNIPPET_GFLOP = 55.6  # multiply-adds counted twice, 16 x 224 x 224 RGB
ROUNDS = 5
DEFAULT = "the default: clips in lanes"


def peak_gflops(clock: Callable[[], float] = time.perf_counter) -> float:
    """The better of a matrix product and a convolution that fills the processor."""
    a, b = torch.rand(4096, 4096), torch.rand(4096, 4096)
    x, kernel = (torch.rand(4, 512, n, n).to(memory_format=torch.channels_last) for n in (56, 3))
    kernel = kernel[:1].expand(512, -1, -1, -1).contiguous(memory_format=torch.channels_last)

    def rate(work: Callable[[], object], n_operations: int) -> float:
        work()
        started = clock()
        work()
        return n_operations / (clock() - started) / 1e9

    return max(
        rate(lambda: a @ b, 2 * 4096**3),
        rate(lambda: functional.conv2d(x, kernel, padding=1), 2 * 4 * 512 * 512 * 9 * 56 * 56),
    )


@torch.inference_mode()
def main() -> None:
    tensors = load("i3d-rgb-kinetics400").tensors
    best = load_i3d(dict(tensors), stream="rgb", device=torch.device("cpu"))

    def clips(n: int) -> torch.Tensor:
        return torch.rand(n, 3, 16, 224, 224) * 2 - 1

    def plain(n: int) -> float:
        x = clips(n)
        started = time.perf_counter()
        reference(tensors, x)
        return n / (time.perf_counter() - started)

    def batch(n: int) -> float:
        x = clips(n).to(memory_format=torch.channels_last_3d)
        started = time.perf_counter()
        best(x)
        return n / (time.perf_counter() - started)

    def stream(n_frames: int) -> float:
        run = I3DStream(best)
        x = (torch.rand(1, 3, 4 * n_frames, 224, 224) * 2 - 1).to(memory_format=torch.channels_last_3d)[0]
        started = time.perf_counter()
        for piece in range(4):
            run.push(x[:, piece * n_frames : (piece + 1) * n_frames], last=piece == 3)
        return 4 * n_frames / 16 / (time.perf_counter() - started)

    backbone = I3DBackbone(best)
    pictures = [torch.randint(0, 256, (16, 224, 224, 3), dtype=torch.uint8).numpy() for _ in range(8)]

    def lanes() -> float:
        started = time.perf_counter()
        with Lanes() as side_by_side:
            runner = LaneClips(backbone, side_by_side)
            for row in [runner.submit(clip) for clip in pictures]:
                row.result()
        return len(pictures) / (time.perf_counter() - started)

    ways = {
        DEFAULT: lanes,
        "plain graph, batch 1": lambda: plain(1),
        "plain graph, batch 4": lambda: plain(4),
        "isolated snippets, batch 1": lambda: batch(1),
        "isolated snippets, batch 4": lambda: batch(4),
        "dense stream, 16 frames a piece": lambda: stream(16),
        "dense stream, 32 frames a piece": lambda: stream(32),
        "dense stream, 64 frames a piece": lambda: stream(64),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    peaks = []
    for index in range(ROUNDS + 1):
        peaks.append(peak_gflops())
        for name, run in ways.items():
            rate = run()
            if index:
                rates[name].append(rate)
    base = rates["plain graph, batch 1"]
    peak = max(peaks)
    print(f"{torch.get_num_threads()} threads, peak {peak:.0f} GFLOP/s")
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, base, strict=True))
        rate = statistics.median(found)
        print(f"{name:34s} {rate:5.2f} snippets/s  {ratio:4.2f}x  {rate * SNIPPET_GFLOP / peak:4.0%} of peak")
    ratio = statistics.median(a / b for a, b in zip(rates[DEFAULT], base, strict=True))
    share = statistics.median(rates[DEFAULT]) * SNIPPET_GFLOP / peak
    print(f"the default path: {share:.0%} of the fp32 peak, {ratio:.2f} times plain eager NCDHW at batch 1")


if __name__ == "__main__":
    main()
