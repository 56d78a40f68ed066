"""Places are settled before any work: what files there will be, and what is in their way."""

import json
import os
from pathlib import Path

import pytest

from ascnet_cli.errors import OptionError, OutputError
from ascnet_cli.outputs import files
from ascnet_cli.outputs.video.file import is_ours
from ascnet_cli.targets import (
    Place,
    Source,
    TextTarget,
    Wanted,
    check_places,
    file_name,
    plan,
    text_targets,
)
from tests.ascnet_cli.hostile import run, video
from tests.synthetic import make_video


def sources(*names):
    return [Source(name, Path("in") / name) for name in names]


def planned(wanted, *names, **options):
    check_places(wanted)
    return plan(wanted, sources(*names), **options)


def texts(*outs, formats=()):
    return Wanted(texts=text_targets(outs, formats))


def test_files_have_the_formats_of_their_endings():
    assert text_targets(["a.csv", "b.eaf"], []) == (
        TextTarget(Path("a.csv"), ("csv",)),
        TextTarget(Path("b.eaf"), ("eaf",)),
    )


def test_one_format_is_that_of_one_file_whatever_its_ending():
    assert text_targets(["a.txt"], ["srt"]) == (TextTarget(Path("a.txt"), ("srt",)),)


def test_a_folder_has_a_file_a_format_or_a_file_a_video_and_format():
    made = planned(texts("out/", formats=["csv", "srt", "srt"]), "a.mp4", "deep/a.mkv")
    assert [(str(text.path), text.format, text.video) for text in made.texts] == [
        ("out/segments.csv", "csv", None),
        ("out/a.mp4.srt", "srt", "a.mp4"),
        ("out/deep/a.mkv.srt", "srt", "deep/a.mkv"),
    ]
    assert Path("out").is_dir()


def test_a_folder_that_is_there_needs_no_slash():
    Path("out").mkdir()
    assert text_targets(["out"], ["json"]) == (TextTarget(Path("out"), ("json",), is_folder=True),)


@pytest.mark.parametrize(
    ("outs", "formats", "said"),
    [
        (["a.csv"], ["csv", "json"], "cannot have the formats csv and json"),
        (["a.csv", "b.json"], ["csv"], "--format beside several files"),
        ([], ["csv"], "--format without --out"),
        (["a.csv"], ["xml"], "unknown format 'xml'"),
        (["a.csv", ""], [], "--out is empty"),
        (["a.txt"], [], "the ending does not say"),
        ([".srt"], [], "the ending does not say"),
    ],
)
def test_files_and_formats_that_do_not_go_together(outs, formats, said):
    with pytest.raises(OptionError, match=said) as caught:
        text_targets(outs, formats)
    assert caught.value.hint


