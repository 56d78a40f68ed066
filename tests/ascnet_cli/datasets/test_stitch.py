"""A folder of stitched videos: complete, read back, and not made twice."""

import json

import pytest

from ascnet_cli.datasets.folder import read_folder
from ascnet_cli.datasets.stitch import draw, instance_counts, write
from ascnet_cli.datasets.stitch_clips import find_clips
from ascnet_cli.errors import OutputError, PredictionsError, VideoError
from tests.ascnet_cli.datasets.stitch_tools import clip_folder, options

FPS = 10  # fewer frames than the clips have


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return find_clips([clip_folder(tmp_path_factory.mktemp("clips"))])


def drawn(clips, **changes):
    return draw(clips, options(**{"fps": FPS, "n_train": 1, "n_test": 1, **changes}), lambda clip: None)


def written(stitching, out):
    """Which videos had been there."""
    return {video.name: kept for video, kept in write(stitching, out, lambda video: lambda done, total: None)}


def bytes_of(out):
    return {path.name: path.read_bytes() for path in (out / "videos").iterdir()}


def test_what_is_written_is_what_was_planned(clips, tmp_path):
    stitching = drawn(clips)
    written(stitching, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations.json", "stitch.json", "videos"]
    found = {video.video: video for video in read_folder(tmp_path).videos}
    assert set(found) == set(bytes_of(tmp_path))
    for planned in stitching.videos:
        video = found[planned.name]
        assert video.instances == planned.instances
        assert video.labels == tuple(sorted({instance.label for instance in planned.instances}))
        assert "idle" not in video.labels
        assert video.subset == {"training": "train", "testing": "test"}[planned.subset]
        assert (video.duration_s, video.fps) == (planned.n_frames / FPS, FPS)


def test_the_record_says_what_each_video_is_made_of(clips, tmp_path):
    stitching = drawn(clips, seed=7)
    written(stitching, tmp_path)
    record = json.loads((tmp_path / "stitch.json").read_text())
    assert record["options"]["seed"] == 7
    groups = {"training": set(), "testing": set()}
    for video in stitching.videos:
        entry = record["videos"][video.name]
        assert entry["pieces"][-1]["end_s"] == video.n_frames / FPS
        actions = [(p["label"], p["start_s"], p["end_s"]) for p in entry["pieces"] if p["label"]]
        assert actions == [(i.label, i.segment.start_s, i.segment.end_s) for i in video.instances]
        groups[entry["subset"]] |= {piece["group"] for piece in entry["pieces"]}
    assert groups["training"]
    assert not groups["training"] & groups["testing"]


def test_counts_by_subset_and_class(clips):
    videos = drawn(clips).videos
    counts = instance_counts(videos)
    assert list(counts) == ["training", "testing"]
    assert sum(counts["testing"].values()) == sum(len(v.instances) for v in videos if v.subset == "testing")


def test_a_run_that_was_cut_short_goes_on(clips, tmp_path):
    stitching = drawn(clips, n_train=2)
    running = write(stitching, tmp_path, lambda video: lambda done, total: None)
    first, _ = next(running)
    next(running)
    running.close()
    assert not (tmp_path / "annotations.json").exists()
    before = bytes_of(tmp_path)
    (tmp_path / "videos" / first.name).unlink()
    kept = written(stitching, tmp_path)
    assert list(kept.values()) == [False, True, False]
    assert bytes_of(tmp_path).items() >= before.items()  # the one that was lost is made again as it was
    assert set(written(stitching, tmp_path).values()) == {True}


@pytest.mark.parametrize("others", [{"seed": 1}, {"width": 64}, {"n_train": 1}])
def test_videos_of_other_options_are_left_alone(clips, tmp_path, others):
    written(drawn(clips, n_train=2), tmp_path)
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match="videos that these options do not make") as caught:
        written(drawn(clips, **({"n_train": 2} | others)), tmp_path)
    assert "--out" in caught.value.hint
    assert bytes_of(tmp_path) == before
    assert len(read_folder(tmp_path).videos) == 3


def test_more_videos_keep_the_first(clips, tmp_path):
    written(drawn(clips), tmp_path)
    assert sum(written(drawn(clips, n_train=2), tmp_path).values()) == 2
    assert len(read_folder(tmp_path).videos) == 3


def test_a_folder_of_something_else_is_left_alone(clips, tmp_path):
    (tmp_path / "annotations.json").write_text("mine")
    with pytest.raises(OutputError, match="not of stitched videos"):
        written(drawn(clips), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["annotations.json"]


def test_a_damaged_record_is_not_guessed_at(clips, tmp_path):
    (tmp_path / "stitch.json").write_text('{"videos": ')
    with pytest.raises(PredictionsError, match=r"stitch\.json"):
        written(drawn(clips), tmp_path)


def test_a_record_removes_nothing_outside_its_folder(clips, tmp_path):
    (tmp_path / "mine.mp4").write_bytes(b"precious")
    (tmp_path / "stitch.json").write_text('{"videos": {"../mine.mp4": {}}}')
    written(drawn(clips), tmp_path)
    assert (tmp_path / "mine.mp4").read_bytes() == b"precious"


def test_bad_clips_are_reported_and_replaced(tmp_path):
    folder = clip_folder(tmp_path / "clips")
    for group in (1, 2, 3):
        (folder / "jump" / f"v_jump_g0{group}_c02.mp4").write_bytes(b"broken")
    stitching = drawn(find_clips([folder]), n_train=6, n_test=6)
    assert {bad.clip for bad in stitching.bad_clips} >= {"jump/v_jump_g01_c02.mp4"}
    assert all(bad.error == "not a readable video" for bad in stitching.bad_clips)
    shown = {piece.clip.name for video in stitching.videos for piece in video.pieces}
    assert shown.isdisjoint(bad.clip for bad in stitching.bad_clips)


def test_no_clip_of_a_class_is_good(tmp_path):
    folder = clip_folder(tmp_path / "clips")
    for clip in (folder / "jump").iterdir():
        clip.write_bytes(b"broken")
    with pytest.raises(VideoError, match="'jump'"):
        drawn(find_clips([folder]), n_train=6, n_test=6)


def test_every_clip_is_looked_at_once(clips):
    seen = []
    draw(clips, options(n_train=10), seen.append)
    assert seen
    assert len(set(seen)) == len(seen)
