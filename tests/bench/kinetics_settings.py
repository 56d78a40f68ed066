"""Which smoothing and thresholds localize best with the default model.

    python -m tests.bench.kinetics_settings [FOLDER]

Stitches six timelines from the clips of the development data (seeded; five actions each, background between
most of them), adds the example clip, extracts dense features once (kept in FOLDER), and prints for each
setting: mAP at tIoU 0.5 and 0.7, the mean distance of the best segment's bounds from the true ones, and how
many segments above the score bound match nothing. The last column is average precision at tIoU 0.5 over all
classes together, which sees whether segments of things that are not there rank below real ones.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ascnet_cli.config_kinetics import KINETICS400, KineticsConfig
from ascnet_cli.detect import DetectOptions, detect_all
from ascnet_cli.detector import load_detector
from ascnet_cli.evaluation.detection import evaluate
from ascnet_cli.inputs import VideoInput
from ascnet_cli.localization.proposals import TimeAxis, localize
from ascnet_cli.model.kinetics import KineticsModel, moving_mean, peak_mean, softmax
from ascnet_cli.segments import Detection, Segment
from extractors.store import StoredFeatures, load_features
from tests.stitching import random_timeline, stitch

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
SEEDS = (1, 2, 3, 11, 12, 13)

Truth = list[tuple[str, Segment]]
Unknown = Callable[[np.ndarray], np.ndarray]


def entropy_gate(p: np.ndarray) -> np.ndarray:
    """Probabilities weighed down where they are spread over many classes."""
    entropy = -(p * np.log(p + 1e-12)).sum(axis=1, keepdims=True) / np.log(p.shape[1])
    return p * (1 - entropy)


def margin(p: np.ndarray) -> np.ndarray:
    """How far each class is ahead of the best other one."""
    ordered = np.sort(p, axis=1)
    return np.maximum(p - np.where(p == ordered[:, -1:], ordered[:, -2:-1], ordered[:, -1:]), 0)


def over_median(p: np.ndarray) -> np.ndarray:
    """How far each class is above its own median over the video."""
    return np.maximum(p - np.median(p, axis=0), 0)


def prepare(folder: Path, engine: str = "torch") -> Iterator[tuple[str, StoredFeatures, Truth]]:
    """Videos, their features and their truth; features of an earlier run are used again."""
    folder.mkdir(parents=True, exist_ok=True)
    detector = load_detector(device="cpu", engine=engine)
    options = DetectOptions(features_out=folder / "features")

    def features_of(video: VideoInput) -> StoredFeatures:
        (outcome,) = detect_all([video], detector, options)
        if outcome.result is None:
            raise RuntimeError(f"{video.path}: {outcome.error}")
        return load_features(folder / "features" / f"{video.name}.npy")

    for seed in SEEDS:
        path = folder / f"{seed}.mp4"
        truth = stitch(random_timeline(DATA, seed), path)
        yield path.name, features_of(VideoInput(path.name, path)), truth
    clip = ROOT / "examples" / "mocap" / "mocap.mp4"
    found = read_annotations(clip.with_suffix(".json"))
    yield clip.name, features_of(VideoInput(clip.name, clip)), found


def read_annotations(path: Path) -> Truth:
    """Ground truth of one video in ActivityNet JSON."""
    import json

    (video,) = json.loads(path.read_text())["database"].values()
    return [(a["label"], Segment(*map(float, a["segment"]))) for a in video["annotations"]]


def segments(
    model: KineticsModel, stored: StoredFeatures, config: KineticsConfig, unknown: Unknown | None
) -> tuple[Detection, ...]:
    """As the detector does it, with the probabilities put through `unknown` first."""
    p = softmax(moving_mean(model.logits(stored.values), config.smooth_rows))
    p = p if unknown is None else unknown(p)
    grid = stored.grid
    centres = grid.centres_s(len(p))
    axis = TimeAxis(
        first_s=float(centres[0]),
        step_s=grid.step_s,
        window_s=2 * float(centres[0]),
        duration_s=stored.duration_s,
    )
    return localize(p, None, peak_mean(p, config.peak_rows), model.labels, axis, config.localization)


def pooled_precision(found: dict[str, tuple[Detection, ...]], truth: dict[str, Truth]) -> float:
    """Average precision at tIoU 0.5 with all classes in one list."""
    one_class = {v: [(f"{v} {label}", segment) for label, segment in t] for v, t in truth.items()}
    ranked = sorted(((d.score, v, d) for v, ds in found.items() for d in ds), key=lambda row: -row[0])
    free = {v: list(t) for v, t in one_class.items()}
    hits = []
    for _, video, d in ranked:
        match = [t for t in free[video] if t[0] == f"{video} {d.label}" and d.segment.tiou(t[1]) >= 0.5]
        hits.append(bool(match))
        if match:
            free[video].remove(match[0])
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[np.array(hits)].sum() / sum(map(len, truth.values())))


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "kinetics_settings"
    videos = list(prepare(folder))
    model = load_detector(device="cpu").model
    if not isinstance(model, KineticsModel):
        raise TypeError("the default model is another one")
    truth = {name: t for name, _, t in videos}

    def report(name: str, config: KineticsConfig, unknown: Unknown | None = None) -> None:
        found = {video: segments(model, stored, config, unknown) for video, stored, _ in videos}
        maps = evaluate(truth, found, [0.5, 0.7]).map
        bounds, others = [], 0
        for video, ts in truth.items():
            for label, true in ts:
                same = [d for d in found[video] if d.label == label]
                if same:
                    best = max(same, key=lambda d: d.score).segment
                    bounds += [abs(best.start_s - true.start_s), abs(best.end_s - true.end_s)]
            for d in found[video]:
                matches = any(d.label == label and d.segment.tiou(s) >= 0.5 for label, s in ts)
                others += d.score >= config.min_score and not matches
        pooled = pooled_precision(found, truth)
        print(f"{name:44s} {maps[0]:.3f}  {maps[1]:.3f}  {np.mean(bounds):.2f} s  {others:3d}  {pooled:.3f}")

    n = sum(map(len, truth.values()))
    print(f"{len(videos)} videos, {n} true segments\n{'':44s} @0.5   @0.7   bounds  other  pooled")
    base = KINETICS400

    def with_alphas(*alphas: float) -> KineticsConfig:
        return dataclasses.replace(base, localization=dataclasses.replace(base.localization, alphas=alphas))

    report("the default", base)
    for rows in (1, 3, 7, 9):
        report(f"smoothed over {rows} rows", dataclasses.replace(base, smooth_rows=rows))
    for alphas in ((0.2,), (0.4,), (0.5,), (0.6,), (0.2, 0.3, 0.4, 0.5)):
        report(f"thresholds {alphas}", with_alphas(*alphas))
    for peak in (1, 4, 16):
        report(f"video score from {peak} rows", dataclasses.replace(base, peak_rows=peak))
    report("unknown: times (1 - entropy)", base, entropy_gate)
    report("unknown: times (1 - entropy), threshold 0.1", with_alphas(0.1), entropy_gate)
    report("unknown: margin to the next class, 0.2", with_alphas(0.2), margin)
    report("unknown: above the median over time", base, over_median)


if __name__ == "__main__":
    main()
