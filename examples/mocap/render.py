"""Make the example clip, or others like it, from motion-capture recordings.

    python -m examples.mocap.render --out examples/mocap/mocap.mp4
    python -m examples.mocap.render --out other.mp4 --seed 7
    python -m examples.mocap.render --out examples/mocap/unseen.mp4 --seed 7 --classes backflip,spinkick

The recordings and the renderer come with the optional dependencies `mocap`. Without `--seed` the
timeline and the look are those below; with it both are drawn at random. With `--classes` the video is
one like those of the data set `mocap`, with its labels. The ground truth is written beside the video, as
ActivityNet JSON.
"""

import argparse
import functools
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from . import motions
from .look import Look, random_look
from .timeline import FPS, Act, Performance, perform, random_timeline

WIDTH, HEIGHT = 340, 256  # shorter side as I3D wants it

# Labels are Kinetics-400 classes in that data set's own spelling; acts without one are background.
TIMELINE: tuple[Act, ...] = (
    Act("stand", facing_deg=-90),
    Act("walk", 2, facing_deg=-60),
    Act("run", 6, "jogging", facing_deg=0),
    Act("walk", 2, facing_deg=-90),
    Act("spinkick", 4, "high kick", facing_deg=-45),
    Act("walk", 2, facing_deg=-90),
    Act("cartwheel", 2, "cartwheeling", facing_deg=-90),
    Act("walk", 2, facing_deg=-90),
    Act("kick", 3, "side kick", facing_deg=30),
    Act("walk", 2, facing_deg=-90),
    Act("backflip", 3, "gymnastics tumbling", facing_deg=-90),
    Act("stand", facing_deg=-90),
)
LOOK = Look(place="street", texture_seed=1)

# What random timelines choose from: repeats as for 3 to 6 seconds.
ACTIONS = tuple(act for act in TIMELINE if act.label is not None)


def make_video(
    timeline: Sequence[Act],
    look: Look,
    out: Path,
    *,
    n_frames: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Performance:
    """Stage a timeline and write it as a video of `FPS` frames a second.

    Args:
        timeline: what happens.
        look: how it looks.
        out: the file to write; complete once it is there.
        n_frames: stop after so many frames; None draws all.
        progress: called with the number of frames done and of all frames.

    Returns:
        What was staged, with the ground truth in seconds.

    Raises:
        ValueError: the timeline is empty or names an unknown motion.
        ModuleNotFoundError: the `mocap` dependencies are not installed.
    """
    from .scene import MOTIONS, Stage  # only here is pybullet needed

    @functools.cache
    def motion_of(name: str) -> motions.Motion:
        return motions.standing(2.0) if name == "stand" else motions.load(name, MOTIONS)

    performance = perform(timeline, motion_of)
    n_frames = len(performance.poses) if n_frames is None else min(n_frames, len(performance.poses))
    partial = out.with_name(f".{out.name}.partial")
    try:
        with Stage(look, WIDTH, HEIGHT) as stage:
            frames = islice(stage.frames(performance.poses), n_frames)
            _encode(frames, partial, progress, n_frames)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return performance


def truth_of(performance: Performance, subset: str) -> dict[str, object]:
    """What happens when, as an entry of ActivityNet's database; seconds with three decimals.

    Args:
        performance: what was staged.
        subset: what the video is for.
    """
    annotations = [
        {"label": item.label, "segment": [round(item.start_s, 3), round(item.end_s, 3)]}
        for item in performance.truth
    ]
    return {"duration": round(performance.duration_s, 3), "subset": subset, "annotations": annotations}


def write_truth(performance: Performance, video: Path, out: Path) -> None:
    """Write the labelled intervals as ActivityNet ground truth.

    Args:
        performance: what was staged.
        video: its file; its name is the key, as `ascnet detect` calls it.
        out: the JSON file.
    """
    entry = truth_of(performance, "validation")
    partial = out.with_name(f".{out.name}.partial")
    text = json.dumps({"version": "mocap 1", "taxonomy": [], "database": {video.name: entry}}, indent=1)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(out)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        The exit code: 0, or 2 when the optional dependencies are missing or the arguments are wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.mocap.render", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True, help="the video to write, an .mp4")
    parser.add_argument("--seed", type=int, help="another timeline and look, drawn with this seed")
    parser.add_argument("--classes", help="as in the data set `mocap`, separated by commas; needs --seed")
    options = parser.parse_args(argv)
    if options.classes and options.seed is None:
        parser.error("--classes needs --seed")
    if importlib.util.find_spec("pybullet") is None:
        print("error: pybullet, which draws the figure, is not installed", file=sys.stderr)
        print("hint: pip install -e '.[mocap]'", file=sys.stderr)
        return 2
    if options.seed is None:
        timeline, look = TIMELINE, LOOK
    elif options.classes:
        from .benchmark import plan_one  # it imports this module

        timeline, look = plan_one(options.classes.split(","), options.seed), random_look(options.seed)
    else:
        timeline, look = random_timeline(options.seed, ACTIONS), random_look(options.seed)
    performance = make_video(timeline, look, options.out, progress=_report)
    truth = options.out.with_suffix(".json")
    write_truth(performance, options.out, truth)
    for item in performance.truth:
        print(f"{item.start_s:7.2f} {item.end_s:7.2f}  {item.label}")
    print(f"{options.out} ({performance.duration_s:.2f} s, {options.out.stat().st_size:,} bytes), {truth}")
    return 0


def _report(done: int, total: int) -> None:
    if done % (4 * FPS) == 0 or done == total:
        print(f"{done} of {total} frames", file=sys.stderr)


def _encode(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    path: Path,
    progress: Callable[[int, int], None] | None,
    n_frames: int,
) -> None:
    """H.264, the same bytes for the same frames and the same encoder: one thread, nothing of today."""
    with av.open(
        str(path), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
    ) as file:
        options = {"crf": "20", "preset": "slow", "threads": "1", "flags": "+bitexact"}
        stream = file.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            file.mux(stream.encode(frame))
            if progress is not None:
                progress(index + 1, n_frames)
        file.mux(stream.encode())


if __name__ == "__main__":
    sys.exit(main())
