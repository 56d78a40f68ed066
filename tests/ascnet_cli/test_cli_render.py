"""`ascnet render`: from a file of segments to what people look at, without a model."""

import json
import subprocess
import sys
from pathlib import Path

import av
import pysubs2
import pytest

from ascnet_cli.outputs.files import read_file, write_file
from ascnet_cli.segments import VideoDetections
from tests.ascnet_cli.hostile import run, video
from tests.cli_tools import HEADER, ascnet
from tests.synthetic import make_video


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    make_video(folder / "a.mp4", n_frames=50)
    make_video(folder / "deep" / "b.mkv", n_frames=25)
    return folder


@pytest.fixture
def segments():
    found = [run(0.2, 0.6), run(0.5, 1.5, 0.9, "high kick")]
    write_file([video(*found), VideoDetections("b", 1.0, (run(0.0, 0.5, 0.25),))], Path("s.csv"))
    return "s.csv"


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_every_format_without_a_video(segments):
    ran = ascnet(
        "render", segments, "--out", "out/", "--format", "csv,json,srt,vtt,eaf", "--format", "chapters"
    )
    assert ran.code == 0
    assert written("out") == [
        "a.mp4.eaf",
        "a.mp4.ffmeta",
        "a.mp4.srt",
        "a.mp4.vtt",
        "b.eaf",
        "b.ffmeta",
        "b.srt",
        "b.vtt",
        "segments.csv",
        "segments.json",
    ]
    assert Path("out/segments.csv").read_bytes() == Path("s.csv").read_bytes()
    assert len(pysubs2.load("out/a.mp4.srt")) == 2
    assert ran.err == "2 of 2 videos done: 3 segments in out\n"
    assert ran.out.splitlines()[0].split() == ["video", "start", "end", "score", "action"]


