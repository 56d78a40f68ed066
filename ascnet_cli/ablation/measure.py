"""One run of an ablation: train what is not trained, measure what is not measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ascnet_cli.ablation.plan import Measurement, Run
from ascnet_cli.ablation.scores import RunScores, Score, read_scores, truth_digest, write_scores
from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.errors import TrainingError
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.trivial import VideoScores, typical_length_s, uniform_pieces, whole_video
from ascnet_cli.localization.proposals import kept_classes
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training.data import TrainingData
from ascnet_cli.training.loop import Progress
from ascnet_cli.training.run import judge_checkpoint, judged, train_and_test
from ascnet_cli.training.run_folder import RunFolder


def missing(run: Run, out: Path, truth: str) -> tuple[Measurement, ...]:
    """What is still to be measured on a run, by annotations with this digest."""
    known = _known(run.folder(out), truth)
    return tuple(m for m in run.measurements if known is None or m.key not in known.scores)


def scores_of(run: Run, out: Path, truth: str) -> Mapping[str, Score]:
    """What has been measured on a run, by the key of the measurement."""
    known = _known(run.folder(out), truth)
    return known.scores if known else {}


def complete(
    run: Run,
    data: TrainingData,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bool:
    """Train a run to its end, or further where it was stopped; measure what is missing.

    Args:
        run: what to train and to measure.
        data: to learn from and to test on.
        out: the ablation's folder.
        device: where to.
        progress: called after each step.
        should_stop: asked after each step.

    Returns:
        Whether all is measured; false where it was asked to stop before.

    Raises:
        AscnetError: as `train_and_test` and `judge_checkpoint` raise them.
    """
    folder, truth = run.folder(out), truth_digest(data.annotations, data.test)
    wanted = missing(run, out, truth)
    if not wanted:
        return True
    files = RunFolder(folder)
    if read_scores(folder) is None or not files.best.is_file():
        trained = train_and_test(
            data, run.settings, folder, device=device, resume=True, progress=progress, should_stop=should_stop
        )
        if not trained.training.finished:
            return False
    known = dict(scores_of(run, out, truth))
    for measurement in wanted:
        known[measurement.key] = _measure(measurement, data, files.best, device)
        write_scores(folder, RunScores(truth, known))
    # What a run is taken up again from is three times its network, and an ablation has many runs.
    shutil.rmtree(files.checkpoints, ignore_errors=True)
    return True


def _known(folder: Path, truth: str) -> RunScores | None:
    found = read_scores(folder)
    return found if found is not None and found.truth == truth else None


def _measure(
    measurement: Measurement, data: TrainingData, checkpoint: Path, device: torch.device | str
) -> Score:
    localization = measurement.localization
    if measurement.finder == "scores":
        result = judge_checkpoint(data, checkpoint, localization=localization, device=device).result
    else:
        scores, durations_s = _video_scores(data, checkpoint, localization, device)
        result = _trivial(measurement, data, scores, durations_s)
    return Score(result.tious, result.map, result.average)


def _video_scores(
    data: TrainingData, checkpoint: Path, localization: LocalizationConfig, device: torch.device | str
) -> tuple[VideoScores, dict[str, float]]:
    """The classes that a network says each test video shows, as localization keeps them; and its seconds."""
    loaded = load_checkpoint(checkpoint, device)
    found: dict[str, dict[str, float]] = {}
    durations_s: dict[str, float] = {}
    for file in data.test:
        video_C = loaded.model.score(file.load(), loaded.labels).video
        kept = kept_classes(video_C, localization.class_threshold)
        found[file.video] = {loaded.labels[c]: float(video_C[c]) for c in kept}
        durations_s[file.video] = file.end_s
    return found, durations_s


def _trivial(
    measurement: Measurement, data: TrainingData, scores: VideoScores, durations_s: Mapping[str, float]
) -> EvaluationResult:
    if measurement.finder == "whole_video":
        found = whole_video(scores, durations_s)
    else:
        training = data.annotations.training()
        piece_s = typical_length_s(i.segment for video in training for i in video.instances)
        if piece_s is None:
            raise TrainingError(
                "training videos have no times, so that equal pieces have no length to take",
                hint="leave the row out: name the others with --rows",
            )
        found = uniform_pieces(scores, durations_s, piece_s)
    return judged(data, {video.video: video.detections for video in found}).evaluate()
