"""What a file of segments held before it was replaced is never lost."""

import errno
import os
from pathlib import Path

import pytest

from ascnet_cli.errors import OutputError, StorageError
from ascnet_cli.inputs import collect
from ascnet_cli.outputs import files
from ascnet_cli.outputs.kept import check_keepable, kept_name
from ascnet_cli.outputs.media import Media
from ascnet_cli.predictions import find_sources
from ascnet_cli.segments import VideoDetections
from ascnet_cli.targets import Source, Wanted, check_places, plan, text_targets
from tests.ascnet_cli.hostile import run
from tests.synthetic import make_video

FIRST = [VideoDetections("a.mp4", 60.0, (run(1.0, 2.0),))]
SECOND = [VideoDetections("a.mp4", 60.0, (run(3.0, 4.0),))]
OPTIONS = files.WriteOptions(media={"a.mp4": Media(None, 25.0, True)}, keeps=True)


def write(path, results):
    return files.write_file(results, path, options=OPTIONS)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("format", files.FORMATS)
def test_a_corrected_file_is_kept_one_step_back(tmp_path, format):
    path = tmp_path / f"a{files.FORMATS[format].ending}"
    assert write(path, FIRST) is None
    first = path.read_bytes()
    assert write(path, FIRST) is None
    assert names(tmp_path) == [path.name]
    corrected = first.replace(b"run", b"walk")
    path.write_bytes(corrected)
    files.check_replaceable(path)  # it looks like ours
    kept = write(path, SECOND)
    assert kept == tmp_path / f"{path.name}~"
    assert kept.read_bytes() == corrected
    second = path.read_bytes()
    assert write(path, SECOND) is None
    assert kept.read_bytes() == corrected  # the same again loses nothing
    assert write(path, FIRST) == kept
    assert kept.read_bytes() == second
    assert names(tmp_path) == [path.name, kept.name]


def test_only_where_it_is_asked_for_and_never_nothing(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    assert write(path, FIRST) is None
    assert files.write_file(SECOND, path) is None
    assert names(tmp_path) == ["a.csv"]


def test_a_disk_without_hard_links(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EPERM, "no links here")

    path = tmp_path / "a.csv"
    write(path, FIRST)
    first = path.read_bytes()
    monkeypatch.setattr(os, "link", refused)
    assert write(path, SECOND).read_bytes() == first
    assert names(tmp_path) == ["a.csv", "a.csv~"]


def test_the_file_is_there_all_the_time(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write(path, FIRST)
    replace = Path.replace
    seen = []

    def watched(self, target):
        seen.append((path.exists(), Path(target).name))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write(path, SECOND)
    assert seen == [(True, "a.csv~"), (True, "a.csv")]


def test_a_disk_that_fails_leaves_both(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write(path, FIRST)
    write(path, SECOND)
    before = path.read_bytes(), kept_name(path).read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError):
        write(path, FIRST)
    assert (path.read_bytes(), kept_name(path).read_bytes()) == before
    assert names(tmp_path) == ["a.csv", "a.csv~"]


def test_two_names_of_one_file_as_a_kill_leaves_them(tmp_path):
    path = tmp_path / "a.csv"
    write(path, FIRST)
    first = path.read_bytes()
    os.link(path, kept_name(path))
    assert write(path, SECOND).read_bytes() == first
    assert names(tmp_path) == ["a.csv", "a.csv~"]


def test_a_link_that_bears_the_name_is_replaced_not_followed(tmp_path):
    path, other = tmp_path / "a.csv", tmp_path / "other"
    write(path, FIRST)
    other.write_text("mine")
    kept_name(path).symlink_to(other)
    assert write(path, SECOND) == kept_name(path)
    assert other.read_text() == "mine"
    assert not kept_name(path).is_symlink()


def test_beside_what_a_link_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "real" / "b.csv")
    write(tmp_path / "a.csv", FIRST)
    assert write(tmp_path / "a.csv", SECOND) == (tmp_path / "real" / "b.csv~").resolve()
    assert names(tmp_path / "real") == ["b.csv", "b.csv~"]


def test_what_could_not_be_kept_is_said_before_any_work(tmp_path):
    wanted = Wanted(texts=text_targets([f"{tmp_path}/"], ["csv"]))
    check_places(wanted)
    path = tmp_path / "segments.csv"
    kept_name(path).mkdir()
    plan(wanted, [Source("a.mp4", None)])  # nothing there to be kept
    write(path, [])
    with pytest.raises(OutputError, match="would be kept there"):
        plan(wanted, [Source("a.mp4", None)])
    long = tmp_path / ("x" * 251 + ".csv")
    check_keepable(long)
    write(long, [])
    with pytest.raises(OutputError, match="the name is too long"):
        check_keepable(long)


def test_what_is_kept_is_never_an_input(tmp_path):
    make_video(tmp_path / "a.mp4", n_frames=2)
    for name in ("a.mp4~", "a.mp4.csv~", "b.mkv~", "c.npy~"):
        (tmp_path / name).write_bytes((tmp_path / "a.mp4").read_bytes())
    assert [video.name for video in collect([tmp_path])] == ["a.mp4"]
    assert [found.source.path for found in find_sources(["a"], tmp_path)] == [tmp_path / "a.mp4"]
