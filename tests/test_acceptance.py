"""The main job on real footage: slow, and only where the development data is."""

import json
from pathlib import Path

import pytest
import torch

from ascnet_cli.detect import DetectOptions, detect_all
from ascnet_cli.detector import load_detector
from ascnet_cli.evaluation.detection import evaluate
from ascnet_cli.inputs import collect
from ascnet_cli.segments import Segment
from tests.stitching import KNOWN, Piece, random_timeline, stitch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector(_one_thread):
    torch.set_num_threads(2)
    yield load_detector(device="cpu")
    torch.set_num_threads(1)


def detect(detector, *paths):
    """Video name -> detections, all of which must succeed."""
    found = {}
    for outcome in detect_all(collect(paths), detector, DetectOptions()):
        assert outcome.result is not None, outcome.error
        found[outcome.video] = outcome.result.detections
    return found


def test_known_clips_have_their_class_first(detector, data_folder):
    """At least six of the seven clips whose class is known."""
    found = detect(detector, *(data_folder / "clips" / name for name in KNOWN))
    best = {name: max(d, key=lambda one: one.score).label if d else None for name, d in found.items()}
    right = [name for name, (label, _) in KNOWN.items() if best[name] == label]
    assert len(right) >= 6, best


def test_segments_on_stitched_timelines(detector, data_folder, tmp_path):
    """mAP at tIoU 0.5 of at least 0.7 over three timelines of known clips and background."""
    truth = {}
    for seed in (1, 2, 3):
        path = tmp_path / f"{seed}.mp4"
        truth[path.name] = stitch(random_timeline(data_folder, seed), path)
    found = detect(detector, *(tmp_path / name for name in truth))
    result = evaluate(truth, found, [0.5])
    assert result.map[0] >= 0.7, result


def test_a_cut_at_7_3_seconds_is_found_within_a_snippet(detector, data_folder, tmp_path):
    clips = data_folder / "clips"
    pieces = [
        Piece(clips / "juggling_soccer_ball.avi", 0.0, 7.3, "juggling soccer ball"),
        Piece(clips / "arm_wrestling.mp4", 0.0, 6.0, "arm wrestling"),
    ]
    stitch(pieces, tmp_path / "cut.mp4")
    detections = detect(detector, tmp_path / "cut.mp4")["cut.mp4"]
    best = {d.label: d for d in sorted(detections, key=lambda one: one.score)}
    assert best["juggling soccer ball"].segment.end_s == pytest.approx(7.3, abs=0.64)
    assert best["arm wrestling"].segment.start_s == pytest.approx(7.3, abs=0.64)


def test_the_example_clips_actions_are_found(detector):
    """What `make demo` shows: every action of the truth, first of its class."""
    folder = Path(__file__).resolve().parents[1] / "examples" / "mocap"
    (annotated,) = json.loads((folder / "mocap.json").read_text())["database"].values()
    truth = [(a["label"], Segment(*map(float, a["segment"]))) for a in annotated["annotations"]]
    found = detect(detector, folder / "mocap.mp4")
    result = evaluate({"mocap.mp4": truth}, found, [0.5])
    assert result.map[0] >= 0.9, result
    # No more other segments than real ones.
    assert len(found["mocap.mp4"]) <= 2 * len(truth)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(("video", "label"), [("mocap-069.mp4", "backflip"), ("mocap-052.mp4", "kick")])
def test_the_shipped_model_finds_backflips_and_kicks_in_test_videos(video, label):
    """Their looks, timelines and speeds are no training video's; the kick in the first one is not found."""
    folder = Path(__file__).resolve().parents[1] / "examples" / "mocap"
    database = json.loads((folder / "data" / "annotations.json").read_text())["database"]
    torch.set_num_threads(2)
    try:
        (found,) = detect(load_detector("mocap", device="cpu"), folder / video).values()
    finally:
        torch.set_num_threads(1)
    annotated = database[video]["annotations"]
    truth = [Segment(*map(float, a["segment"])) for a in annotated if a["label"] == label]
    likely = [one for one in found if one.label == label and one.score >= 0.4]
    assert [max(one.segment.tiou(true) for one in likely) >= 0.5 for true in truth] == [True] * len(truth)
    assert max(one.score for one in likely) == max(one.score for one in found)