def test_a_folder_without_a_format():
    with pytest.raises(OutputError, match="out is a folder"):
        text_targets(["out/"], [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clips_copy": True}, "--clips-copy without --clips"),
        ({"embed": True}, "--embed without --report"),
        ({"truth": Path("t.json")}, "--truth without --report"),
        ({"fps": 25.0}, "--fps without the format label-studio"),
        ({"spreadsheet_safe": True}, "--spreadsheet-safe without a CSV"),
        ({"fps": float("nan"), "stdout": "label-studio"}, "--fps must lie in"),
        ({"fps": -1.0, "stdout": "label-studio"}, "--fps must lie in"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Wanted(**options)


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        (lambda: texts("out.d/a.srt"), "--out out.d/a/ --format srt"),
        (lambda: Wanted(stdout="eaf"), "--out FOLDER/ --format eaf"),
        (lambda: Wanted(video=Place.of("v.mp4")), "--video v/"),
    ],
)
def test_one_file_for_several_videos(wanted, hint):
    Path("out.d").mkdir()
    assert planned(wanted(), "a.mp4")
    with pytest.raises(OptionError, match="2") as caught:
        planned(wanted(), "a.mp4", "b.mp4")
    assert hint in caught.value.hint
    with pytest.raises(OptionError, match="2"):
        planned(wanted(), "a.mp4", n_videos=2)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (lambda: texts("file/a.csv"), OutputError),
        (lambda: texts("nowhere/a.csv"), OutputError),
        (lambda: texts("file/", formats=["csv"]), OutputError),
        (lambda: Wanted(video=Place.of("nowhere/v.mp4")), OutputError),
        (lambda: Wanted(video=Place.of("v.avi")), OptionError),
        (lambda: Wanted(video=Place.of("file/")), OutputError),
        (lambda: Wanted(clips=Path("file")), OutputError),
        (lambda: Wanted(report=Path("nowhere/r.html")), OutputError),
        (lambda: Wanted(report=Path("r.csv")), OptionError),
        (lambda: Wanted(report=Path("folder.html")), OutputError),
    ],
)
def test_places_that_cannot_be(wanted, error):
    Path("file").touch()
    Path("folder.html").mkdir()
    with pytest.raises(error) as caught:
        check_places(wanted())
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_two_outputs_in_one_place():
    with pytest.raises(OptionError, match=r"a\.csv and A\.CSV would be the same file"):
        planned(texts("a.csv", "A.CSV"), "a.mp4")
    with pytest.raises(OptionError, match=r"for 'a\.mp4' and 'A\.mp4'"):
        planned(texts("out/", formats=["srt"]), "a.mp4", "A.mp4")
    with pytest.raises(OptionError, match="same file"):
        planned(Wanted(video=Place.of("v/")), "a.avi", "a.avi.mp4")


def test_annotated_videos_mirror_their_sources():
    made = planned(Wanted(video=Place.of("v/")), "a.mp4", "deep/b.avi", "c.MOV")
    assert {name: str(path) for name, path in made.videos.items()} == {
        "a.mp4": "v/a.mp4",
        "deep/b.avi": "v/deep/b.avi.mp4",
        "c.MOV": "v/c.MOV",
    }


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_over_what_is_read(tmp_path, force):
    make_video(tmp_path / "a.mp4", n_frames=2)
    files.write_file([video(run(0, 1))], Path("s.csv"))
    os.link("s.csv", "same.csv")
    source = [Source("a.mp4", tmp_path / "a.mp4")]
    for wanted, reads in (
        (Wanted(video=Place.of("a.mp4"), force=force), []),
        (Wanted(video=Place.of("./"), force=force), []),
        (Wanted(texts=text_targets(["same.csv"], []), force=force), [Path("s.csv")]),
    ):
        check_places(wanted)
        with pytest.raises(OptionError, match="which is read"):
            plan(wanted, source, reads)


@pytest.mark.parametrize("name", ["v.mp4", "r.html", "out/a.mp4.srt", "out/segments.csv"])
def test_what_somebody_else_made_is_left_alone_unless_forced(name):
    Path("out").mkdir()
    wanted = {
        "texts": text_targets(["out/"], ["srt", "csv"]),
        "video": Place.of("v.mp4"),
        "report": Path("r.html"),
    }
    planned(Wanted(**wanted), "a.mp4")
    Path(name).write_text("mine")
    with pytest.raises(OutputError, match="not as ascnet wrote it"):
        planned(Wanted(**wanted), "a.mp4")
    planned(Wanted(**wanted, force=True), "a.mp4")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("out/deep", "elsewhere"),
        ("out/a.mp4.srt", "elsewhere/x.srt"),
        ("out/a.mp4.srt", "/dev/null"),
        ("out/segments.csv", "out_too/x.csv"),
        ("v/a.mp4", "elsewhere/x.mp4"),
        ("v/deep", "elsewhere"),
        ("r/r_pages", "elsewhere"),
    ],
)
def test_a_link_that_leads_out_of_a_folder_is_refused(tmp_path, link, leads_to, force):
    for name in ("out", "v", "r", "elsewhere", "out_too"):
        Path(name).mkdir()
    Path(link).symlink_to(tmp_path / leads_to)
    wanted = Wanted(
        texts=text_targets(["out/"], ["srt", "csv"]),
        video=Place.of("v/"),
        report=Path("r/r.html"),
        force=force,
    )
    with pytest.raises(OutputError, match=f"^{link} is a link that leads out of"):
        planned(wanted, "a.mp4", "deep/b.mp4")
    assert not any(Path("elsewhere").iterdir())


