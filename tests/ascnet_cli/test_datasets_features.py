"""Feature layouts, their place in time, W-TALC's arrays, and whether a folder is complete."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from ascnet_cli.datasets.activitynet_json import read_activitynet
from ascnet_cli.datasets.annotations import VideoAnnotation
from ascnet_cli.datasets.check import check_features
from ascnet_cli.datasets.features import FeatureFolder, read_grid, write_grid
from ascnet_cli.datasets.prepare import prepare
from ascnet_cli.datasets.wtalc import convert_annotations, convert_features
from ascnet_cli.errors import FeatureError, OptionError, OutputError, PredictionsError
from ascnet_cli.segments import Segment
from extractors.features import Features
from extractors.snippets import SNIPPETS, TimeGrid, n_grid_frames
from extractors.store import save_features
from extractors.video import DecodeReport
from tests.cli_tools import default_recipe

DIM = 8


def rows(n_rows, dim=DIM, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, dim)).astype(np.float32)


def put(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values


def published(folder, layout, video="v", n_rows=10, part="test"):
    """A video's features as others publish them."""
    write = {
        "plain": [folder / f"{video}.npy"],
        "acmnet": [folder / part / f"{video}.npy"],
        "cola": [folder / part / "rgb" / f"{video}.npy", folder / part / "flow" / f"{video}.npy"],
    }[layout]
    return np.concatenate([put(path, rows(n_rows, seed=i)) for i, path in enumerate(write)], axis=1)


def ours(folder, video, duration_s):
    n_frames = n_grid_frames(duration_s)
    values = rows(SNIPPETS.n_rows(n_frames), 1024)
    report = DecodeReport("pyav", n_frames, n_frames, 0, duration_s, duration_s, False)
    made = Features(values, SNIPPETS, n_frames, duration_s, report, default_recipe())
    save_features(folder, video, made, {"bytes": 1, "sha256": "0"})
    return values


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("layout", ["plain", "acmnet", "cola"])
def test_published_layouts(tmp_path, layout, part):
    values = published(tmp_path, layout, part=part)
    write_grid(tmp_path, SNIPPETS)
    found = FeatureFolder(tmp_path).find("v")
    assert (found.layout, found.n_rows, found.dim, found.grid) == (layout, 10, values.shape[1], SNIPPETS)
    np.testing.assert_array_equal(found.load(), values)
    assert FeatureFolder(tmp_path).find("w") is None


def test_our_own_layout(tmp_path):
    values = ours(tmp_path, "a.mp4", 10.0)
    for name in ("a.mp4", "a"):
        found = FeatureFolder(tmp_path).find(name)
        assert (found.layout, found.n_rows, found.dim, found.duration_s) == ("ascnet", 16, 1024, 10.0)
        np.testing.assert_array_equal(found.load(), values)


def test_rows_lie_where_the_recorded_grid_says(tmp_path):
    published(tmp_path, "acmnet", n_rows=3)
    write_grid(tmp_path, TimeGrid(stride_frames=8, window_frames=16, fps=10, lag_frames=2.0))
    found = FeatureFolder(tmp_path).find("v")
    np.testing.assert_allclose(found.grid.centres_s(3), [1.0, 1.8, 2.6])


def test_flow_may_be_one_row_shorter_than_rgb(tmp_path):
    rgb = put(tmp_path / "train/rgb/v.npy", rows(10))
    flow = put(tmp_path / "train/flow/v.npy", rows(9, seed=1))
    write_grid(tmp_path, SNIPPETS)
    found = FeatureFolder(tmp_path).find("v")
    np.testing.assert_array_equal(found.load(), np.concatenate([rgb[:9], flow], axis=1))


def test_half_precision_comes_out_single(tmp_path):
    put(tmp_path / "v.npy", rows(4).astype(np.float16))
    write_grid(tmp_path, SNIPPETS)
    assert FeatureFolder(tmp_path).find("v").load().dtype == np.float32


