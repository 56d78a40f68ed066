"""`ascnet detect` with several outputs at once, and files that are there already."""

import json
from pathlib import Path

import pytest

from ascnet_cli.outputs.files import read_file
from extractors.features import Extractor
from tests.cli_tools import ACTION, HEADER, action_video, ascnet, stand_in_network


@pytest.fixture(autouse=True)
def _quick():
    with stand_in_network():
        yield


@pytest.fixture
def clip(tmp_path):
    return action_video(tmp_path / "clip.mp4")


@pytest.fixture
def unopened(monkeypatch):
    """Videos may not be decoded."""

    def opened(self, path, **options):
        raise AssertionError(f"{path} was decoded")

    monkeypatch.setattr(Extractor, "extract", opened)


def test_several_files_at_once(clip):
    outs = ["s.csv", "s.json", "s.srt", "s.vtt", "s.eaf", "s.ffmeta", "s.label-studio.json"]
    ran = ascnet("detect", clip, *(argument for out in outs for argument in ("--out", out)), "--json")
    assert ran.code == 0
    assert (ran.json["out"], ran.json["files"]) == ("s.csv", outs)
    for out in outs:
        ((name, (found,)),) = read_file(Path(out)).items()
        assert name == "clip.mp4" if out not in ("s.srt", "s.vtt") else "s"
        assert found.label == ACTION
        assert abs(found.segment.start_s - 1) < 0.84
    assert json.loads(Path("s.label-studio.json").read_text())[0]["data"]["fps"] == 5.0
    assert 'RELATIVE_MEDIA_URL="./clip.mp4"' in Path("s.eaf").read_text()


