"""The model card: what it tells, what it admits, and that no name can break it."""

import dataclasses

import pytest

from ascnet_cli.errors import CheckpointError
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.training.model_card import CardFacts, card_text, read_facts, write_model_card
from tests.ascnet_cli.training_tools import RECIPE, toy_schedule, toy_train

FACTS = CardFacts(
    classes=("dive", "long jump"),
    settings={
        "training": {"preset": "fixed", "seed": 3, "updates": 50, "precision": "bfloat16"},
        "data": {"videos": 24, "held_out": 6},
    },
    recipe={"streams": ["rgb"]},
    environment={"torch": "2.14.1", "processes": 2},
    step=40,
    validation_map=0.8125,
    sha256="ab" * 32,
)
TEST = EvaluationResult(
    tious=(0.1, 0.5),
    per_class={"dive": (0.5, 0.25)},
    instances={"dive": 3},
    map=(0.5, 0.25),
    average=0.375,
    n_videos=12,
    n_predictions=40,
    absent_classes=("long jump",),
    unknown_labels=(),
    unknown_videos=(),
)


def test_a_card_tells_what_is_known():
    text = card_text(dataclasses.replace(FACTS, trained_on="mocap", test=TEST, protocol="custom"))
    for told in (
        "## Trained on\n\nmocap\n",
        "training videos: 24, of which 6 were held out",
        "classes: 2: dive, long jump",
        '    {\n      "streams": [',
        "- seed: 3",
        "- precision: bfloat16",
        "torch 2.14.1, processes 2",
        "after 40 updates",
        "That mAP is 0.8125",
        f"SHA-256 `{'ab' * 32}`",
        "Segments in 12 test videos, judged by custom:",
        "| 0.1 | 0.5000 |\n| 0.5 | 0.2500 |\n| mean | 0.3750 |",
        "## Intended use",
        "## Limits",
        "licence: Not chosen yet",
    ):
        assert told in text, told


def test_a_card_admits_what_is_not_known():
    text = card_text(dataclasses.replace(FACTS, validation_map=None))
    assert "The run does not know the name of its data set." in text
    assert "No videos were held out: it is the network after the last of 40 updates." in text
    assert "None is recorded" in text
    assert "| tIoU |" not in text


def test_names_cannot_break_a_card():
    names = ("<script>", "a|b", "# title\n\n# other", "[x](y)", "`code`")
    text = card_text(dataclasses.replace(FACTS, classes=names, trained_on="<b>"))
    assert "\\<script\\>, a\\|b, \\# title \\# other, \\[x\\](y), \\`code\\`" in text
    assert "\n\\<b\\>\n" in text


def test_a_finished_run_has_a_card_and_test_results_can_be_added(tmp_path):
    run = tmp_path / "run"
    result = toy_train(run)
    card = run / "MODEL_CARD.md"
    facts = read_facts(run)
    assert card.read_text() == card_text(facts)
    assert (facts.step, facts.validation_map) == (result.best.step, result.best.map)
    assert facts.recipe == RECIPE
    assert "batch\\_size" not in card.read_text()
    assert "- batch_size: 4" in card.read_text()
    write_model_card(run, dataclasses.replace(facts, test=TEST))
    assert "0.3750" in card.read_text()
    toy_train(run, resume=True)  # nothing is done, and so the card stays
    assert "0.3750" in card.read_text()
    card.unlink()
    toy_train(run, resume=True)
    assert card.read_text() == card_text(facts)


def test_a_run_that_goes_on_gets_a_new_card(tmp_path):
    run = tmp_path / "run"
    toy_train(run, should_stop=lambda: True)
    assert not (run / "MODEL_CARD.md").exists()
    (run / "MODEL_CARD.md").write_text("of another network")
    toy_train(run, resume=True)
    assert (run / "MODEL_CARD.md").read_text().startswith("# Model card\n")


def test_without_a_chosen_checkpoint_there_are_no_facts(tmp_path):
    toy_train(tmp_path / "run", schedule=toy_schedule(), should_stop=lambda: True)
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        read_facts(tmp_path / "run")