def test_a_dot_in_a_name_is_no_ending(tmp_path):
    put(tmp_path / "v.1.npy", rows(4))
    write_grid(tmp_path, SNIPPETS)
    assert FeatureFolder(tmp_path).find("v.1").n_rows == 4
    assert FeatureFolder(tmp_path).find("v") is None


@pytest.mark.parametrize("names", [("a.mp4", "a.avi")])
def test_two_files_that_could_be_meant(tmp_path, names):
    for name in names:
        put(tmp_path / f"{name}.npy", rows(4))
    write_grid(tmp_path, SNIPPETS)
    with pytest.raises(FeatureError, match="could both be meant"):
        FeatureFolder(tmp_path).find("a")
    assert FeatureFolder(tmp_path).find("a.avi").paths[0].name == "a.avi.npy"


def test_a_grid_is_never_assumed(tmp_path):
    published(tmp_path, "acmnet")
    with pytest.raises(FeatureError, match=r"grid\.json is missing") as refused:
        FeatureFolder(tmp_path)
    assert "ascnet datasets prepare" in refused.value.hint
    for text in ("", "{}", '{"fps": 25}', '{"fps": 0, "stride_frames": 1, "window_frames": 1}', "[]"):
        (tmp_path / "grid.json").write_text(text)
        with pytest.raises(FeatureError, match="no time grid"):
            read_grid(tmp_path)


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 2, 2), np.float32), np.zeros((0, 4), np.float32), np.ones((3, 4), int), np.array([None])],
)
def test_an_array_that_is_no_feature_is_refused(tmp_path, values):
    np.save(tmp_path / "v.npy", values, allow_pickle=True)
    write_grid(tmp_path, SNIPPETS)
    with pytest.raises(FeatureError, match=r"v\.npy"):
        FeatureFolder(tmp_path).find("v")


def test_numbers_that_are_not_finite(tmp_path):
    values = rows(4)
    values[2, 1] = np.nan
    put(tmp_path / "v.npy", values)
    write_grid(tmp_path, SNIPPETS)
    with pytest.raises(FeatureError, match="not finite"):
        FeatureFolder(tmp_path).find("v").load()


@pytest.mark.parametrize("damage", ["no flow", "lengths", "in both"])
def test_streams_that_do_not_belong_together(tmp_path, damage):
    published(tmp_path, "cola")
    write_grid(tmp_path, SNIPPETS)
    if damage == "no flow":
        (tmp_path / "test/flow/v.npy").unlink()
    elif damage == "lengths":
        put(tmp_path / "test/flow/v.npy", rows(7))
    else:
        published(tmp_path, "cola", part="train")
    with pytest.raises(FeatureError, match=r"\bv\b"):
        FeatureFolder(tmp_path).find("v")


@pytest.mark.parametrize("damage", ["shape", "missing", "text"])
def test_a_sidecar_that_does_not_fit(tmp_path, damage):
    ours(tmp_path, "a.mp4", 10.0)
    path = tmp_path / "a.mp4.json"
    sidecar = json.loads(path.read_text())
    if damage == "missing":
        ours(tmp_path, "b.mp4", 10.0)
        path.unlink()
    else:
        path.write_text(json.dumps(sidecar | {"shape": [3, 4]}) if damage == "shape" else "{")
    found = check_features(tmp_path, [annotated("a.mp4", 10.0)])
    assert [video for video, _ in found.damaged] == ["a.mp4"]
    assert found.next_step


def annotated(video, duration_s=None):
    return VideoAnnotation(video, "test", labels=("run",), duration_s=duration_s)


def test_a_folder_that_is_complete(tmp_path):
    ours(tmp_path, "a.mp4", 10.0)
    ours(tmp_path, "b.mp4", 0.1)
    found = check_features(tmp_path, [annotated("a.mp4", 10.0), annotated("b.mp4")])
    assert (found.good, found.present, found.dims) == (True, ("a.mp4", "b.mp4"), (1024,))
    assert found.unchecked == ()


