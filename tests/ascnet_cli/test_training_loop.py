"""The loop: it learns, it stops in good order, and it takes up where it was."""

import dataclasses
import json
import math
import tomllib

import pytest
import torch

from ascnet_cli.config_training import loss_config
from ascnet_cli.errors import FeatureError, OptionError, OutputError, TrainingError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import load_checkpoint
from ascnet_cli.training import loop
from ascnet_cli.training.checkpoint import load_state, saved_steps
from ascnet_cli.training.loop import prepare
from ascnet_cli.training.run_folder import RunFolder
from ascnet_cli.training.step import batch_of_step, make_optimiser, train_step, videos_of_step
from tests.ascnet_cli.training_tools import (
    CLASSES,
    RECIPE,
    WIDTH,
    toy_network,
    toy_schedule,
    toy_train,
    toy_videos,
)


class Killed(BaseException):
    """As `kill -9`: nothing in the loop may catch it and put things in order."""


def kill_after(step):
    def progress(done):
        if done.step == step:
            raise Killed

    return progress


def final(run, step=12):
    """Every tensor that the run ended with, the chosen network's and the last one's, and the optimiser's."""
    state = load_state(run / "checkpoints", step, torch.device("cpu"))
    tensors = {f"last.{name}": tensor for name, tensor in state.model.items()}
    for i, values in state.optimiser["state"].items():
        tensors |= {f"optimiser.{i}.{name}": tensor for name, tensor in values.items()}
    tensors |= {f"random.{name}": tensor for name, tensor in state.random.items()}
    best = load_checkpoint(run / "best.safetensors").model.state_dict()
    return tensors | {f"best.{name}": tensor for name, tensor in best.items()}, state.best


def assert_same(one, other):
    tensors, best = one
    others, other_best = other
    assert best == other_best
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize("preset", [pytest.param("paper", marks=pytest.mark.slow), "fixed"])
def test_a_small_problem_is_learned(tmp_path, preset):
    found = []
    schedule = toy_schedule(preset, updates=200, validate_every=50, learning_rate=3e-3)
    result = toy_train(
        tmp_path / "run", preset=preset, schedule=schedule, progress=lambda done: found.append(done)
    )
    maps = [done.validation_map for done in found if done.validation_map is not None]
    assert maps[0] < maps[-1] == 1.0
    assert result.best.map == 1.0
    assert found[-1].losses["fg"] < found[0].losses["fg"] / 2
    # It learned the classes, and not its held-out videos by heart: others are told as well.
    others = toy_videos(9, seed=5)
    model = load_checkpoint(result.checkpoint).model
    for name in others.names:
        scores = model.score(others.features[name], CLASSES)
        best = CLASSES[int(scores.video.argmax())]
        assert best in others.labels[name]


def test_labels_of_other_videos_are_not_told(tmp_path):
    """The measure can fall short of 1: the test above could fail."""
    videos = toy_videos()
    turned = [*videos.names[1:], videos.names[0]]
    shuffled = {name: videos.labels[other] for name, other in zip(videos.names, turned, strict=True)}
    result = toy_train(tmp_path / "run", videos=dataclasses.replace(videos, labels=shuffled))
    assert result.best.map < 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    toy_train(run)
    return final(run)


@pytest.mark.parametrize("step", range(1, 13))
def test_a_run_killed_after_any_step_and_resumed_ends_the_same_to_the_bit(tmp_path, undisturbed, step):
    run = tmp_path / "run"
    with pytest.raises(Killed):
        toy_train(run, progress=kill_after(step))
    torch.manual_seed(99)  # another process has other random numbers
    torch.randn(step)
    result = toy_train(run, resume=True)
    assert result.finished
    assert_same(final(run), undisturbed)
    steps = [event["step"] for event in RunFolder(run).events() if event["event"] in ("step", "validation")]
    assert steps == [5, 10, 10, 12, 12]


