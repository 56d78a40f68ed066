"""The library behind `ascnet detect`, where the command line does not reach."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ascnet_cli import detector
from ascnet_cli.config import network_config
from ascnet_cli.detect import DetectOptions, check_features_folder, detect_all, find_labels
from ascnet_cli.detector import load_detector, trained_models
from ascnet_cli.errors import (
    CheckpointError,
    DeviceError,
    FeatureError,
    OptionError,
    OutputError,
    VideoError,
    WeightsError,
)
from ascnet_cli.inputs import VideoInput, collect, find
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.checkpoint import save_checkpoint
from ascnet_cli.model.scores import Scores
from extractors.calibration import Calibration, save_calibration
from extractors.features import Extractor
from extractors.flow import TVL1_PRESETS, DisConfig, OpenCvTvL1Config, TvL1Config, flow_recipe
from extractors.snippets import SNIPPETS
from extractors.video import VIDEO_ENDINGS
from tests.cli_tools import ACTION, action_video, default_recipe, stand_in_network
from weights.registry import entry


@pytest.fixture(autouse=True)
def _quick():
    with stand_in_network():
        yield


def names(*paths):
    return [video.name for video in collect([Path(path) for path in paths])]


def put(*paths):
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def test_collect_keeps_the_order_that_was_given():
    put("b.mp4", "a.mp4", "in/d.mp4", "in/c.MKV", "in/junk.txt")
    assert names("b.mp4", "in", "a.mp4") == ["b.mp4", "c.MKV", "d.mp4", "a.mp4"]


def test_collect_keeps_endings_apart():
    put("in/a.mp4", "in/a.avi", "in/sub/a.mp4")
    assert names("in") == ["a.avi", "a.mp4", "sub/a.mp4"]


def test_collect_takes_a_file_once_by_whatever_path():
    put("in/a.mp4")
    Path("link").symlink_to("in")
    assert names("in/a.mp4", "in", "in/../in/a.mp4", "link/a.mp4") == ["a.mp4"]


def test_collect_takes_a_named_file_whatever_its_ending():
    put("a.bin")
    assert names("a.bin") == ["a.bin"]


@pytest.mark.parametrize("name", ["missing.mp4", "n" * 300 + ".mp4"])
def test_collect_leaves_what_is_not_there_to_fail_on_its_own(name):
    assert names(name) == [name]


def test_collect_bears_links_in_a_loop():
    Path("loop.mp4").symlink_to("loop.mp4")
    assert names("loop.mp4", "loop.mp4") == ["loop.mp4"]


def test_collect_finds_kept_features_where_there_is_no_video():
    put("kept/a.mp4.npy", "kept/a.mp4.json", "kept/sub/b.mp4.npy", "kept/sub/b.mp4.json", "kept/other.npy")
    assert names("kept") == ["a.mp4", "sub/b.mp4"]
    put("kept/c.mp4")
    assert names("kept") == ["c.mp4"]


def test_files_that_are_passed_over_are_counted():
    put("in/a.mp4", "in/notes.txt", "in/sub/._a.mp4", "in/sub/a.mp4.npy", "none/notes.txt", "f.txt")
    Path("in/elsewhere").symlink_to("../none")
    assert find([Path("in"), Path("none"), Path("f.txt")]).n_other == 5
    put("kept/a.mp4.npy", "kept/a.mp4.json", "kept/other.npy")
    assert find([Path("kept")]).n_other == 1
    assert find([Path("in/a.mp4")]).n_other == 0


def test_collect_goes_on_past_a_folder_without_videos():
    put("in/a.mp4", "empty/notes.txt")
    assert names("empty", "in") == ["a.mp4"]


def test_collect_says_what_it_looked_for():
    put("empty/notes.txt")
    with pytest.raises(VideoError) as caught:
        collect([Path("empty")])
    assert all(ending in str(caught.value) for ending in VIDEO_ENDINGS)


def test_collect_of_nothing():
    with pytest.raises(VideoError, match="no video was given"):
        collect([])


def test_collect_names_both_of_two_files_with_one_name():
    put("one/a.mp4", "two/a.mp4")
    with pytest.raises(OptionError, match=r"one/a\.mp4 and two/a\.mp4 would both be called 'a\.mp4'"):
        collect([Path("one"), Path("two")])


def test_labels_that_the_model_has_are_accepted():
    assert find_labels(["b"], ["a", "b"]) == ("b",)


def test_capitals_and_underscores_make_no_difference():
    assert find_labels(["Clean_and_Jerk"], ["clean and jerk", "archery"]) == ("clean and jerk",)


def test_a_word_of_a_label_suggests_the_labels_that_hold_it():
    known = ["dodgeball", "passing American football (in game)", "archery"]
    with pytest.raises(OptionError, match="football") as caught:
        find_labels(["football"], known)
    assert caught.value.hint == "did you mean 'passing American football (in game)'?"


@pytest.mark.parametrize(
    ("label", "hint"),
    [("Clean Jerk", "did you mean 'clean and jerk'?"), ("zzz", "it has 'clean and jerk', 'archery'")],
)
def test_labels_that_it_does_not_have(label, hint):
    with pytest.raises(OptionError) as caught:
        find_labels([label], ["clean and jerk", "archery"])
    assert caught.value.hint == hint


def test_a_features_folder_is_made_and_left_empty(tmp_path):
    check_features_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_features_folder_below_a_file(tmp_path):
    put("file")
    with pytest.raises(OutputError):
        check_features_folder(Path("file/kept"))


def test_nothing_is_opened_before_the_options_are_known_to_be_good(tmp_path):
    detector = load_detector(device="cpu")
    videos = [VideoInput("never.mp4", tmp_path / "never.mp4")]
    with pytest.raises(OptionError):
        next(detect_all(videos, detector, DetectOptions(labels=("nothing",))))


def test_progress_comes_in_seconds_of_video(tmp_path):
    seen = []

    def progress(video):
        seen.append(video.name)
        return lambda done_s, total_s: seen.append((done_s, total_s))

    video = VideoInput("a.mp4", action_video(tmp_path / "a.mp4"))
    (outcome,) = detect_all([video], load_detector(device="cpu"), DetectOptions(), progress=progress)
    assert outcome.state == "done"
    assert seen[0] == "a.mp4"
    done = [done_s for done_s, _ in seen[1:]]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(5.0)
    assert seen[-1][1] == pytest.approx(5.0)


def test_an_outcome_says_all_there_is_to_say(tmp_path):
    detector = load_detector(device="cpu")
    bad = tmp_path / "bad.mp4"
    bad.touch()
    videos = [VideoInput("a.mp4", action_video(tmp_path / "a.mp4")), VideoInput("bad.mp4", bad)]
    good, failed = detect_all(videos, detector, DetectOptions())
    assert (good.state, good.error, good.exit_code, good.kept) == ("done", None, 0, False)
    assert [found.label for found in good.result.detections] == [ACTION]
    assert (failed.state, failed.result, failed.error_class) == ("failed", None, "VideoError")
    assert failed.exit_code == 3


def test_a_decoder_that_is_not_installed_ends_the_run(tmp_path, monkeypatch):
    def absent():
        raise OptionError("decord is not installed", hint="use --decoder pyav")

    monkeypatch.setattr("extractors.decode_decord._import_decord", absent)
    detector = load_detector(device="cpu", decoder="decord")
    video = VideoInput("a.mp4", action_video(tmp_path / "a.mp4"))
    with pytest.raises(OptionError, match="not installed"):
        list(detect_all([video], detector, DetectOptions()))


def test_features_that_cannot_be_kept_fail_that_video_alone(tmp_path):
    """A name that is as long as names may be has no room for another ending."""
    long = "n" * 251 + ".mp4"
    videos = [VideoInput(name, action_video(tmp_path / name)) for name in (long, "b.mp4")]
    options = DetectOptions(features_out=tmp_path / "kept")
    states = [outcome.state for outcome in detect_all(videos, load_detector(device="cpu"), options)]
    assert states == ["failed", "done"]


def test_a_sidecar_without_a_decode_report_is_refused(tmp_path):
    detector = load_detector(device="cpu")
    video = VideoInput("a.mp4", action_video(tmp_path / "a.mp4"))
    list(detect_all([video], detector, DetectOptions(features_out=tmp_path)))
    sidecar = tmp_path / "a.mp4.json"
    content = json.loads(sidecar.read_text())
    del content["decode_report"]
    sidecar.write_text(json.dumps(content))
    (outcome,) = detect_all(collect([tmp_path / "a.mp4.npy"]), detector, DetectOptions())
    assert "lacks 'decode_report'" in outcome.error
    assert outcome.exit_code == 5


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """As root nothing is unreadable, so the refusal is played."""

    def refused(self, path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Extractor, "extract", refused)
    (outcome,) = detect_all(collect([tmp_path / "a.mp4"]), load_detector(device="cpu"), DetectOptions())
    assert outcome.error == "cannot be read: Permission denied"
    assert outcome.hint
    assert outcome.exit_code == 3


@dataclasses.dataclass(frozen=True)
class Thinned:
    """A model that looks at every fourth row alone, and finds its class at rows 8 to 16."""

    labels: tuple[str, ...] = ("wave",)

    def score(self, features_TD):
        positions = np.arange(0, len(features_TD), 4)
        cas = np.where((positions >= 8) & (positions <= 16), 0.95, 0.02).astype(np.float32)[:, None]
        return Scores(
            cas=cas,
            attention=np.zeros(len(cas), np.float32),
            video=np.ones(1, np.float32),
            labels=self.labels,
            positions=positions,
        )


def test_times_are_right_for_a_model_that_thins_a_video_out():
    detector = dataclasses.replace(load_detector(device="cpu"), model=Thinned())
    (found,) = detector.segments(np.zeros((40, 1024), np.float32), SNIPPETS, 40 * 0.64)
    centres_s = SNIPPETS.centres_s(40)
    step_s = 4 * 0.64
    assert found.segment.start_s == pytest.approx(centres_s[8], abs=step_s)
    assert found.segment.end_s == pytest.approx(centres_s[16], abs=step_s)
    assert found.segment.start_s < centres_s[8] < centres_s[16] < found.segment.end_s


def saved(tmp_path, *, in_dim=1024, recipe=None, localization=None, extra=None, **options):
    config = network_config("fixed", "thumos14", n_classes=2, in_dim=in_dim)
    model = AscNet(dataclasses.replace(config, embed_dim=8, query_dim=4, **options))
    path = tmp_path / "model.safetensors"
    if not isinstance(recipe, dict):
        recipe = (recipe or default_recipe()).as_dict()
    labels = ["dive", "throw"]
    save_checkpoint(path, model, labels=labels, recipe=recipe, localization=localization, extra=extra)
    return str(path)


@pytest.mark.parametrize(
    ("variant", "alphas", "betas"),
    [("both", True, True), ("class_aware", True, False), ("class_agnostic", False, True)],
)
def test_a_variant_with_one_branch_localizes_with_its_thresholds(tmp_path, variant, alphas, betas):
    localization = load_detector(saved(tmp_path, variant=variant, selector="none"), device="cpu").localization
    assert (bool(localization.alphas), bool(localization.betas)) == (alphas, betas)


def test_a_checkpoint_may_have_thresholds_of_its_own(tmp_path):
    detector = load_detector(saved(tmp_path, localization={"class_threshold": 0.6}), device="cpu")
    assert detector.localization.class_threshold == 0.6


@pytest.mark.slow
def test_a_checkpoint_may_begin_like_a_pickle(tmp_path):
    """The first byte is the low byte of the header's length, so now and then it is a pickle's 0x80."""
    for padding in range(0, 512, 8):
        path = Path(saved(tmp_path, extra={"padding": "." * padding}))
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert load_detector(str(path), device="cpu").model.labels == ("dive", "throw")


@pytest.mark.parametrize("localization", [{"nonsense": 1}, {"class_threshold": "high"}, {"upsample": 0}])
def test_thresholds_that_cannot_be_used(tmp_path, localization):
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot localize"):
        load_detector(saved(tmp_path, localization=localization), device="cpu")


def test_a_checkpoint_whose_network_wants_other_features_than_its_recipe(tmp_path):
    with pytest.raises(CheckpointError, match="of 6 numbers, its recipe makes 1024"):
        load_detector(saved(tmp_path, in_dim=6), device="cpu")


def test_a_checkpoint_with_a_recipe_that_nobody_knows(tmp_path):
    recipe = {**default_recipe().as_dict(), "crop_px": 256}
    with pytest.raises(FeatureError, match="crop_px is 256"):
        load_detector(saved(tmp_path, recipe=recipe), device="cpu")


def test_a_checkpoint_whose_weights_lie_in_the_folder_of_fetched_ones(tmp_path):
    from weights.registry import weights_folder

    with pytest.raises(WeightsError, match="none here are those"):
        load_detector(saved(tmp_path, recipe=default_recipe(weights={"rgb": "0" * 64})), device="cpu")
    from weights.convert import convert
    from weights.registry import entry

    made = convert(entry("i3d-rgb-kinetics400").path, weights_folder() / "mine.safetensors", dtype="float32")
    recipe = default_recipe(weights={"rgb": made.sha256})
    detector = load_detector(saved(tmp_path, recipe=recipe), device="cpu")
    assert detector.extractor.recipe == recipe


def two_streams(config=None, **changes):
    flow = {**flow_recipe(config or TvL1Config()), **changes}
    rgb = default_recipe().weights["rgb"]
    return default_recipe(weights={"rgb": rgb, "flow": rgb}, flow=flow)


@pytest.mark.parametrize("config", [*TVL1_PRESETS.values(), OpenCvTvL1Config(), DisConfig()])
def test_a_checkpoint_with_a_flow_stream(tmp_path, config):
    detector = load_detector(saved(tmp_path, in_dim=2048, recipe=two_streams(config)), device="cpu")
    assert detector.extractor.recipe.streams == ("rgb", "flow")
    assert detector.extractor.recipe.flow == flow_recipe(config)


@pytest.mark.parametrize("changes", [{"algorithm": "farneback"}, {"bound_px": 7}])
def test_a_flow_that_cannot_be_made_here(tmp_path, changes):
    with pytest.raises(FeatureError, match="optical flow cannot be made here"):
        load_detector(saved(tmp_path, in_dim=2048, recipe=two_streams(**changes)), device="cpu")


def test_the_default_model_in_numbers():
    detector = load_detector(device="cpu")
    assert (detector.name, len(detector.model.labels)) == ("kinetics400", 400)
    assert detector.device == torch.device("cpu")
    assert detector.extractor.recipe.context == "dense"


def test_the_trained_model_that_is_shipped_goes_by_name():
    found = load_detector("mocap", device="cpu")
    assert trained_models() == ("mocap",)
    assert found.model.labels[0] == "backflip"
    assert len(found.model.labels) == 10
    assert found.extractor.recipe.weights == {"rgb": entry("i3d-rgb-kinetics400").sha256}


def test_a_damaged_shipped_model_is_not_used(tmp_path, monkeypatch):
    broken = dataclasses.replace(entry("mocap"), sha256="0" * 64)
    monkeypatch.setattr(detector, "entry", lambda _name: broken)
    with pytest.raises(WeightsError, match="damaged: its sha256 is"):
        load_detector("mocap", device="cpu")


def calibrated():
    """A calibration of the default weights that goes before the shipped one."""
    sha256 = default_recipe().weights["rgb"]
    made = Calibration(sha256, {"input": (-1.0, 1.0)}, {"unit": np.zeros(2, np.float32)})
    save_calibration(made)
    return made


@pytest.mark.parametrize("trained", [False, True])
def test_another_engine_is_used_where_it_is_asked_for(tmp_path, trained):
    made = calibrated()
    model = saved(tmp_path) if trained else "kinetics400"
    recipe = load_detector(model, device="auto", engine="openvino-int8").extractor.recipe
    assert (recipe.engine, recipe.precision) == ("openvino", "int8")
    assert recipe.calibration == {"rgb": made.sha256}
    assert load_detector(model, device="cpu").extractor.recipe.engine == "torch"


def test_a_checkpoint_of_another_engine_brings_it_along(tmp_path):
    recipe = default_recipe(engine="openvino", precision="float32")
    assert load_detector(saved(tmp_path, recipe=recipe), device="cpu").extractor.recipe == recipe


def test_kept_features_of_another_engine_are_made_anew(tmp_path):
    video = VideoInput("a.mp4", action_video(tmp_path / "a.mp4"))
    options = DetectOptions(features_out=tmp_path / "kept")
    kept = [
        next(detect_all([video], load_detector(device="cpu", engine=engine), options)).kept
        for engine in ("torch", "torch", "openvino", "openvino", "torch")
    ]
    assert kept == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("engine", "error"),
    [("tpu", OptionError), ("torch-bfloat16", DeviceError), ("torch-float16", DeviceError)],
)
def test_an_engine_that_cannot_be_used_here(engine, error):
    with pytest.raises(error, match=engine.removeprefix("torch-")):
        load_detector(device="cpu", engine=engine)