def test_links_that_stay_inside_or_were_named_are_followed(tmp_path):
    for name in ("real/deep", "elsewhere"):
        Path(name).mkdir(parents=True)
    Path("out").symlink_to(tmp_path / "real")
    Path("out/again").symlink_to(tmp_path / "real" / "deep")
    Path("named.csv").symlink_to(tmp_path / "elsewhere" / "x.csv")
    Path("out/named.csv").symlink_to(tmp_path / "elsewhere" / "y.csv")
    planned(texts("out/", "named.csv", "out/named.csv", formats=["srt"]), "again/a.mp4")
    planned(texts("./", formats=["srt"]), "a.mp4")


def test_pages_of_several_videos_are_looked_at_too():
    from ascnet_cli.outputs.report.write import page_name

    wanted = Wanted(report=Path("r.html"))
    planned(wanted, "a.mp4", "b.mp4")
    Path("r_pages").mkdir()
    (Path("r_pages") / page_name("b.mp4")).write_text("mine")
    with pytest.raises(OutputError, match="r_pages/b"):
        planned(wanted, "a.mp4", "b.mp4")


def test_something_in_the_way_of_a_folder():
    Path("out").mkdir()
    Path("out/deep").touch()
    with pytest.raises(OutputError, match="out/deep is in the way"):
        planned(texts("out/", formats=["srt"]), "deep/a.mp4")


def test_without_the_video_there_are_no_pictures_of_it():
    kept = [Source("a.mp4", None)]
    for wanted, said in (
        (Wanted(video=Place.of("v.mp4")), "no picture of it"),
        (Wanted(clips=Path("clips")), "no picture of it"),
        (Wanted(stdout="label-studio"), "counts its frames"),
    ):
        with pytest.raises(OptionError, match=said):
            plan(wanted, kept)
    assert plan(Wanted(stdout="label-studio", fps=25.0), kept)
    assert plan(Wanted(report=Path("r.html")), kept)


def test_a_video_too_large_to_embed(monkeypatch, tmp_path):
    make_video(tmp_path / "a.mp4", n_frames=2)
    monkeypatch.setattr("ascnet_cli.outputs.report.media.EMBED_LIMIT_BYTES", 10)
    with pytest.raises(OptionError, match="embed"):
        plan(Wanted(report=Path("r.html"), embed=True), [Source("a.mp4", tmp_path / "a.mp4")])


@pytest.mark.parametrize(
    ("video", "path"),
    [
        ("a.mp4", "a.mp4.srt"),
        ("deep/a.mp4", "deep/a.mp4.srt"),
        ("../../etc/x", "_/_/etc/x.srt"),
        ("/etc/x", "_/etc/x.srt"),
        ("a//b", "a/_/b.srt"),
        ("a\x00b", "a_b.srt"),
        ("..", "...srt"),
    ],
)
def test_a_name_never_leaves_the_folder(video, path):
    assert str(file_name(video, ".srt")) == path


def test_ground_truth_is_found_by_name_with_or_without_its_ending():
    instance = {"label": "run", "segment": [1, 2]}
    database = {"a": {"annotations": [instance]}, "b.mp4": {"annotations": []}}
    Path("t.json").write_text(json.dumps({"database": database}))
    made = planned(Wanted(report=Path("r.html"), truth=Path("t.json")), "a.mp4", "deep/b.mp4", "c.mp4")
    assert made.truth == {"a.mp4": (run(1.0, 2.0, 1.0),), "deep/b.mp4": ()}


def test_another_programs_video_is_not_ours(tmp_path):
    assert not is_ours(make_video(tmp_path / "a.mp4", n_frames=2))