def test_it_loads_no_network(segments):
    program = (
        "import sys\n"
        "from ascnet_cli.cli.app import main\n"
        "sys.argv = ['ascnet', 'render', 's.csv', '--out', 'a.json', '--json']\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    print(stop.code, 'torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "0 False"


def test_lengths_and_frame_rates_come_from_the_videos(root, segments):
    ran = ascnet(
        "render", segments, "--video-root", root, "--out", "s.json", "--out", "s.label-studio.json", "--json"
    )
    assert ran.code == 0
    assert ran.json["out"] == "s.json"
    assert ran.json["files"] == ["s.json", "s.label-studio.json"]
    durations_s = json.loads(Path("s.json").read_text())["external_data"]["durations_s"]
    assert durations_s == pytest.approx({"a.mp4": 2.0, "b": 1.0}, abs=0.002)
    assert [task["data"]["fps"] for task in json.loads(Path("s.label-studio.json").read_text())] == [
        25.0,
        25.0,
    ]


def test_label_studio_without_a_video_wants_a_frame_rate(segments):
    refused = ascnet("render", segments, "--out", "s.label-studio.json")
    assert (refused.code, Path("s.label-studio.json").exists()) == (2, False)
    assert "--fps" in refused.err
    assert ascnet("render", segments, "--out", "s.label-studio.json", "--fps", "30").code == 0
    assert json.loads(Path("s.label-studio.json").read_text())[0]["data"]["fps"] == 30.0


def test_filters(segments):
    ran = ascnet("render", segments, "--labels", "High_Kick", "--min-score", "0.5", "--out", "-")
    assert ran.code == 0
    assert ran.out == f"{HEADER}\na.mp4,high kick,0.500,1.500,0.900000\n"
    unknown = ascnet("render", segments, "--labels", "hihg kick")
    assert unknown.code == 2
    assert "did you mean 'high kick'?" in unknown.err


def test_a_corrected_file_of_another_format_goes_in_too(segments):
    ascnet("render", segments, "--out", "out/", "--format", "eaf")
    text = Path("out/a.mp4.eaf").read_text().replace('TIME_VALUE="1500"', 'TIME_VALUE="1250"')
    Path("corrected.eaf").write_text(text)
    assert ascnet("render", "corrected.eaf", "--out", "back.csv").code == 0
    assert set(read_file(Path("back.csv"))["a.mp4"]) == {run(0.2, 0.6), run(0.5, 1.25, 0.9, "high kick")}


def test_videos_that_are_missing_or_not_to_be_told_apart(root, segments):
    (root / "other").mkdir()
    make_video(root / "other" / "b.avi", n_frames=5)
    ran = ascnet("render", segments, "--video-root", root, "--out", "out/", "--format", "srt", "--json")
    assert ran.code == 3
    good, bad = ran.json["videos"]
    assert (good["state"], good["segments"]) == ("done", 2)
    assert (bad["state"], bad["segments"]) == ("failed", 0)
    assert bad["error"] == f"2 videos in {root} may be meant: 'deep/b.mkv', 'other/b.avi'"
    assert written("out") == ["a.mp4.srt"]
    for path in root.rglob("b.*"):
        path.unlink()
    missing = ascnet("render", segments, "--video-root", root, "--out", "out/", "--format", "srt")
    assert missing.code == 3
    assert missing.errors[0].startswith(f"failed: b: no such video in {root}; hint: ")
    (root / "a.mp4").write_text("words")
    none = ascnet("render", segments, "--video-root", root, "--out", "out/", "--format", "srt")
    assert none.code == 4
    assert "not a readable video" in none.errors[0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.csv"], 5, "cannot be read"),
        (["s.xml"], 2, "the ending does not say"),
        (["s.csv", "--out", "a.srt"], 2, "a.srt holds one video, and 2 are given"),
        (["s.csv", "--video", "v.mp4"], 2, "--video and --clips need the videos"),
        (["s.csv", "--video-root", "nowhere"], 2, "nowhere is not a folder"),
        (["s.csv", "--out", "s.csv"], 2, "which is read"),
        (["s.csv", "--out", "s.csv", "--force"], 2, "which is read"),
        (["s.csv", "--video-root", "videos", "--video", "videos/"], 2, "which is read"),
        (["s.csv", "--video-root", "videos", "--video", "v.mp4"], 2, "is one file, and 2 videos are given"),
        (["s.csv", "--clips-copy"], 2, "--clips-copy without --clips"),
        (["s.csv", "--video", ""], 2, "--video is empty"),
        (["s.csv", "--out", "-", "--out", "-"], 2, "--out - is there twice"),
        (["s.csv", "--out", "-", "--format", "csv,json"], 2, "standard output cannot have the formats"),
        (["s.csv", "--out", "-", "--format", "srt"], 2, "srt on standard output holds one video"),
        (["s.csv", "--format", ","], 2, "--format names no format"),
        (["empty.csv"], 5, "names no video"),
        (["s.csv", "--report", "r.html", "--truth", "s.csv"], 5, "not JSON"),
        (["s.csv", "--min-score", "nan"], 2, "--min-score must be a number"),
    ],
)
def test_what_is_refused_before_any_work(root, segments, arguments, code, said):
    Path("empty.csv").write_text(HEADER + "\n")
    ran = ascnet("render", *arguments)
    assert (ran.code, ran.out) == (code, "")
    error, hint = ran.errors
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert written("videos") == ["a.mp4", "deep/b.mkv"]
    assert not list(Path().glob("*.srt"))


def test_a_folder_without_videos(segments):
    Path("none").mkdir()
    assert ascnet("render", segments, "--video-root", "none").code == 4


def test_run_again_and_again_until_somebody_corrects_it(segments):
    arguments = ("render", segments, "--out", "out/", "--format", "srt,eaf")
    assert ascnet(*arguments).code == ascnet(*arguments).code == 0
    before = Path("out/b.eaf").read_bytes()
    corrected = Path("out/a.mp4.eaf")
    corrected.write_text(corrected.read_text().replace("0.500000", "sure"))
    refused = ascnet(*arguments)
    assert refused.code == 2
    assert refused.errors[0] == "error: out/a.mp4.eaf is there, and not as ascnet wrote it"
    assert "sure" in corrected.read_text()
    assert ascnet(*arguments, "--force").code == 0
    assert "sure" not in corrected.read_text()
    assert Path("out/b.eaf").read_bytes() == before


