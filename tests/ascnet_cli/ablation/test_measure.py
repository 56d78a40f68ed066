"""One run: trained once, measured once, taken up again."""

import dataclasses

import pytest

from ascnet_cli.ablation import measure
from ascnet_cli.ablation.measure import complete, missing, scores_of
from ascnet_cli.ablation.scores import truth_digest
from ascnet_cli.evaluation.trivial import typical_length_s, uniform_pieces, whole_video
from ascnet_cli.training.run import judge_checkpoint, judged
from tests.ascnet_cli.ablation.ablation_tools import toy_data, toy_plan


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy_data(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """The run of `fixed` with all that is measured on it; its measurements by row."""
    out = tmp_path_factory.mktemp("out")
    plan = toy_plan(data, "fixed,fixed-nms,cas-only,trivial")
    (run,) = plan.runs
    assert complete(run, data, out)
    return run, out, {row: measured for row, (_, measured) in plan.places.items()}


def never(*_arguments, **_options):
    raise AssertionError("trained again")


@pytest.mark.slow
def test_rows_are_measured_each_in_its_way(data, done):
    run, out, places = done
    best = run.folder(out) / "best.safetensors"
    found = scores_of(run, out, truth_digest(data.annotations, data.test))
    by_key = {m.key: m for m in run.measurements}
    for row in ("fixed", "fixed-nms", "cas-only"):
        localization = by_key[places[row]].localization
        expected = judge_checkpoint(data, best, localization=localization).result
        assert found[places[row]].average == expected.average
        assert found[places[row]].map == expected.map
    assert by_key[places["fixed-nms"]].localization.nms_plus_one


def test_trivial_rows_take_the_labels_of_the_network(data, done):
    run, out, places = done
    found = scores_of(run, out, truth_digest(data.annotations, data.test))
    # Every class of which the network is sure enough, in the words of its segments.
    kept = judge_checkpoint(data, run.folder(out) / "best.safetensors").detections
    seconds = {video.video: video.duration_s for video in kept}
    scores, _ = measure._video_scores(
        data, run.folder(out) / "best.safetensors", run.settings.localization, "cpu"
    )
    assert {video: set(classes) for video, classes in scores.items()} == {
        video.video: {d.label for d in video.detections} for video in kept
    }
    piece_s = typical_length_s(i.segment for v in data.annotations.training() for i in v.instances)
    assert piece_s == pytest.approx(6 * 0.64)
    for row, trivial in (
        ("whole-video", whole_video(scores, seconds)),
        ("uniform", uniform_pieces(scores, seconds, piece_s)),
    ):
        case = judged(data, {video.video: video.detections for video in trivial})
        assert found[places[row]].average == case.evaluate().average


def test_what_is_finished_is_not_done_again(data, done, monkeypatch):
    run, out, _ = done
    monkeypatch.setattr(measure, "train_and_test", never)
    monkeypatch.setattr(measure, "_measure", never)
    assert missing(run, out, truth_digest(data.annotations, data.test)) == ()
    assert complete(run, data, out)


def test_what_a_run_is_resumed_from_goes_when_it_has_ended(done):
    run, out, _ = done
    assert not list(run.folder(out).rglob("*checkpoints/*"))
    assert (run.folder(out) / "best.safetensors").is_file()


def test_a_new_row_on_a_finished_training_is_measured_without_training(data, done, monkeypatch):
    run, out, _ = done
    more = toy_plan(data, "attention-only").runs[0]
    assert more.folder(out) == run.folder(out)
    monkeypatch.setattr(measure, "train_and_test", never)
    truth = truth_digest(data.annotations, data.test)
    before = dict(scores_of(run, out, truth))
    assert complete(more, data, out)
    assert missing(more, out, truth) == ()
    after = scores_of(run, out, truth)
    assert before.items() <= after.items()


def test_other_annotations_are_judged_anew_without_training(data, done, monkeypatch, tmp_path):
    run, out, _ = done
    monkeypatch.setattr(measure, "train_and_test", never)
    videos = tuple(
        dataclasses.replace(video, instances=video.instances[:0]) if video.video == "v10.mp4" else video
        for video in data.annotations.videos
    )
    changed = dataclasses.replace(data, annotations=dataclasses.replace(data.annotations, videos=videos))
    truth = truth_digest(changed.annotations, changed.test)
    assert missing(run, out, truth) == run.measurements
    assert complete(run, changed, out)
    assert missing(run, out, truth) == ()
    assert missing(run, out, truth_digest(data.annotations, data.test)) == run.measurements
    assert complete(run, data, out)  # as the other tests expect it


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(data, done, tmp_path):
    run, out, _ = done
    steps = []
    assert not complete(
        run, data, tmp_path, progress=lambda p: steps.append(p.step), should_stop=lambda: len(steps) == 2
    )
    truth = truth_digest(data.annotations, data.test)
    assert steps == [1, 2, 3]  # it is asked after a step and before that is told
    assert missing(run, tmp_path, truth) == run.measurements
    assert complete(run, data, tmp_path, progress=lambda p: steps.append(p.step))
    assert steps == [1, 2, 3, 4, 5, 6]
    expected = scores_of(run, out, truth)
    assert scores_of(run, tmp_path, truth) == {m.key: expected[m.key] for m in run.measurements}