def test_a_folder_of_subtitles_beside_csv_on_standard_output(tmp_path):
    for name in ("in/a.mp4", "in/deep/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        action_video(tmp_path / name)
    ran = ascnet("detect", "in", "--out", "subs/", "--format", "srt", "--out", "-")
    assert ran.code == 0
    assert [line.split(",")[0] for line in ran.out.splitlines()] == ["video", "a.mp4", "deep/a.mp4"]
    assert Path("subs/a.mp4.srt").read_text() == Path("subs/deep/a.mp4.srt").read_text()
    assert ran.errors[-1] == "2 of 2 videos done: 2 segments in subs"


def test_one_video_of_two_that_failed_has_no_subtitles(tmp_path, clip):
    (tmp_path / "bad.mp4").write_text("words")
    ran = ascnet("detect", clip, "bad.mp4", "--out", "subs/", "--format", "srt")
    assert ran.code == 3
    assert [path.name for path in Path("subs").iterdir()] == ["clip.mp4.srt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["b.mp4", "--out", "s.srt"], "s.srt holds one video, and 2 are given"),
        (["b.mp4", "--out", "-", "--format", "eaf"], "eaf on standard output holds one video"),
        (["b.mp4", "--video", "v.mp4"], "--video v.mp4 is one file, and 2 videos are given"),
        (["--video", "clip.mp4"], "would be written over"),
        (["--video", "./"], "would be written over"),
        (["--out", "s.csv", "--out", "S.CSV"], "would be the same file"),
        (["--out", "s.csv", "--out", "t.json", "--format", "csv"], "--format beside several files"),
        (["--out", "s.csv", "--format", "csv,srt"], "cannot have the formats csv and srt"),
        (["--embed"], "--embed without --report"),
        (["--report", "r.txt"], "r.txt: a report ends with .html"),
        (["--video", "v.avi"], "v.avi: an annotated video ends with"),
        (["--out", "mine.csv"], "mine.csv is there, and not as ascnet wrote it"),
        (["--report", "mine.html"], "mine.html is there, and not as ascnet wrote it"),
        (["--report", "r.html", "--truth", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_refused_before_any_work(tmp_path, clip, unopened, arguments, said):
    action_video(tmp_path / "b.mp4")
    for mine in ("mine.csv", "mine.html"):
        Path(mine).write_text("name,age\nme,3\n")
    before = clip.read_bytes()
    ran = ascnet("detect", clip, *arguments)
    assert ran.code in (2, 5)
    assert ran.out == ""
    error, hint = ran.errors
    assert said in error
    assert hint.startswith("hint: ")
    assert clip.read_bytes() == before
    assert Path("mine.csv").read_text() == "name,age\nme,3\n"


def test_kept_features_have_no_pictures(clip):
    ascnet("detect", clip, "--features-out", "kept")
    ran = ascnet("detect", "kept", "--video", "v.mp4")
    assert ran.code == 2
    assert "the video itself is not given" in ran.errors[0]


def test_the_same_command_again_needs_no_flag(clip):
    arguments = ("detect", clip, "--out", "s.csv", "--out", "s.srt", "--out", "s.json")
    assert ascnet(*arguments).code == 0
    before = [Path(name).read_bytes() for name in ("s.csv", "s.srt", "s.json")]
    assert ascnet(*arguments).code == 0
    assert [Path(name).read_bytes() for name in ("s.csv", "s.srt", "s.json")] == before


def test_a_corrected_file_is_kept_unless_forced(clip, unopened):
    corrected = f"{HEADER}\nclip.mp4,{ACTION},1.0,3.9,1\n"
    Path("s.csv").write_text(corrected)
    assert ascnet("detect", clip, "--out", "s.csv").code == 2
    assert Path("s.csv").read_text() == corrected
    forced = ascnet("detect", clip, "--out", "s.csv", "--force")
    assert forced.code == 4  # it got as far as the video


def test_an_empty_file_is_nothing_to_lose(clip):
    Path("s.csv").touch()
    assert ascnet("detect", clip, "--out", "s.csv").code == 0


def test_pictures_that_fail_leave_the_segments(clip, monkeypatch):
    def broken(*_, **__):
        raise AttributeError("no width")

    monkeypatch.setattr("ascnet_cli.outputs.annotated.write_annotated", broken)
    ran = ascnet("detect", clip, "--out", "s.csv", "--video", "v.mp4", "--json")
    assert ran.code == 3
    (only,) = ran.json["videos"]
    assert (only["state"], only["segments"], only["error"]) == ("failed", 1, "AttributeError: no width")
    assert len(Path("s.csv").read_text().splitlines()) == 2


def test_a_report_that_cannot_be_written_is_said_at_the_end(clip, monkeypatch):
    from ascnet_cli.errors import OutputError

    def broken(*_, **__):
        raise OutputError("r.html: no", hint="elsewhere")

    monkeypatch.setattr("ascnet_cli.outputs.report.write_report", broken)
    ran = ascnet("detect", clip, "--out", "s.csv", "--report", "r.html")
    assert ran.code == 2
    assert ran.errors[-3:] == [
        "1 of 1 video done: 1 segment in s.csv",
        "error: r.html: no",
        "hint: elsewhere",
    ]
    assert Path("s.csv").exists()


def test_ctrl_c_while_drawing_keeps_what_is_there(clip, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ascnet_cli.outputs.annotated.write_annotated", stopped)
    ran = ascnet("detect", clip, "--out", "s.csv", "--video", "v.mp4")
    assert ran.code == 130
    assert ran.errors[-1] == "1 of 1 video done: 1 segment in s.csv"
    assert not Path("v.mp4").exists()


@pytest.mark.slow
def test_everything_at_once_and_again(tmp_path):
    for name in ("in/a.mp4", "in/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        action_video(tmp_path / name)
    arguments = (
        "detect",
        "in",
        "--out",
        "s.csv",
        "--video",
        "v/",
        "--clips",
        "clips",
        "--report",
        "r.html",
        "--json",
    )
    ran = ascnet(*arguments)
    assert ran.code == 0, ran.err
    assert {"s.csv", "v/a.mp4", "v/b.mp4", "r.html"} < set(ran.json["files"])
    assert len(list(Path("clips").iterdir())) == 2
    assert all(Path(path).stat().st_size for path in ran.json["files"])
    before = {path: Path(path).read_bytes() for path in ran.json["files"]}
    assert ascnet(*arguments).code == 0
    assert {path: Path(path).read_bytes() for path in before} == before
