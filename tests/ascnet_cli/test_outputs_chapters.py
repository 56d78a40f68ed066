"""Chapters: what FFmpeg makes of them, and what a label can do to them."""

import io
import subprocess

import av
import imageio_ffmpeg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import PredictionsError
from ascnet_cli.outputs import chapters
from ascnet_cli.outputs.text import in_order, visible
from tests.ascnet_cli.hostile import HOSTILE, detections, run, video
from tests.synthetic import make_video


def written(*found, name="a.mp4"):
    file = io.StringIO(newline="")
    chapters.write([video(*found, name=name)], file)
    return file.getvalue()


def read(text, name="x.ffmeta"):
    return chapters.read(io.StringIO(text, newline=""), name)


def label_in(label):
    return visible(label, "\n")


def with_ffmpeg(folder, text):
    """Chapters as FFmpeg reads them: start and end in seconds, title."""
    path = folder / "a.ffmeta"
    path.write_text(text, encoding="utf-8", newline="")
    with av.open(str(path), format="ffmetadata") as container:
        return container.metadata, [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"].get("title"))
            for c in container.chapters()
        ]


def test_to_the_letter():
    assert written(run(1.0, 2.5, 0.738, "a=b;c#d\\e\nf"), name="a;b.mp4") == (
        ";FFMETADATA1\ntitle=a\\;b.mp4\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=–\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2500\ntitle=a\\=b\\;c\\#d\\\\e\\\nf (0.74)\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=2500\nEND=60000\ntitle=–\n"
    )


def test_ffmpeg_reads_every_label(tmp_path):
    found = [run(k, k + 1.5, 0.5, label) for k, label in enumerate(HOSTILE)]
    metadata, back = with_ffmpeg(tmp_path, written(*found, name="a=b;\nc.mp4"))
    assert back.pop() == (len(HOSTILE) + 0.5, 60.0, "–")
    assert back == [(k, k + 1.5, f"{label_in(label)} (0.50)") for k, label in enumerate(HOSTILE)]
    assert metadata["title"] == "a=b;\nc.mp4"


@settings(deadline=None, max_examples=60)
@given(st.lists(detections, max_size=4))
def test_what_was_written_is_read(found):
    text = written(*found)
    (back,) = read(text).values()
    assert [(d.label, d.segment, d.score) for d in back] == [
        (label_in(d.label), d.segment, round(d.score, 2)) for d in in_order(found, label_in)
    ]
    assert chapters.is_ours(text)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_chapters_in_a_video(tmp_path, ending):
    """mkv keeps segments that overlap; an mp4 keeps where each begins."""
    make_video(tmp_path / "a.mp4", n_frames=125)
    (tmp_path / "a.ffmeta").write_text(written(run(0.5, 2.0), run(1.0, 3.0, label="walk"), run(4.0, 5.0)))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "a.mp4", "-i", "a.ffmeta"]
    command += ["-map_metadata", "1", "-map_chapters", "1", "-codec", "copy", f"out.{ending}"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    with av.open(str(tmp_path / f"out.{ending}")) as container:
        back = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
        assert container.metadata["title"] == "a.mp4"
    back = [chapter for chapter in back if chapter[2] and chapter[0] < 5]
    assert [(start_s, title) for start_s, _, title in back] == [
        (0.0, "–"),
        (0.5, "run (0.50)"),
        (1.0, "walk (0.50)"),
        (3.0, "–"),
        (4.0, "run (0.50)"),
    ]
    if ending == "mkv":
        assert [end_s for _, end_s, _ in back] == [0.5, 2.0, 3.0, 4.0, 5.0]


def test_what_ffmpeg_writes_is_read():
    text = (
        ";FFMETADATA1\n# made by hand\nencoder=Lavf\n[STREAM]\ntitle=sound\n"
        "[CHAPTER]\nTIMEBASE=1/25\nSTART=50\nEND=75\ntitle=high kick\n"
        "[CHAPTER]\nSTART=0\nEND=1000000000\ntitle=a\n"
    )
    assert read(text, "clip.mp4.ffmeta") == {
        "clip.mp4": (run(2.0, 3.0, 1.0, "high kick"), run(0.0, 1.0, 1.0, "a"))
    }
    assert not chapters.is_ours(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with ;FFMETADATA1"),
        (";FFMETADATA1\n[CHAPTER]\nSTART=0\ntitle=a\n", "chapter 1 has no times"),
        (";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/0\nSTART=0\nEND=1\ntitle=a\n", "chapter 1 has no times"),
        (";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=1\nEND=1\ntitle=a\n", "chapter 1: a segment needs"),
        (";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\n", "chapter 1: a detection needs a label"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(PredictionsError, match=message) as caught:
        read(text)
    assert caught.value.hint
    assert not chapters.is_ours(text)