@pytest.mark.parametrize("call", range(1, 9))
def test_a_run_killed_between_its_files_and_resumed_ends_the_same(tmp_path, undisturbed, monkeypatch, call):
    """Each write of a file in turn is the last one that happens."""
    from weights import atomic

    writes = 0
    real = atomic.Path.replace

    def replace(self, target):
        nonlocal writes
        writes += 1
        found = real(self, target)
        if writes == call:
            raise Killed
        return found

    with monkeypatch.context() as patched:
        patched.setattr(atomic.Path, "replace", replace)
        with pytest.raises(Killed):
            toy_train(tmp_path / "run")
    toy_train(tmp_path / "run", resume=True)
    assert_same(final(tmp_path / "run"), undisturbed)


def test_a_run_that_is_asked_to_stop_is_taken_up_where_it_was(tmp_path, undisturbed):
    run, calls = tmp_path / "run", []
    result = toy_train(run, should_stop=lambda: len(calls) == 7 or calls.append(1))
    assert (result.step, result.finished) == (8, False)
    assert saved_steps(run / "checkpoints")[0] == 8
    seen = []
    toy_train(run, resume=True, progress=lambda done: seen.append(done.step))
    assert seen == [9, 10, 11, 12]
    assert_same(final(run), undisturbed)


def test_stopped_before_the_first_choice_there_is_no_checkpoint_to_name(tmp_path):
    result = toy_train(tmp_path / "run", should_stop=lambda: True)
    assert (result.checkpoint, result.best, result.step) == (None, None, 1)


def test_a_finished_run_that_is_resumed_does_nothing(tmp_path):
    toy_train(tmp_path / "run")
    before = (tmp_path / "run" / "best.safetensors").read_bytes()
    result = toy_train(tmp_path / "run", resume=True, progress=kill_after(1))
    assert result.finished
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == before


def test_a_seed_decides_everything_and_leaves_the_callers_numbers_alone(tmp_path, undisturbed):
    before = torch.get_rng_state()
    toy_train(tmp_path / "same")
    assert torch.equal(before, torch.get_rng_state())
    assert_same(final(tmp_path / "same"), undisturbed)
    toy_train(tmp_path / "other", schedule=toy_schedule(seed=1))
    other = final(tmp_path / "other")[0]
    assert not torch.equal(other["last.embed.weight"], undisturbed[0]["last.embed.weight"])


def test_the_order_of_the_mappings_does_not_matter(tmp_path, undisturbed):
    videos = toy_videos()
    turned = {name: videos.features[name] for name in reversed(videos.names)}
    toy_train(tmp_path / "run", videos=dataclasses.replace(videos, features=turned))
    assert_same(final(tmp_path / "run"), undisturbed)


def test_what_a_run_folder_holds(tmp_path):
    result = toy_train(tmp_path / "run")
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        ".lock",
        "config.toml",
        "environment.json",
        "events.jsonl",
        "checkpoints",
        "best.safetensors",
        "MODEL_CARD.md",
    }
    assert saved_steps(run / "checkpoints") == [12, 10]
    assert len(list((run / "checkpoints").iterdir())) == 4
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["training"]["learning_rate"] == 1e-4
    assert config["model"]["embed_dim"] == 16
    assert config["loss"]["nce_target"] == "labels"
    assert config["data"]["videos"] == 24
    environment = json.loads((run / "environment.json").read_text())
    assert environment["torch"].split("+")[0] == torch.__version__.split("+")[0]
    best = load_checkpoint(result.checkpoint)
    assert best.labels == CLASSES
    assert best.recipe == RECIPE
    assert best.extra == {"step": result.best.step, "validation_map": result.best.map}


def test_the_last_of_the_best_is_chosen(tmp_path, monkeypatch):
    maps = iter([0.5, 0.9, 0.9, 0.7])
    monkeypatch.setattr("ascnet_cli.training.loop.validation_map", lambda *_: next(maps))
    result = toy_train(tmp_path / "run", schedule=toy_schedule(updates=20))
    assert (result.best.step, result.best.map) == (15, 0.9)
    assert load_checkpoint(result.checkpoint).extra["step"] == 15


