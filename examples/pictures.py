"""The pictures of the README: `make pictures`, or `python -m examples.pictures`.

With the model `mocap` it finds the kicks in `mocap/mocap-052.mp4`, which is one of that data set's test
videos, and makes from what it finds

    annotated.webp    seven seconds of the annotated clip, moving
    report.png        the report, in a browser, with the ground truth beside it

It needs Chromium for the second one (Debian: apt-get install chromium). Features take about a minute of two
cores; with --features DIR they are kept there, and used again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from ascnet_cli.datasets.catalog import MOCAP, load_annotations
from ascnet_cli.detect import DetectOptions, VideoOutcome, detect_all
from ascnet_cli.detector import load_detector
from ascnet_cli.errors import AscnetError, OptionError, OutputError
from ascnet_cli.inputs import collect
from ascnet_cli.outputs.annotated import write_annotated
from ascnet_cli.outputs.report import VideoPage, write_report
from ascnet_cli.segments import Detection
from weights.atomic import replacing

_HERE = Path(__file__).parent
_CLIP = _HERE / "mocap" / "mocap-052.mp4"
_MIN_SCORE = 0.45  # below that lie shorter and longer guesses at the same kicks
_FROM_S, _TO_S = 1.5, 8.5
_RATE_HZ = 6
_WIDTH_PX = 400
_MOST_BYTES = 400_000
_WINDOW_PX = (1100, 1040)
_TIME_TO_DRAW_MS = 8000
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it may run as root, and opens this one page
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
)


def main() -> int:
    """Make the pictures; the exit code is that of `ascnet` for the same error."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README.")
    parser.add_argument("--out", type=Path, default=_HERE / "pictures", help="folder for the pictures")
    parser.add_argument("--features", type=Path, help="folder in which features are kept, and looked for")
    chosen = parser.parse_args()
    try:
        chromium = find_chromium()
        with tempfile.TemporaryDirectory(prefix="ascnet-pictures-") as scratch:
            pictures = make_pictures(chosen.out, chosen.features or Path(scratch), Path(scratch), chromium)
    except AscnetError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    for path in pictures:
        print(f"{path}: {path.stat().st_size} bytes")
    return 0


def find_chromium() -> str:
    """The browser: that of the variable CHROMIUM, or the one on the path.

    Raises:
        OptionError: there is none.
    """
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise OptionError(
            "the picture of the report needs Chromium, which is not here",
            hint="apt-get install chromium, or say where it is: CHROMIUM=/path/to/chrome",
        )
    return found


def make_pictures(out: Path, features: Path, scratch: Path, chromium: str) -> tuple[Path, ...]:
    """Detect, annotate, report, and take pictures of both.

    Args:
        out: folder for the pictures; made where it is missing.
        features: folder of features.
        scratch: folder for what is on the way.
        chromium: the browser.

    Raises:
        AscnetError: the clip cannot be read, or a picture cannot be made.
    """
    out.mkdir(parents=True, exist_ok=True)
    outcome = _outcome(features)
    if outcome.result is None:
        raise OutputError(f"{_CLIP} could not be read: {outcome.error}", hint=outcome.hint or "")
    annotated = scratch / "annotated.mp4"
    write_annotated(_CLIP, outcome.result, annotated)
    page = VideoPage(outcome.result, _CLIP, outcome.curves, _truth())
    (report,) = write_report([page], scratch / "report.html", embed=True)
    return (
        write_moving(annotated, out / "annotated.webp"),
        write_screenshot(report, out / "report.png", scratch, chromium),
    )


def _outcome(features: Path) -> VideoOutcome:
    print("detecting: about a minute of two cores where there are no features yet", file=sys.stderr)
    options = DetectOptions(min_score=_MIN_SCORE, features_out=features, curves=True)
    (outcome,) = detect_all(collect([_CLIP]), load_detector(MOCAP), options)
    return outcome


def _truth() -> tuple[Detection, ...]:
    (video,) = (video for video in load_annotations(MOCAP).videos if video.video == _CLIP.name)
    return tuple(Detection(instance.label, instance.segment, 1.0) for instance in video.instances)


def write_moving(video: Path, path: Path) -> Path:
    """A few seconds of a video as an animated WebP, in the best quality that is small enough.

    Raises:
        OutputError: it is too large in any quality, or cannot be written.
    """
    first, *rest = _frames(video)
    for quality in (80, 65, 50, 35, 20):
        with replacing(path) as file:
            first.save(
                file,
                format="webp",
                save_all=True,
                append_images=rest,
                duration=round(1000 / _RATE_HZ),
                loop=0,
                quality=quality,
                method=6,
            )
        if path.stat().st_size <= _MOST_BYTES:
            return path
    raise OutputError(f"{path} is larger than {_MOST_BYTES} bytes", hint="show less of the clip")


def _frames(video: Path) -> Iterator[Image.Image]:
    """Pictures at a steady rate, small."""
    due_s = Fraction(_FROM_S)
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < due_s:
                continue
            if frame.time >= _TO_S:
                return
            due_s += Fraction(1, _RATE_HZ)
            height = round(frame.height * _WIDTH_PX / frame.width)
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            yield picture.resize((_WIDTH_PX, height), Image.Resampling.LANCZOS)


def write_screenshot(page: Path, path: Path, scratch: Path, chromium: str) -> Path:
    """A page as a browser shows it, as a PNG of few colours.

    Raises:
        OutputError: the browser fails, or the picture cannot be written.
    """
    raw = scratch / "screenshot.png"
    width, height = _WINDOW_PX
    command = [
        chromium,
        *_FLAGS,
        f"--user-data-dir={scratch / 'profile'}",
        f"--window-size={width},{height}",
        f"--virtual-time-budget={_TIME_TO_DRAW_MS}",
        f"--screenshot={raw}",
        page.resolve().as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)  # noqa: S603 - ours
    except subprocess.TimeoutExpired as error:
        raise OutputError(f"{chromium} took no picture in three minutes", hint="try again") from error
    if not raw.exists():
        says = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise OutputError(f"{chromium} took no picture: {says[0]}", hint="does it start by itself?")
    with Image.open(raw) as picture, replacing(path) as file:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(file, format="png", optimize=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