def test_what_was_corrected_by_hand_is_kept_and_said(segments):
    arguments = ("render", segments, "--out", "out/", "--format", "srt", "--out", "t.csv")
    assert "kept" not in ascnet(*arguments).err
    assert "kept" not in ascnet(*arguments).err
    corrected = {}
    for path in (Path("out/a.mp4.srt"), Path("t.csv")):
        corrected[path] = path.read_text().replace("high kick", "kick")
        path.write_text(corrected[path])
    again = ascnet(*arguments)
    assert again.code == 0
    assert "out/a.mp4.srt: the one that was there is kept as out/a.mp4.srt~" in again.err
    assert "t.csv: the one that was there is kept as t.csv~" in again.err
    for path, text in corrected.items():
        assert "high kick" in path.read_text()
        assert path.with_name(f"{path.name}~").read_text() == text
    for path in (path for path in Path("out").iterdir() if path.suffix == ".srt"):
        path.write_text(path.read_text().replace("run", "walk"))
    many = [Path(f"out/{name}{ending}") for name in ("a.mp4", "b") for ending in (".vtt", ".eaf", ".ffmeta")]
    more = (*arguments[:-2], "--format", "srt,vtt,eaf,chapters")
    assert ascnet(*more).code == 0
    for path in many:
        path.write_text(path.read_text().replace("run", "walk"))
    assert "6 files had another content" in ascnet(*more).err


def test_names_in_the_file_never_lead_out_of_the_folder(tmp_path):
    write_file(
        [VideoDetections("../../up", 1.0, (run(0, 1),)), VideoDetections("/abs", 1.0, ())], Path("s.json")
    )
    assert ascnet("render", "s.json", "--out", "in/out/", "--format", "srt").code == 0
    assert written(tmp_path) == ["in/out/_/_/up.srt", "in/out/_/abs.srt", "s.json"]


def test_spreadsheets(segments):
    write_file([VideoDetections("=1+1.mp4", 1.0, (run(0, 1, 0.5, "@run"),))], Path("f.csv"))
    assert ascnet("render", "f.csv", "--out", "safe.csv", "--spreadsheet-safe").code == 0
    assert Path("safe.csv").read_text() == f"\ufeff{HEADER}\n'=1+1.mp4,'@run,0.000,1.000,0.500000\n"
    assert read_file(Path("safe.csv")) == read_file(Path("f.csv"))


def test_a_video_whose_pictures_fail(root, segments, monkeypatch):
    from ascnet_cli.outputs import annotated

    write = annotated.write_annotated

    def sometimes(source, result, target, **options):
        if source.name == "a.mp4":
            raise OSError(5, "Input/output error")
        return write(source, result, target, **options)

    monkeypatch.setattr(annotated, "write_annotated", sometimes)
    ran = ascnet(
        "render",
        segments,
        "--video-root",
        root,
        "--out",
        "s.json",
        "--video",
        "v/",
        "--json",
        "--min-score",
        "0.3",
    )
    assert ran.code == 3
    bad, good = ran.json["videos"]
    assert (bad["state"], bad["segments"]) == ("failed", 2)
    assert bad["error"] == "cannot be drawn: Input/output error"
    assert good["state"] == "done"
    assert ran.json["files"] == ["s.json", "v/b.mp4"]
    assert ran.errors[0].startswith("failed: a.mp4: cannot be drawn")
    assert ran.errors[1].startswith("b: drawn into v/b.mp4 (")
    assert ran.errors[-1] == "1 of 2 videos done, 1 failed: 2 segments in s.json"
    assert list(read_file(Path("s.json"))) == ["a.mp4", "b"]


def test_one_video_whose_pictures_fail_has_its_segments_all_the_same(root, monkeypatch):
    write_file([video(run(0.2, 0.6))], Path("one.csv"))

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ascnet_cli.outputs.annotated.write_annotated", broken)
    ran = ascnet("render", "one.csv", "--video-root", root, "--out", "one.srt", "--video", "v.mp4")
    assert ran.code == 3
    assert Path("one.srt").exists()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_videos_clips_and_a_report_of_a_real_clip(tmp_path):
    examples = Path(__file__).resolve().parents[2] / "examples" / "mocap"
    truth = examples / "mocap.json"
    found = VideoDetections("mocap", 41.9, (run(5.0, 9.2, 1.0, "jogging"), run(12.1, 17.6, 0.7, "high kick")))
    write_file([found], Path("s.csv"))
    arguments = ("render", "s.csv", "--video-root", examples, "--video", "v.mp4", "--clips", "clips")
    arguments += ("--report", "r.html", "--truth", truth, "--json")
    ran = ascnet(*arguments)
    assert ran.code == 0, ran.err
    assert sorted(ran.json["files"]) == sorted(["v.mp4", "r.html", *map(str, Path("clips").iterdir())])
    assert len(list(Path("clips").iterdir())) == 2
    with av.open("v.mp4") as container:
        assert container.streams.video[0].frames == 1048
    assert "cartwheeling" in Path("r.html").read_text()  # it is in the truth alone
    assert ascnet(*arguments).code == 0  # all of it is ours
