r"""Optical flow algorithms side by side: speed, distance from OpenCV's TV-L1, and what it does to features.

    python -m tests.bench.flow_speed [--clip FILE[@SECONDS] ...] [--threads 2] [--plot FILE.png]

Of each clip one snippet is taken (17 frames of the 25 fps grid, shorter side 256: 16 pairs), from a given
second on; with fewer `--pairs` their flows are repeated to fill it. The algorithms take turns, 4 pairs at a
time, so that a change of the machine's speed hits all. Times are the clock's; with `--threads 1` they are the
processor's, so that what other programs take of a busy machine is not counted.

Errors are mean end-point errors to OpenCV's defaults: over all pixels, and over those that OpenCV moves by
less than 10 px. Features are I3D's of one snippet of flow, and a cosine is that to the snippet of OpenCV's
flow. No trained flow stream can be shipped, so two others stand for it: the shipped RGB network, the first
kernel's colours summed up and spread evenly over the two flow channels; and the network with random kernels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from extractors.backbones import make_backbone
from extractors.flow import (
    TVL1_PRESETS,
    DisConfig,
    OpenCvTvL1Config,
    RaftConfig,
    make_flow,
    quantize_flow,
)
from extractors.pieces import centre_crop
from extractors.snippets import SNIPPET_FRAMES, Resampler
from extractors.video import open_video
from weights.store import load

CLIP = Path(__file__).parents[2] / "examples" / "mocap" / "mocap.mp4"
REFERENCE = "OpenCV TV-L1, defaults"
NEAR_PX = 10.0
TURN_PAIRS = 4


@dataclass
class Way:
    """An algorithm and what was found of it: one entry a turn, or one a clip."""

    estimate: object
    seconds: list[float] = field(default_factory=list)
    error_px: list[float] = field(default_factory=list)
    near_error_px: list[float] = field(default_factory=list)
    cosines: dict[str, list[float]] = field(default_factory=dict)


def ways():
    raft = load("raft-small")
    found = {
        REFERENCE: make_flow(OpenCvTvL1Config()),
        "OpenCV TV-L1, no median": make_flow(OpenCvTvL1Config(median_px=1)),
        "OpenCV TV-L1, 2 warps of 4 x 10": make_flow(OpenCvTvL1Config(n_warps=2, n_outer=4, n_inner=10)),
        "OpenCV TV-L1, settings of fast": make_flow(
            OpenCvTvL1Config(
                n_scales=TVL1_PRESETS["fast"].n_scales,
                scale_step=TVL1_PRESETS["fast"].scale_step,
                n_warps=TVL1_PRESETS["fast"].n_warps,
            )
        ),
        **{f"**tvl1, {name}**": make_flow(config) for name, config in TVL1_PRESETS.items()},
        "DIS, medium": make_flow(DisConfig()),
        "RAFT-small": make_flow(RaftConfig(weights_sha256=raft.sha256), tensors=raft.tensors),
    }
    return {name: Way(estimate) for name, estimate in found.items()}


def networks():
    """I3D flow streams by name."""
    tensors = dict(load("i3d-rgb-kinetics400").tensors)
    first = next(name for name, value in tensors.items() if value.ndim == 5 and value.shape[1] == 3)
    tensors[first] = tensors[first].sum(dim=1, keepdim=True).expand(-1, 2, -1, -1, -1).contiguous() / 2
    generator = torch.Generator().manual_seed(0)
    drawn = {
        name: torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        if value.ndim == 5
        else torch.full_like(value, float(name.endswith(("running_var", "bn.weight"))))
        for name, value in tensors.items()
    }
    device = torch.device("cpu")
    return {
        "RGB kernels": make_backbone("i3d", "flow", tensors, device=device),
        "random kernels": make_backbone("i3d", "flow", drawn, device=device),
    }


def feature(network, flow_NCHW):
    flow_NCHW = flow_NCHW[np.arange(SNIPPET_FRAMES) % len(flow_NCHW)]
    scaled_NHWC = quantize_flow(np.ascontiguousarray(centre_crop(flow_NCHW.transpose(0, 2, 3, 1))))
    return network.snippets(torch.from_numpy(scaled_NHWC).permute(3, 0, 1, 2)[None])[0][0].double()


def frames_of(clip, n_pairs):
    path, _, start_s = clip.partition("@")
    with open_video(Path(path)) as reader:
        frames = Resampler().resample(reader.frames(), iter(()))
        first = round(float(start_s or 1) * 25)
        frames = [frame.rgb for frame in islice(frames, first, first + n_pairs + 1)]
    if len(frames) <= n_pairs:
        raise SystemExit(f"{path} has no {n_pairs + 1} frames from second {start_s or 1} on")
    return np.stack(frames)


def measure(found, nets, clip, n_pairs, now):
    frames = frames_of(clip, n_pairs)
    flows = {name: [] for name in found}
    for way in found.values():
        way.estimate(frames[:2])  # memory is set up, kernels are compiled
    for start in range(0, n_pairs, TURN_PAIRS):
        for name, way in found.items():
            started = now()
            flows[name].append(way.estimate(frames[start : start + TURN_PAIRS + 1]))
            way.seconds.append(now() - started)
    flows = {name: np.concatenate(parts) for name, parts in flows.items()}
    wanted = flows[REFERENCE]
    motion_px = np.hypot(wanted[:, 0], wanted[:, 1])
    print(
        f"{Path(clip).name}: mean motion {motion_px.mean():.2f} px, largest {motion_px.max():.0f}", flush=True
    )
    for name, way in found.items():
        error_px = np.hypot(*(flows[name] - wanted).transpose(1, 0, 2, 3))
        way.error_px.append(float(error_px.mean()))
        way.near_error_px.append(float(error_px[motion_px < NEAR_PX].mean()))
        for net, network in nets.items():
            cosine = torch.cosine_similarity(feature(network, flows[name]), feature(network, wanted), dim=0)
            way.cosines.setdefault(net, []).append(float(cosine))


def ratio(found, way):
    """How many times the reference's speed."""
    return sum(found[REFERENCE].seconds) / sum(way.seconds)


