"""One run from data to numbers: train, then judge the chosen checkpoint on the test videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ascnet_cli.config_localization import LocalizationConfig
from ascnet_cli.datasets.annotations import ground_truth
from ascnet_cli.datasets.features import FeatureFile
from ascnet_cli.detector import localization_of, segments_of
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.protocols import Case, Protocol, prepare, protocol_of
from ascnet_cli.evaluation.summary import summary
from ascnet_cli.model.checkpoint import Checkpoint, load_checkpoint
from ascnet_cli.model.recipe import check_recipe
from ascnet_cli.outputs.files import write_file
from ascnet_cli.segments import VideoDetections
from ascnet_cli.training.data import TrainingData
from ascnet_cli.training.loop import Progress, TrainingResult, train
from ascnet_cli.training.model_card import read_facts, write_model_card
from ascnet_cli.training.parallel import is_first
from ascnet_cli.training.report import draw_report
from ascnet_cli.training.run_folder import RunFolder
from ascnet_cli.training.settings import Settings
from weights.atomic import replacing

PREDICTIONS = "predictions.json"


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a checkpoint comes to on the test videos.

    Attributes:
        case: annotations and predictions, as the protocol judges them.
        result: the protocol's numbers.
        detections: every segment, a video each.
    """

    case: Case
    result: EvaluationResult
    detections: tuple[VideoDetections, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """What a run came to.

    Attributes:
        run: its folder.
        seed: that it was begun with.
        training: the checkpoint that was chosen, and by what.
        test: None where the data set has no test videos, or the run is not finished.
    """

    run: Path
    seed: int
    training: TrainingResult
    test: Judgement | None


def train_and_test(
    data: TrainingData,
    settings: Settings,
    run: Path,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    notes: Callable[[str], None] | None = None,
) -> RunResult:
    """Train, then judge the chosen checkpoint on the test videos.

    The segments found there go into the folder, as ActivityNet JSON, with the numbers, a model card, and a
    page with the curves. The page is drawn after each validation, and at the end, whatever that is; where it
    cannot be drawn, `notes` is told, and nothing else changes.
    Of several processes that `torchrun` started the first one alone does that.

    Args:
        data: from `load_data`.
        settings: from `settings.resolve`.
        run: the run's folder.
        device: where to train and test.
        resume: take the run in the folder up again.
        progress: called after each step.
        should_stop: asked after each step.
        notes: called with what a person should know and no error is.

    Raises:
        AscnetError: as `loop.train` and `judge_checkpoint` raise them.
    """
    begun = False

    def follow(at: Progress) -> None:
        nonlocal begun
        begun = True
        if progress is not None:
            progress(at)
        if at.step % settings.training.validate_every == 0:
            draw_report(run, notes)

    try:
        trained = train(
            data.videos,
            run,
            settings.network,
            settings.loss,
            settings.training,
            localization=settings.localization,
            recipe=data.recipe,
            device=device,
            resume=resume,
            progress=follow,
            should_stop=should_stop,
            notes=notes,
        )
        begun = is_first()
        test = _test(data, run, trained, device) if trained.finished and begun else None
    finally:
        if begun:
            draw_report(run, notes)
    return RunResult(run, settings.training.seed, trained, test)


def _test(
    data: TrainingData, run: Path, trained: TrainingResult, device: torch.device | str
) -> Judgement | None:
    """Judges the chosen checkpoint of a finished run, and writes what is found into its folder."""
    if trained.checkpoint is None:
        return None
    test = None
    if data.test:
        test = judge_checkpoint(data, trained.checkpoint, device=device)
        write_file(test.detections, run / PREDICTIONS)
        with replacing(RunFolder(run).test) as file:
            file.write(json.dumps(summary(test.case, test.result), ensure_ascii=False).encode() + b"\n")
    _write_card(data, run, test)
    return test


def _write_card(data: TrainingData, run: Path, test: Judgement | None) -> None:
    facts = replace(read_facts(run), trained_on=data.annotations.name)
    if test is not None:
        facts = replace(facts, test=test.result, protocol=test.case.protocol.name)
    write_model_card(run, facts)


def judge_checkpoint(
    data: TrainingData,
    checkpoint: Path,
    *,
    localization: LocalizationConfig | None = None,
    device: torch.device | str = "cpu",
    protocol: Protocol | None = None,
) -> Judgement:
    """Judge a checkpoint on a data set's test videos.

    Args:
        data: whose test videos; those without features count as videos in which nothing was found.
        checkpoint: an ASC-Net checkpoint for the data set's classes.
        localization: from scores to segments; None takes the checkpoint's own.
        device: where to.
        protocol: None takes the data set's.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
        FeatureError: features do not suit it.
        PredictionsError: it has other classes than the data set, or nothing is annotated.
    """
    loaded = load_checkpoint(checkpoint, device)
    chosen = localization_of(loaded, checkpoint) if localization is None else localization
    check_recipe(loaded.recipe, data.recipe)
    detections = tuple(_detections(loaded, chosen, file) for file in data.test)
    case = judged(data, {found.video: found.detections for found in detections}, protocol)
    return Judgement(case, case.evaluate(), detections)


def judged(data: TrainingData, found: Mapping[str, Any], protocol: Protocol | None = None) -> Case:
    """Segments beside a data set's annotations, by its protocol.

    Args:
        data: whose test videos.
        found: from a video's name to its detections.
        protocol: None takes the data set's.

    Raises:
        PredictionsError: a label or video is unknown.
    """
    annotations = data.annotations
    return prepare(
        protocol or protocol_of(data.name),
        ground_truth(annotations.judged()),
        found,
        known_videos=[video.video for video in annotations.videos],
        classes=annotations.classes,
        ambiguous={video.video: video.ambiguous for video in annotations.videos},
    )


def _detections(loaded: Checkpoint, localization: LocalizationConfig, file: FeatureFile) -> VideoDetections:
    """One video's segments."""
    duration_s = file.end_s
    scores = loaded.model.score(file.load(), loaded.labels)
    return VideoDetections(file.video, duration_s, segments_of(scores, file.grid, duration_s, localization))