@pytest.mark.parametrize(("n_rows", "fits"), [(157, True), (154, True), (161, False), (80, False)])
def test_lengths_against_durations(tmp_path, n_rows, fits):
    for index in range(3):
        published(tmp_path, "acmnet", video=f"good{index}", n_rows=157)
    published(tmp_path, "acmnet", n_rows=n_rows)
    write_grid(tmp_path, SNIPPETS)
    videos = [annotated(name, 100.0) for name in ("good0", "good1", "good2", "v")]
    found = check_features(tmp_path, videos)
    assert [(w.video, w.n_rows, w.expected) for w in found.wrong_length] == (
        [] if fits else [("v", n_rows, 157)]
    )
    assert found.good == fits
    assert found.fits_fps is None


def test_a_wrong_grid_is_told_from_wrong_features(tmp_path):
    for index in range(4):
        published(tmp_path, "acmnet", video=f"v{index}", n_rows=100 + 50 * index)
    write_grid(tmp_path, TimeGrid(16, 16, fps=10))
    found = check_features(tmp_path, [annotated(f"v{i}", (100 + 50 * i) * 0.64) for i in range(4)])
    assert len(found.wrong_length) == 4
    assert found.fits_fps == pytest.approx(25.0)
    assert "25.0" in found.next_step


def test_what_is_missing_and_the_next_step(tmp_path):
    folder = tmp_path / "features"
    assert check_features(folder, [annotated("a")]).missing == ("a",)
    ours(folder, "a.mp4", 10.0)
    found = check_features(folder, [annotated("a.mp4", 10.0), annotated("b.mp4", 5.0)])
    assert (found.present, found.missing) == (("a.mp4",), ("b.mp4",))
    assert "b.mp4" in found.next_step
    (tmp_path / "videos").mkdir()
    found = check_features(folder, [annotated("a.mp4", 10.0), annotated("b.mp4", 5.0)])
    assert found.next_step.startswith(f"ascnet detect {tmp_path / 'videos'} --features-out {folder}")


def test_rows_of_two_sizes_are_not_one_set(tmp_path):
    put(tmp_path / "a.npy", rows(10))
    put(tmp_path / "b.npy", rows(10, 2 * DIM))
    write_grid(tmp_path, SNIPPETS)
    found = check_features(tmp_path, [annotated("a"), annotated("b")])
    assert (found.dims, found.unchecked) == ((DIM, 2 * DIM), ("a", "b"))
    assert "8 and 16" in found.next_step


def wtalc(folder, *, bytes_names=True):
    """W-TALC's arrays for two videos."""
    folder.mkdir(exist_ok=True)
    lists = {
        "segments": [[[1.0, 2.0], [3.0, 4.5]], [[0.5, 1.0]]],
        "labels": [["run", "hop"], ["run"]],
    }
    for name, content in lists.items():
        array = np.empty(2, object)
        array[:] = content
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
    kind = "S" if bytes_names else "U"
    np.save(folder / "videoname.npy", np.array(["a", "b"]).astype(kind))
    np.save(folder / "subset.npy", np.array(["validation", "test"]).astype(kind))
    np.save(folder / "duration.npy", np.array([[10.0], [6.4]]))
    np.save(folder / "original_fps.npy", np.array([30.0, 25.0]))
    (folder / "Ambiguous_test.txt").write_text("b  2.0 3.0\n\n")
    return folder


def wtalc_features(folder, protocol):
    array = np.empty(2, object)
    array[:] = [rows(16), rows(10, seed=1)]
    path = folder / "Demo-I3D-JOINTFeatures.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (2,), "fortran_order": False, "descr": "|O"})
        pickle.dump(array, file, protocol=protocol)
    return array


