import errno
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ascnet_cli.errors import OptionError, OutputError, PredictionsError, StorageError
from ascnet_cli.outputs import files
from ascnet_cli.outputs.media import Media
from ascnet_cli.segments import LONGEST_S, Detection, Segment, VideoDetections

FOUND = (Detection("run", Segment(0.5, 1.5), 0.25),)
RESULTS = [VideoDetections("a.mp4", 60.0, FOUND)]
UNPRIVILEGED = pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")


@pytest.mark.parametrize("name", ["segments.csv", "segments.json", "SEGMENTS.CSV"])
def test_the_ending_says_the_format(tmp_path, name):
    files.write_file(RESULTS, tmp_path / name)
    assert files.read_file(tmp_path / name) == {"a.mp4": FOUND}
    assert (tmp_path / name).read_text(encoding="utf-8").startswith("{") == name.endswith("json")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_format_that_is_asked_for_wins(tmp_path):
    files.write_file(RESULTS, tmp_path / "segments.txt", "json")
    assert files.read_file(tmp_path / "segments.txt", "json") == {"a.mp4": FOUND}


@pytest.mark.parametrize(
    ("name", "format"), [("segments.txt", None), ("segments", None), ("segments.csv", "xml")]
)
def test_unknown_formats_are_refused_with_those_there_are(tmp_path, name, format):
    for call in (
        lambda path: files.write_file(RESULTS, path, format),
        lambda path: files.check_writable(path, format),
        lambda path: files.read_file(path, format),
    ):
        with pytest.raises(OptionError, match="format") as caught:
            call(tmp_path / name)
        assert "csv" in caught.value.hint
    assert not any(tmp_path.iterdir())


def test_line_ends_are_line_feeds_on_every_system(tmp_path):
    files.write_file(RESULTS, tmp_path / "segments.csv")
    assert b"\r" not in (tmp_path / "segments.csv").read_bytes()


def test_a_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "other").touch()
    files.write_file(RESULTS, tmp_path / "segments.csv")
    assert (tmp_path / "segments.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "segments.csv"
    link.symlink_to(tmp_path / "real" / "segments.csv")
    files.write_file(RESULTS, link)
    assert link.is_symlink()
    assert files.read_file(tmp_path / "real" / "segments.csv") == {"a.mp4": FOUND}


def test_a_name_of_255_bytes_is_no_trouble(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    files.write_file(RESULTS, path)
    assert path.exists()


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(pipe.read_text().splitlines()))
    reader.start()
    files.check_writable(pipe)
    files.write_file(RESULTS, pipe)
    reader.join(timeout=10)
    assert len(lines) == 2
    assert pipe.is_fifo()


@pytest.mark.parametrize("call", [files.check_writable, lambda path: files.write_file(RESULTS, path)])
def test_places_that_cannot_be(tmp_path, call):
    with pytest.raises(OutputError, match="missing does not exist") as caught:
        call(tmp_path / "missing" / "segments.csv")
    assert caught.value.exit_code == 2
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        call(tmp_path / "folder.csv")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        call(tmp_path / "file" / "segments.csv")


@UNPRIVILEGED
@pytest.mark.parametrize("call", [files.check_writable, lambda path: files.write_file(RESULTS, path)])
def test_a_folder_without_permission(tmp_path, call):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        call(folder / "segments.csv")


def test_checking_leaves_nothing_behind(tmp_path):
    files.check_writable(tmp_path / "segments.csv")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, code):
    path = tmp_path / "segments.csv"
    path.write_text("old")

    def full(fd):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"segments\.csv") as caught:
        files.write_file(RESULTS, path)
    assert caught.value.exit_code == 6
    assert path.read_text() == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["segments.csv"]


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "segments.csv"
    path.write_text("old")

    def interrupted(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_file(RESULTS, path)
    assert path.read_text() == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["segments.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_that_is_full():
    with pytest.raises(StorageError, match="/dev/full"):
        files.write_file(RESULTS, Path("/dev/full"), "csv")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PredictionsError, match="cannot be read: No such file"):
        files.read_file(tmp_path / "segments.csv")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(PredictionsError, match="cannot be read: Is a directory"):
        files.read_file(tmp_path, "csv")


@pytest.mark.parametrize("name", ["segments.csv", "segments.json"])
def test_other_encodings_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes("video,label,start_s,end_s,score\ncafé,run,0,1,1\n".encode("latin-1"))
    with pytest.raises(PredictionsError, match="not UTF-8 text") as caught:
        files.read_file(tmp_path / name)
    assert "UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.srt", "srt"),
        ("a.mp4.VTT", "vtt"),
        ("a.eaf", "eaf"),
        ("a.ffmeta", "chapters"),
        ("a.label-studio.json", "label-studio"),
        ("label-studio.json", "json"),
        ("a.json", "json"),
    ],
)
def test_the_longest_ending_wins(name, format):
    assert files.format_of(Path(name)) == format