def show(found, nets):
    print()
    print(
        "| algorithm | times OpenCV's speed | pairs/s | mean error, px"
        f" | under {NEAR_PX:.0f} px of motion | worst clip |"
        + "".join(f" cosine, {net}: worst, median |" for net in nets)
    )
    print("|---|---|---|---|---|---|" + "---|" * len(nets))
    for name, way in found.items():
        rate = len(way.seconds) * TURN_PAIRS / sum(way.seconds)
        print(
            f"| {name} | {ratio(found, way):.1f} | {rate:.1f} | {np.mean(way.error_px):.4f}"
            f" | {np.mean(way.near_error_px):.4f} | {max(way.near_error_px):.4f} |"
            + "".join(f" {min(way.cosines[n]):.5f}, {statistics.median(way.cosines[n]):.5f} |" for n in nets)
        )


def plot(found, file):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, way in found.items():
        if name == REFERENCE:
            continue
        ours = name.startswith("**")
        x, y = ratio(found, way), float(np.mean(way.near_error_px))
        axes.plot(x, y, "o" if ours else "s", color="tab:red" if ours else "tab:grey", markersize=8)
        label = name.strip("*")
        axes.annotate(label, (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=10)
    axes.set(xscale="log", yscale="log", xlabel="times the speed of OpenCV's TV-L1 (defaults)")
    axes.set_ylabel(f"mean end-point error to it, px (motion under {NEAR_PX:.0f} px)")
    axes.margins(0.25, 0.15)
    axes.grid(alpha=0.3, which="both")
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", nargs="+", default=[f"{CLIP}@4"], metavar="FILE[@SECONDS]")
    parser.add_argument("--pairs", type=int, default=SNIPPET_FRAMES, choices=range(4, 17, 4))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    now = time.process_time if options.threads == 1 else time.perf_counter
    found, nets = ways(), networks()
    with torch.inference_mode():
        for clip in options.clip:
            measure(found, nets, clip, options.pairs, now)
    times = "the processor's time" if options.threads == 1 else "the clock's time"
    print(f"\n{options.threads} thread(s), {times}, {len(options.clip)} clip(s)")
    show(found, nets)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