@pytest.mark.parametrize("bytes_names", [True, False])
def test_wtalc_annotations(tmp_path, bytes_names):
    folder = wtalc(tmp_path / "in", bytes_names=bytes_names)
    path = convert_annotations(folder, tmp_path)
    read = read_activitynet(path)
    first, second = read.videos
    assert [(i.label, i.segment.start_s, i.segment.end_s) for i in first.instances] == [
        ("run", 1.0, 2.0),
        ("hop", 3.0, 4.5),
    ]
    assert (first.subset, first.fps, first.duration_s) == ("train", 30.0, 10.0)
    assert (second.subset, second.ambiguous) == ("test", (Segment(2.0, 3.0),))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_wtalc_features(tmp_path, protocol):
    """Protocol 2 is what Python 2 wrote, and what older numpy writes."""
    folder = wtalc(tmp_path / "in")
    array = wtalc_features(folder, protocol)
    done = prepare(folder, tmp_path / "out", SNIPPETS)
    assert [path.name for path, _ in done] == ["annotations.json", "features"]
    features = FeatureFolder(tmp_path / "out" / "features")
    for name, values in zip("ab", array, strict=True):
        np.testing.assert_array_equal(features.find(name).load(), values)
    assert check_features(tmp_path / "out/features", [annotated("a", 10.0), annotated("b", 6.4)]).good


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["segments", "labels"])
def test_a_pickle_that_runs_something_is_refused_and_not_run(tmp_path, name):
    folder = wtalc(tmp_path / "in")
    array = np.empty(2, object)
    array[:] = [Payload(tmp_path / "ran"), []]
    np.save(folder / f"{name}.npy", array, allow_pickle=True)
    with pytest.raises(PredictionsError, match="it asks for") as refused:
        convert_annotations(folder, tmp_path)
    assert "not run" in refused.value.hint
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "annotations.json").exists()


def test_a_pickle_that_asks_for_another_codec_is_refused(tmp_path):
    folder = wtalc(tmp_path / "in")
    with (folder / "labels.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (2,), "fortran_order": False, "descr": "|O"})
        file.write(b"c_codecs\nencode\n(Vx\nVzlib\ntR.")
    with pytest.raises(PredictionsError, match="codec"):
        convert_annotations(folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("duration", b""),
        ("segments", b"\x93NUMPY"),
        ("labels", np.array(["run"])),
        ("labels", np.array([["run"], ["run"]])),
        ("subset", np.array("test")),
        ("videoname", np.array(["a", "a"])),
    ],
)
def test_damaged_arrays(tmp_path, name, content):
    folder = wtalc(tmp_path / "in")
    path = folder / f"{name}.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(PredictionsError) as refused:
        convert_annotations(folder, tmp_path)
    assert refused.value.hint


def test_a_truncated_pickle(tmp_path):
    folder = wtalc(tmp_path / "in")
    data = (folder / "segments.npy").read_bytes()
    (folder / "segments.npy").write_bytes(data[:-5])
    with pytest.raises(PredictionsError, match=r"segments\.npy"):
        convert_annotations(folder, tmp_path)


def test_a_name_that_leads_elsewhere_is_no_file(tmp_path):
    folder = wtalc(tmp_path / "in")
    wtalc_features(folder, 4)
    np.save(folder / "videoname.npy", np.array(["../a", "b"]))
    with pytest.raises(PredictionsError, match="no name for a file"):
        convert_features(folder / "Demo-I3D-JOINTFeatures.npy", folder, tmp_path / "out", SNIPPETS)
    assert not (tmp_path / "a.npy").exists()


def test_what_prepare_refuses(tmp_path):
    with pytest.raises(PredictionsError, match="not a folder"):
        prepare(tmp_path / "none", tmp_path, None)
    with pytest.raises(PredictionsError, match="neither"):
        prepare(tmp_path, tmp_path, SNIPPETS)
    published(tmp_path / "acm", "acmnet")
    with pytest.raises(OptionError, match="nothing says when"):
        prepare(tmp_path / "acm", tmp_path / "acm", None)
    with pytest.raises(OptionError, match="where they are"):
        prepare(tmp_path / "acm", tmp_path / "other", SNIPPETS)
    ours(tmp_path / "own", "a.mp4", 1.0)
    with pytest.raises(PredictionsError, match="need nothing"):
        prepare(tmp_path / "own", tmp_path / "own", SNIPPETS)
    folder = wtalc(tmp_path / "in")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        prepare(folder, tmp_path / "file", None)
    wtalc_features(folder, 4)
    with pytest.raises(OptionError, match="nothing says when"):
        prepare(folder, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()
