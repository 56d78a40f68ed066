"""Results, curves and videos that the tests of the report show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ascnet_cli.outputs.curves import Curves
from ascnet_cli.outputs.report import VideoPage
from ascnet_cli.segments import Detection, Segment, VideoDetections
from tests.synthetic import make_video

DURATION_S = 4.0
NASTY = "<img src=x onerror=\"document.title='taken'\">"
NASTY_VIDEO = "</script><script>document.title='taken'</script>&amp;\u2028,\"quoted\".mp4"


def found(*rows: tuple[str, float, float, float]) -> tuple[Detection, ...]:
    return tuple(Detection(label, Segment(start, end), score) for label, start, end, score in rows)


DETECTIONS = found(
    ("jump", 0.5, 1.5, 0.9),
    ("jump", 0.6, 1.0, 0.3),
    ("throw", 2.0, 3.0, 0.6),
    ("throw", 3.2, 3.6, 0.2),
)
# "jump" at 0.5 s is a match at tIoU 0.8, "throw" at 2 s at 1.0; the others take nothing; "wave" is missed.
TRUTH = found(("jump", 0.5, 1.3, 1.0), ("throw", 2.0, 3.0, 1.0), ("wave", 3.0, 3.9, 1.0))


def result(video: str = "clip.mp4", detections: tuple[Detection, ...] = DETECTIONS) -> VideoDetections:
    return VideoDetections(video, DURATION_S, detections)


def curves(*labels: str, n_rows: int = 12, attention: bool = True) -> Curves:
    times_s = np.linspace(0.1, DURATION_S, n_rows)
    activations = np.stack(
        [np.clip(np.sin(times_s + k), 0, 1) for k in range(len(labels))], axis=1, dtype=np.float32
    )
    return Curves(
        times_s=times_s,
        labels=labels,
        activations_TK=activations,
        attention_T=activations.max(axis=1) if attention else None,
        alphas=(0.2, 0.25),
        betas=(0.3, 0.5, 0.6, 0.7, 0.8, 0.9) if attention else (),
    )


def clip(path: Path, **options: object) -> Path:
    """A video of 4 s with a key frame every second."""
    return make_video(path, **({"n_frames": 100} | options))


def page(video: Path | None = None, **changes: object) -> VideoPage:
    values = {"result": result(), "curves": curves("jump", "throw", "other"), "truth": None}
    return VideoPage(video=video, **(values | changes))