def test_with_nothing_held_out_the_last_checkpoint_is_chosen(tmp_path):
    result = toy_train(tmp_path / "run", schedule=toy_schedule(validation_fraction=0.0))
    assert result.best is None
    assert load_checkpoint(result.checkpoint).extra == {"step": 12, "validation_map": None}


def test_held_out_videos_are_never_trained_on():
    trained, held_out = prepare(toy_videos(), toy_network(), toy_schedule())
    assert len(held_out.names) == 6
    assert not set(trained.names) & set(held_out.names)
    assert sorted(trained.names + held_out.names) == list(toy_videos().names)


def test_another_configuration_is_refused_setting_by_setting(tmp_path):
    toy_train(tmp_path / "run", should_stop=lambda: True)
    with pytest.raises(OptionError, match=r"loss\.weight_nce: 0\.1 then, 0\.0 now; training\.batch_size"):
        toy_train(
            tmp_path / "run",
            resume=True,
            losses=dataclasses.replace(loss_config("fixed"), weight_nce=0.0),
            schedule=toy_schedule(batch_size=3),
        )
    with pytest.raises(OptionError, match=r"data\.sha256"):
        toy_train(tmp_path / "run", resume=True, videos=toy_videos(seed=1))
    with pytest.raises(OptionError, match=r"data\.recipe"):
        toy_train(tmp_path / "run", resume=True, recipe={"streams": ["flow"]})


def test_a_new_run_does_not_overwrite_one_that_is_there(tmp_path):
    toy_train(tmp_path / "run", should_stop=lambda: True)
    with pytest.raises(OutputError, match="holds a run already"):
        toy_train(tmp_path / "run")


def test_a_run_keeps_others_out_of_its_folder_and_lets_it_go(tmp_path):
    found = []

    def meanwhile(_):
        with pytest.raises(OutputError, match="another process is training") as caught:
            toy_train(tmp_path / "run", resume=True)
        found.append(caught.value)

    toy_train(tmp_path / "run", schedule=toy_schedule(updates=2), progress=meanwhile)
    assert len(found) == 2
    RunFolder(tmp_path / "run").hold()


def test_features_that_are_no_numbers_stop_the_run_and_are_named(tmp_path):
    videos = toy_videos()
    videos.features["video05"][3:] = math.nan
    schedule = toy_schedule(validation_fraction=0.0)
    with pytest.raises(FeatureError, match=r"not finite: video05$"):  # as the mean is taken
        toy_train(tmp_path / "run", videos=videos, schedule=schedule)
    assert not (tmp_path / "run").exists()
    network = toy_network(subtract_mean=False)
    with pytest.raises(TrainingError, match=r"not finite.*: video05$"):
        toy_train(tmp_path / "run", videos=videos, schedule=schedule, network=network)
    stop = RunFolder(tmp_path / "run").events()[-1]
    assert stop["event"] == "stop"
    assert "video05" in stop["videos"]
    state = load_state(tmp_path / "run" / "checkpoints", stop["step"], torch.device("cpu"))
    assert all(bool(tensor.isfinite().all()) for tensor in state.model.values())


def test_held_out_features_that_are_no_numbers_are_named(tmp_path):
    videos = toy_videos()
    name = prepare(videos, toy_network(), toy_schedule())[1].names[0]
    videos.features[name][0, 0] = math.inf
    with pytest.raises(FeatureError, match=name):
        toy_train(tmp_path / "run", videos=videos)


