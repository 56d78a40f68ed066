"""Everything is written for a finished batch; pictures that fail cost one video alone."""

from pathlib import Path

import pytest

from ascnet_cli.errors import OutputError, StorageError
from ascnet_cli.outputs import files
from ascnet_cli.outputs.annotated import AnnotateReport
from ascnet_cli.rendering import Look, draw, text_of, write_pages, write_texts
from ascnet_cli.segments import VideoDetections
from ascnet_cli.targets import Place, Source, Wanted, check_places, plan, text_targets
from extractors.video import DecodeReport
from tests.ascnet_cli.hostile import run
from tests.synthetic import make_video


@pytest.fixture
def looks(tmp_path):
    found = []
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, n_frames=25)
        found.append(Look(VideoDetections(name, 1.0, (run(0.2, 0.6), run(0.4, 0.8, label=f"only {name}")))))
    return found


def planned(looks, **wanted):
    asked = Wanted(**wanted)
    check_places(asked)
    return plan(asked, [Source(look.result.video, Path(look.result.video)) for look in looks])


def test_files_of_segments(looks):
    made = planned(looks, texts=text_targets(["out/", "s.csv"], ["eaf", "label-studio"]))
    written, failures, _ = write_texts(made, [look.result for look in looks])
    assert [str(path) for path in written] == [
        "out/a.mp4.eaf",
        "out/b.mp4.eaf",
        "out/segments.label-studio.json",
        "s.csv",
    ]
    assert failures == ()
    assert '"fps": 25.0' in Path("out/segments.label-studio.json").read_text()
    assert 'RELATIVE_MEDIA_URL="../a.mp4"' in Path("out/a.mp4.eaf").read_text()
    assert planned(looks, texts=text_targets(["out/", "s.csv"], ["eaf", "label-studio"]))  # a second run may


def test_a_video_that_failed_has_no_file(looks):
    made = planned(looks, texts=text_targets(["out/"], ["srt", "csv"]))
    written, _, _ = write_texts(made, [looks[1].result])
    assert [str(path) for path in written] == ["out/b.mp4.srt", "out/segments.csv"]
    assert write_texts(made, []) == ((), (), {})


@pytest.mark.parametrize("error", [OutputError("a.srt: no", hint="else"), OverflowError("a.srt: no")])
def test_one_file_that_fails_does_not_keep_the_others(looks, monkeypatch, error):
    write = files.write_file

    def failing(results, path, *rest):
        if path.suffix == ".srt":
            raise error
        write(results, path, *rest)

    monkeypatch.setattr(files, "write_file", failing)
    made = planned(looks[:1], texts=text_targets(["a.srt", "a.vtt"], []))
    written, (failure,), _ = write_texts(made, [looks[0].result])
    assert written == (Path("a.vtt"),)
    assert "a.srt: no" in str(failure)


def test_text_for_standard_output(looks):
    made = planned(looks, stdout="label-studio", fps=50.0)
    assert '"fps": 50.0' in text_of(made, [look.result for look in looks], "label-studio")


def test_pictures(looks, monkeypatch):
    asked = {}
    read = DecodeReport("pyav", 25, 25, 0, 1.0, 1.0, truncated=False)

    def write_annotated(source, result, target, *, labels, progress):
        asked[result.video] = (source, target, tuple(labels))
        progress(0.5, 1.0)
        if result.video == "a.mp4":
            raise AttributeError("no width")
        return AnnotateReport(target, 2, 2, 25, 1.0, read, ("a note",))

    monkeypatch.setattr("ascnet_cli.outputs.annotated.write_annotated", write_annotated)
    seen = []
    made = planned(looks, video=Place.of("v/"))
    failed, done = draw(made, looks, progress=lambda video: lambda *at: seen.append((video, at)))
    assert (failed.error, failed.hint) == ("AttributeError: no width", "please report this as a bug")
    assert failed.exit_code == 1
    assert (done.files, done.notes, done.error) == ((Path("v/b.mp4"),), ("a note",), None)
    # one set of classes for all, so that colours are equal
    assert asked["b.mp4"] == (Path("b.mp4"), Path("v/b.mp4"), ("only a.mp4", "only b.mp4", "run"))
    assert seen == [("a.mp4", (0.5, 1.0)), ("b.mp4", (0.5, 1.0))]


def test_a_full_disk_ends_it(looks, monkeypatch):
    def full(*_, **__):
        raise StorageError("full")

    monkeypatch.setattr("ascnet_cli.outputs.annotated.write_annotated", full)
    with pytest.raises(StorageError):
        list(draw(planned(looks, video=Place.of("v/")), looks))


def test_nothing_is_drawn_that_was_not_asked_for(looks):
    made = planned(looks, texts=text_targets(["s.csv"], []))
    assert list(draw(made, looks)) == []
    assert write_pages(made, looks) == ()


@pytest.mark.parametrize("force", [False, True])
def test_clips_stay_in_their_folder(looks, tmp_path, force):
    made = planned(looks, clips=Path("clips"), clips_copy=True, force=force)
    first = next(draw(made, looks)).files[0]
    first.unlink()
    first.symlink_to(tmp_path / "elsewhere.mp4")
    failed, done = draw(made, looks)
    assert failed.error is not None
    assert failed.error.startswith(f"{first} is a link that leads out of clips")
    assert done.error is None
    assert not Path("elsewhere.mp4").exists()


def test_clips_are_asked_for_once_and_cut_where_segments_are(looks):
    made = planned(looks, clips=Path("clips"), clips_copy=True)
    first, second = draw(made, looks)
    assert (first.error, second.error) == (None, None)
    assert first.notes == ("clips begin at key frames, up to 0.4 s before their segments",)
    mine = first.files[0]
    assert [one.error for one in draw(made, looks)] == [None, None]
    mine.write_text("mine")
    failed, done = draw(made, looks)
    assert failed.error == f"{mine} is there, and not as ascnet wrote it"
    assert done.error is None
    assert mine.read_text() == "mine"
    forced = planned(looks, clips=Path("clips"), clips_copy=True, force=True)
    assert [one.error for one in draw(forced, looks)] == [None, None]


@pytest.mark.slow
def test_real_pictures_and_pages(looks):
    made = planned(looks, video=Place.of("v/"), clips=Path("clips"), report=Path("r.html"))
    drawn = list(draw(made, looks))
    assert [one.error for one in drawn] == [None, None]
    assert [len(one.files) for one in drawn] == [3, 3]
    assert len({path for one in drawn for path in one.files}) == 6
    pages = write_pages(made, looks)
    assert pages[0] == Path("r.html")
    assert len(pages) == 3
    again = planned(looks, video=Place.of("v/"), clips=Path("clips"), report=Path("r.html"))
    assert again.videos == made.videos
