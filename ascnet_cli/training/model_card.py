"""MODEL_CARD.md: what a trained network is, how it came about, and what it is not good for.

Facts come from the run's folder (`read_facts`); the text is a pure function of them (`card_text`). Test
results are the caller's to add: a run knows of no test videos.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.outputs.text import utf8
from ascnet_cli.training.run_folder import RunFolder, Scalar
from weights.atomic import replacing

LICENCE = "Not chosen yet: whoever shares this checkpoint says under which licence, and for what data."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CardFacts:
    """What a card tells.

    Attributes:
        classes: names of the action classes.
        settings: every setting of the run, by table and name: its config.toml.
        recipe: how the features were made.
        environment: versions and machine: its environment.json.
        step: updates that the chosen network has seen.
        validation_map: video-level mAP of the chosen network on held-out training videos; None without any.
        sha256: of the checkpoint.
        trained_on: the data set, in the words of whoever knows it; empty: the run does not.
        test: the judgement on test videos, if there is one.
        protocol: by which `test` was judged.
        licence: of the checkpoint, in a sentence.
    """

    classes: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Scalar]]
    recipe: Mapping[str, Any]
    environment: Mapping[str, object]
    step: int
    validation_map: float | None
    sha256: str
    trained_on: str = ""
    test: EvaluationResult | None = None
    protocol: str = ""
    licence: str = LICENCE


def read_facts(run: Path) -> CardFacts:
    """The facts that a run's folder holds.

    Raises:
        CheckpointError: the run has no chosen checkpoint yet, or a file is damaged.
    """
    folder = RunFolder(run)
    chosen = load_checkpoint(folder.best)
    return CardFacts(
        classes=chosen.labels,
        settings=folder.settings(),
        recipe=chosen.recipe,
        environment=folder.environment(),
        step=chosen.extra["step"],
        validation_map=chosen.extra["validation_map"],
        sha256=chosen.sha256,
    )


def write_model_card(run: Path, facts: CardFacts) -> Path:
    """Writes the card into a run's folder; an older one is replaced.

    Raises:
        OutputError: it cannot be written.
        StorageError: the disk is full.
    """
    path = RunFolder(run).card
    with replacing(path) as file:
        file.write(utf8(card_text(facts)).encode())
    return path


def card_text(facts: CardFacts) -> str:
    """The card, as Markdown."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: CardFacts) -> Iterator[str]:
    data, training = facts.settings.get("data", {}), facts.settings.get("training", {})
    made_with = [f"{name} {facts.environment[name]}" for name in _MADE_WITH if name in facts.environment]
    yield from (
        "# Model card",
        "",
        "An ASC-Net: from the features of a video's snippets it tells which actions happen in the video",
        "and when. It has learned from video-level labels alone: nobody told it when anything happens.",
        "",
        f"- checkpoint: `{RunFolder.BEST}`, SHA-256 `{facts.sha256}`",
        f"- licence: {facts.licence}",
        "",
        "## Trained on",
        "",
        f"{_plain(facts.trained_on) or 'The run does not know the name of its data set.'}",
        "",
        f"- training videos: {data.get('videos', 'unknown')}, of which {data.get('held_out', 'unknown')} were"
        " held out to choose the checkpoint",
        f"- classes: {len(facts.classes)}: {', '.join(map(_plain, facts.classes))}",
        "- features, which must be made in this way wherever the network is used:",
        "",
        *_code(facts.recipe),
        "",
        "## Training",
        "",
        *(f"- {name}: {_plain(str(training[name]))}" for name in _TOLD if name in training),
        f"- made with: {', '.join(made_with)}",
        "",
        "All settings are in `config.toml`.",
        "",
        "## How the checkpoint was chosen",
        "",
        *_choice(facts),
        "",
        "## Test result",
        "",
        *_test(facts),
        "",
        *_USE,
    )


_TOLD = (
    "preset", "seed", "updates", "epochs", "batch_size", "snippets", "learning_rate", "weight_decay",
    "precision",
)  # fmt: skip
_MADE_WITH = ("torch", "python", "device", "processes")
_USE = (
    "## Intended use",
    "",
    "Finding these classes in videos like those that it was trained on, and research on learning from",
    "video-level labels. What it finds is a suggestion for a person to look at.",
    "",
    "## Limits",
    "",
    "- It knows no class but those above, and tells the likeliest of them where none happens.",
    "- Other cameras, people and surroundings than those of the training videos may make it wrong, and no",
    "  figure here says how wrong.",
    "- A place that always comes with an action in the training videos may be taken for the action itself:",
    "  video labels alone cannot tell the two apart.",
    "- Scores order the segments of one class; they are no probabilities.",
    "- It was not examined for how well it does on different groups of people. Do not let it decide about",
    "  anyone.",
)


def _choice(facts: CardFacts) -> Iterator[str]:
    if facts.validation_map is None:
        yield f"No videos were held out: it is the network after the last of {facts.step} updates."
        return
    yield (
        f"It is the network after {facts.step} updates: the last one whose video-level mAP on the V held-out"
        " training videos was within 1 / V of the highest until then."
    )
    yield (
        f"That mAP is {facts.validation_map:.4f}. It says which actions happen, not when. No test video was"
        " used."
    )


def _test(facts: CardFacts) -> Iterator[str]:
    if facts.test is None:
        yield "None is recorded: nothing is known of how well it finds when actions happen."
        return
    protocol = _plain(facts.protocol) or "a protocol that was not named"
    yield f"Segments in {facts.test.n_videos} test videos, judged by {protocol}:"
    yield ""
    yield "| tIoU | mAP |"
    yield "| --- | --- |"
    for tiou, value in zip(facts.test.tious, facts.test.map, strict=True):
        yield f"| {tiou:g} | {value:.4f} |"
    yield f"| mean | {facts.test.average:.4f} |"


def _code(values: Mapping[str, Any]) -> Iterator[str]:
    """As an indented block, which no content can end."""
    for line in json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False).splitlines():
        yield f"    {line}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|!&~])", r"\\\1", " ".join(text.split()))