def test_a_loss_that_is_no_number_names_the_batch_and_leaves_the_network_as_it_was():
    model = AscNet(toy_network())
    with torch.no_grad():
        model.queries.g.fill_(math.inf)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = batch_of_step(toy_videos(), toy_schedule(), 0)
    with pytest.raises(TrainingError, match=rf"\(total, nce\).* {', '.join(batch.names)}$"):
        train_step(model, make_optimiser(model, toy_schedule()), batch, loss_config("fixed"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_class_without_a_video_is_named(tmp_path):
    videos = toy_videos()
    labels = {name: found - {"jump"} for name, found in videos.labels.items()}
    with pytest.raises(TrainingError, match=r"labelled jump$"):
        toy_train(tmp_path / "run", videos=dataclasses.replace(videos, labels=labels))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"n_classes": 4}, {"in_dim": WIDTH + 1}])
def test_a_network_for_other_data_is_refused(tmp_path, changes):
    with pytest.raises(OptionError, match=next(iter(changes))):
        toy_train(tmp_path / "run", network=toy_network(**changes))


def test_every_video_is_seen_once_an_epoch_and_every_batch_is_full():
    dealt = [videos_of_step(10, 4, 0, step) for step in range(5)]
    assert {len(videos) for videos in dealt} == {4}
    flat = [video for videos in dealt for video in videos]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]
    assert len(videos_of_step(3, 8, 0, 0)) == 8  # fewer videos than a batch holds


@pytest.mark.parametrize("variant", ["class_aware", "class_agnostic"])
def test_variants_and_kept_lengths_train(tmp_path, variant):
    settings = {
        "network": toy_network(variant=variant, selector="none"),
        "losses": loss_config("fixed", variant=variant),
        "schedule": toy_schedule(short="keep", snippets=25),
    }
    toy_train(tmp_path / "one", **settings)
    with pytest.raises(Killed):
        toy_train(tmp_path / "run", progress=kill_after(7), **settings)
    # Parameters without a gradient have no state in the optimiser.
    toy_train(tmp_path / "run", resume=True, **settings)
    assert_same(final(tmp_path / "run"), final(tmp_path / "one"))


def test_a_run_taken_up_elsewhere_says_so_and_sweeps_what_the_kill_left(tmp_path):
    run, notes = tmp_path / "run", []
    with pytest.raises(Killed):
        toy_train(run, progress=kill_after(7), notes=notes.append)
    left = run / "checkpoints" / ".ascnet-1-00000000.tmp"
    left.write_text("half a checkpoint")
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(environment | {"torch": "2.10.0"}))
    toy_train(run, resume=True, notes=notes.append)
    assert len(notes) == 1
    assert f"torch is {environment['torch']}, and was 2.10.0" in notes[0]
    (event,) = [event for event in RunFolder(run).events() if event["event"] == "note"]
    assert (event["text"], event["step"]) == (notes[0], 5)
    assert not left.exists()
    assert json.loads((run / "environment.json").read_text()) == environment
    toy_train(run, resume=True, notes=notes.append)
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("maps", "chosen"),
    [
        ([0.5, 0.9, 0.85, 0.6, 0.8], 5),  # within one of the six held-out videos of the highest
        ([0.5, 0.9, 0.85, 0.6, 0.7], 3),
        ([0.9, 0.5, 0.6, 0.7, 0.72], 1),
        ([0.5, 0.6, 0.7, 0.8, 0.9], 5),
        ([0.9, 0.8, 0.7, 0.6, 0.5], 2),  # the highest counts, not the last one that was chosen
    ],
)
def test_the_last_network_is_chosen_of_those_that_one_video_cannot_tell_apart(
    tmp_path, monkeypatch, maps, chosen
):
    found = iter(maps)
    monkeypatch.setattr(loop, "validation_map", lambda *_: next(found))
    result = toy_train(tmp_path / "run", schedule=toy_schedule(updates=5, validate_every=1))
    assert len(toy_videos().names) * 0.25 == 6
    assert (result.best.step, result.best.map, result.best.peak) == (chosen, maps[chosen - 1], max(maps))
    assert load_checkpoint(result.checkpoint).extra["step"] == chosen