@pytest.mark.parametrize("name", files.FORMATS)
def test_every_format_is_written_read_and_known_again(tmp_path, name):
    path = tmp_path / f"a.mp4{files.FORMATS[name].ending}"
    options = files.WriteOptions(media={"a.mp4": Media(tmp_path / "a.mp4", 25.0, True)})
    files.write_file(RESULTS, path, options=options)
    (found,) = files.read_file(path)["a.mp4"]
    assert found.label == "run"
    assert found.score == 0.25
    assert abs(found.segment.start_s - 0.5) <= 0.04
    files.check_replaceable(path)
    path.write_bytes(path.read_bytes() + b"\n# mine\n")
    with pytest.raises(OutputError, match="not as ascnet wrote it") as caught:
        files.check_replaceable(path)
    assert "--force" in caught.value.hint


@pytest.mark.parametrize("name", files.FORMATS)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"words\n", b"<html>", b"{}", b"[]", b"[1]", b"null"])
def test_what_others_wrote_stays(tmp_path, name, content):
    path = tmp_path / f"a{files.FORMATS[name].ending}"
    path.write_bytes(content)
    with pytest.raises(OutputError):
        files.check_replaceable(path)
    path.write_bytes(b"")
    files.check_replaceable(path)
    path.unlink()
    files.check_replaceable(path)


END = {
    "csv": r",3\.000,([\d.]+),",
    "json": r'"segment": \[\s*[\d.]+,\s*([\d.]+)',
    "srt": r"--> (\d+):",
    "vtt": r"--> (\d+):",
    "eaf": r'TIME_VALUE="(\d+)"',
    "label-studio": r'"end": (\d+)',
    "chapters": r"END=(\d+)",
}
LONG = ["9" * 5000, "9" * 400, "1e306", "1e30000000", "0", "-1"]


@pytest.mark.parametrize("number", LONG, ids=lambda number: number[:10])
@pytest.mark.parametrize("name", files.FORMATS)
def test_numbers_of_a_hostile_file_end_in_an_error_of_the_tree(tmp_path, name, number):
    """5,000 digits are no int, 400 no float; "1e30000000" as a fraction took minutes."""
    path = tmp_path / f"a{files.FORMATS[name].ending}"
    options = files.WriteOptions(media={"a.mp4": Media(None, 25.0, True)})
    found = Detection("run", Segment(3.0, 7.0), 0.25)
    files.write_file([VideoDetections("a.mp4", 7.0, (found,))], path, None, options)
    text = path.read_text()
    last = list(re.finditer(END[name], text))[-1].span(1)
    path.write_text(text[: last[0]] + number + text[last[1] :])
    with pytest.raises(PredictionsError, match=re.escape(str(path))):
        files.read_file(path)
    with suppress(OutputError):  # JSON is known by its form alone
        files.check_replaceable(path)


@pytest.mark.parametrize("fps", ["0", '"1/0"', '"1e30000000"', "-25", "true", "1e9", "null", '"nan"'])
def test_frame_rates_that_are_none(tmp_path, fps):
    path = tmp_path / "a.label-studio.json"
    files.write_file(RESULTS, path, None, files.WriteOptions(media={"a.mp4": Media(None, 25.0, True)}))
    path.write_text(path.read_text().replace('"fps": 25.0', f'"fps": {fps}'))
    with pytest.raises(PredictionsError, match="task 1 is not one"):
        files.read_file(path)


def test_a_segment_ends_at_some_time():
    assert Segment(0.0, LONGEST_S).duration_s == LONGEST_S
    with pytest.raises(ValueError, match="1000000000 s at the latest"):
        Segment(0.0, LONGEST_S * 1.001)


def test_how_long_videos_are_is_read_from_json_alone(tmp_path):
    for name in ("segments.json", "segments.csv"):
        files.write_file(RESULTS, tmp_path / name)
    assert files.read_durations(tmp_path / "segments.json") == {"a.mp4": 60.0}
    assert files.read_durations(tmp_path / "segments.csv") == {}
    (tmp_path / "other.json").write_text(
        '{"results": {}, "external_data": {"durations_s": {"a": "1", "b": -1}}}'
    )
    assert files.read_durations(tmp_path / "other.json") == {}
