"""`ascnet detect` on what it cannot use: one clear line, a hint, the right exit code, no traceback."""

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from ascnet_cli.outputs.files import read_file
from tests.cli_tools import HEADER, KINETICS_WEIGHTS, action_video, ascnet, stand_in_network
from tests.synthetic import make_audio, make_video
from weights import registry


@pytest.fixture(autouse=True)
def _quick():
    with stand_in_network():
        yield


def empty(folder):
    (folder / "clip.mp4").touch()


def text(folder):
    (folder / "clip.mp4").write_text("not a video\n" * 100)


def image(folder):
    (folder / "clip.mp4").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)


def no_moov(folder):
    data = action_video(folder / "whole.mp4").read_bytes()
    (folder / "whole.mp4").unlink()
    (folder / "clip.mp4").write_bytes(data[: data.index(b"moov") - 4])


def audio(folder):
    make_audio(folder / "clip.mp4")


def missing(folder):
    pass


def playlist(folder):
    action_video(folder / "other.mp4")
    (folder / "clip.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")


def pipe(folder):
    os.mkfifo(folder / "clip.mp4")


def dangling_link(folder):
    (folder / "clip.mp4").symlink_to("nowhere.mp4")


def looping_link(folder):
    (folder / "clip.mp4").symlink_to("clip.mp4")


BAD_VIDEOS = [
    (empty, "empty file"),
    (text, "not a readable video"),
    (image, "not a readable video"),
    (no_moov, "moov box, is missing"),
    (audio, "no video stream"),
    (missing, "no such file"),
    (playlist, "not a readable video"),
    (pipe, "not a regular file"),
    (dangling_link, "no such file"),
    (looping_link, "cannot be read"),
]


@pytest.mark.parametrize(("make", "reason"), BAD_VIDEOS, ids=[make.__name__ for make, _ in BAD_VIDEOS])
def test_a_bad_video_is_one_line_and_nothing_is_written(tmp_path, make, reason):
    make(tmp_path)
    ran = ascnet("detect", "clip.mp4", "--out", "segments.csv")
    assert ran.code == 4
    failed, closing = ran.errors
    assert failed.startswith("failed: clip.mp4: ")
    assert reason in failed
    assert closing == "0 of 1 video done, 1 failed: 0 segments"
    assert ran.out == ""
    assert not Path("segments.csv").exists()


@pytest.mark.parametrize("make", [empty, text, no_moov, audio, missing])
def test_the_line_says_what_to_do(tmp_path, make):
    make(tmp_path)
    assert "; hint: " in ascnet("detect", "clip.mp4").errors[0]


def test_a_failed_run_leaves_an_older_file_alone(tmp_path):
    empty(tmp_path)
    older = f"{HEADER}\nold.mp4,archery,0.000,1.000,0.500000\n"
    Path("segments.csv").write_text(older)
    assert ascnet("detect", "clip.mp4", "--out", "segments.csv").code == 4
    assert Path("segments.csv").read_text() == older


def test_a_failed_run_puts_nothing_on_standard_output(tmp_path):
    empty(tmp_path)
    assert ascnet("detect", "clip.mp4", "--out", "-").out == ""


@pytest.fixture
def truncated(tmp_path):
    """An mp4 with its index in front, cut off at 60 %; noise, so that its frames take room."""
    noise = torch.randint(0, 255, (75, 48, 64, 3), dtype=torch.uint8).numpy()
    options = {"movflags": "+faststart"}
    whole = make_video(
        tmp_path / "whole.mp4", n_frames=75, size=(64, 48), pictures=noise, container_options=options
    )
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    whole.unlink()
    return path


def test_a_truncated_video_is_done_with_a_warning(truncated):
    ran = ascnet("detect", truncated, "--out", "segments.csv")
    assert ran.code == 0
    assert Path("segments.csv").read_text().splitlines()[0] == HEADER
    warning = next(line for line in ran.errors if line.startswith("warning: cut.mp4: truncated: "))
    assert "its header promises 3.0 s" in warning


def test_strict_fails_a_truncated_video(truncated):
    ran = ascnet("detect", truncated, "--strict", "--out", "segments.csv")
    assert ran.code == 4
    assert ran.errors[0].startswith("failed: cut.mp4: truncated: ")
    assert not Path("segments.csv").exists()


def test_kept_features_of_a_truncated_video_still_warn_and_still_fail_under_strict(truncated):
    arguments = ("detect", truncated, "--features-out", "kept")
    first, again = ascnet(*arguments), ascnet(*arguments)
    assert "from kept features" in again.err
    for ran in (first, again):
        assert "warning: cut.mp4: truncated: " in ran.err
    assert ascnet(*arguments, "--strict").code == 4
    assert ascnet("detect", "kept/cut.mp4.npy", "--strict").code == 4


def test_one_bad_video_among_three(tmp_path):
    for name in ("a.mp4", "c.mp4"):
        action_video(tmp_path / name)
    (tmp_path / "b.mp4").write_text("not a video")
    ran = ascnet("detect", "a.mp4", "b.mp4", "c.mp4", "--out", "segments.csv")
    assert ran.code == 3
    rows = Path("segments.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["video", "a.mp4", "c.mp4"]
    assert ran.errors[-1] == "2 of 3 videos done, 1 failed: 2 segments in segments.csv"
    assert [line for line in ran.errors if line.startswith("failed: b.mp4: not a readable video; hint: ")]


def test_a_folder_without_videos(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("words")
    ran = ascnet("detect", "notes")
    assert ran.code == 4
    assert ran.errors[0].startswith("error: no video in notes (looked for .3gp ")
    assert ran.errors[1].startswith("hint: ")


def test_a_failure_that_nobody_foresaw_costs_one_video(tmp_path, monkeypatch):
    from extractors.features import Extractor

    def broken(self, path, **options):
        raise AttributeError("'VideoStream' object has no attribute 'width'")

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(Extractor, "extract", broken)
    ran = ascnet("detect", "a.mp4")
    assert ran.code == 4
    assert ran.errors[0] == (
        "failed: a.mp4: AttributeError: 'VideoStream' object has no attribute 'width'; hint: please report "
        "this as a bug"
    )


NO_ROOM = RuntimeError(
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), 6), (torch.OutOfMemoryError(), 6), (NO_ROOM, 6)])
def test_too_little_memory_is_exit_code_6_where_nothing_succeeded(tmp_path, monkeypatch, error, code):
    from extractors.features import Extractor

    def broken(self, path, **options):
        raise error

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(Extractor, "extract", broken)
    ran = ascnet("detect", "a.mp4")
    assert ran.code == code
    assert "memory was not enough for this video" in ran.errors[0]


@pytest.mark.parametrize(("names", "code"), [("abc", 3), ("bc", 4)])
def test_a_graphics_card_that_fails_ends_the_run_with_what_is_done(tmp_path, monkeypatch, names, code):
    from extractors.features import Extractor

    extract = Extractor.extract
    seen = []

    def failing(self, path, **options):
        seen.append(path.name)
        if path.name == "b.mp4":
            raise RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")
        return extract(self, path, **options)

    for name in names:
        action_video(tmp_path / f"{name}.mp4")
    monkeypatch.setattr(Extractor, "extract", failing)
    ran = ascnet("detect", *(f"{name}.mp4" for name in names), "--out", "segments.csv")
    assert ran.code == code
    assert "c.mp4" not in seen
    assert "b.mp4: the graphics card failed: CUDA error: device-side assert triggered" in ran.err
    assert "run the same command again" in ran.err
    assert "TORCH_USE_CUDA_DSA" not in ran.err
    if "a" in names:
        assert "1 of 3 videos done, 2 not begun or not finished: 1 segment in segments.csv" in ran.errors
        assert list(read_file(tmp_path / "segments.csv")) == ["a.mp4"]
    else:
        assert not (tmp_path / "segments.csv").exists()


def test_a_video_that_changes_while_it_is_read_is_not_kept(tmp_path, monkeypatch):
    from extractors.features import Extractor

    extract = Extractor.extract

    def growing(self, path, **options):
        features = extract(self, path, **options)
        with path.open("ab") as file:
            file.write(b"more")
        return features

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(Extractor, "extract", growing)
    ran = ascnet("detect", "a.mp4", "--features-out", "kept")
    assert ran.code == 0
    assert "warning: a.mp4: the file changed while it was read" in ran.err
    assert list(Path("kept").iterdir()) == []


def test_features_are_not_kept_of_a_video_that_is_another_one_than_was_hashed(tmp_path, monkeypatch):
    from ascnet_cli import detect

    hashed = detect.fingerprint
    action_video(tmp_path / "later.mp4", (0.0, 2.0))

    def replaced(path):
        told = hashed(path)
        (tmp_path / "later.mp4").replace(path)
        return told

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(detect, "fingerprint", replaced)
    ran = ascnet("detect", "a.mp4", "--features-out", "kept")
    assert ran.code == 0
    assert "warning: a.mp4: the file changed while it was read" in ran.err
    assert list(Path("kept").iterdir()) == []


def refused(*arguments):
    """Run a command line that must be refused before anything is decoded: its code, error and hint."""
    ran = ascnet(*arguments)
    assert ran.out == ""
    error, hint = ran.errors
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return ran.code, error, hint


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """A good video that nobody may open."""
    from extractors.features import Extractor

    def opened(self, path, **options):
        raise AssertionError("the video was opened")

    monkeypatch.setattr(Extractor, "extract", opened)
    return action_video(tmp_path / "clip.mp4")


def test_an_output_in_a_folder_that_is_not_there(clip):
    code, error, _ = refused("detect", clip, "--out", "nowhere/segments.csv")
    assert code == 2
    assert "nowhere" in error


def test_an_output_that_is_a_folder(clip):
    Path("segments.csv").mkdir()
    code, error, _ = refused("detect", clip, "--out", "segments.csv")
    assert code == 2
    assert error == "error: segments.csv is a folder"


def test_an_output_below_a_file(clip):
    Path("file").touch()
    assert refused("detect", clip, "--out", "file/segments.csv")[0] == 2


@pytest.mark.parametrize("folder", ["file", "file/kept"])
def test_features_that_cannot_be_kept(clip, folder):
    Path("file").touch()
    code, error, _ = refused("detect", clip, "--features-out", folder)
    assert code == 2
    assert folder in error


def test_cuda_where_there_is_none(clip, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, error, hint = refused("detect", clip, "--device", "cuda")
    assert code == 2
    assert "cuda" in error
    assert "--device cpu" in hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--device", "cuda:x"], "unknown device 'cuda:x'"),
        (["--decoder", "ffmpeg"], "unknown decoder 'ffmpeg'"),
        (["--out", "segments.xml"], "segments.xml: the ending does not say which format it has"),
        (["--out", "segments"], "segments: the ending does not say which format it has"),
        (["--out", "segments.csv", "--format", "xml"], "unknown format 'xml'"),
        (["--out", "-", "--format", "xml"], "unknown format 'xml'"),
        (["--format", "json"], "--format without --out"),
        (["--out", "-", "--json"], "--out - and --json both want standard output"),
        (["--out", ""], "--out is empty"),
        (["--labels", ","], "--labels names no class"),
        (["--labels", ""], "--labels names no class"),
        (["--min-score", "nan"], "--min-score must be a number, not nan"),
        (["--min-score", "high"], "--min-score"),
        (["--min-score"], "--min-score"),
        (["--max-pixels", "1"], "the limit of pixels must be 64 to 1073741824, not 1"),
        (["--max-damage", "5"], "the damage that is taken must be a fraction from 0 to 1, not 5.0"),
        (["--max-damage", "0.5", "--decoder", "decord"], "decord counts no damage"),
        (["--mni-score", "0.1"], "No such option: --mni-score"),
        ([""], "a file name is empty"),
    ],
)
def test_options_that_make_no_sense(clip, options, said):
    code, error, _ = refused("detect", clip, *options)
    assert code == 2
    assert said in error


def test_no_input_at_all():
    code, error, hint = refused("detect")
    assert code == 2
    assert "FILE|FOLDER" in error
    assert "ascnet detect --help" in hint


@pytest.mark.parametrize(
    ("label", "near"),
    [("juggling soccer bal", "juggling soccer ball"), ("joging", "jogging"), ("archery,archry", "archery")],
)
def test_an_unknown_label_is_answered_with_the_nearest(clip, label, near):
    code, error, hint = refused("detect", clip, "--labels", label)
    assert code == 2
    assert "the model has no class" in error
    assert f"'{near}'" in hint


def test_a_label_that_is_near_nothing(clip):
    assert "400 classes" in refused("detect", clip, "--labels", "qqqqqqqq")[2]


def test_the_same_name_in_two_folders_names_both(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        action_video(tmp_path / folder / "a.mp4")
    code, error, hint = refused("detect", "one/a.mp4", "two/a.mp4")
    assert code == 2
    assert "one/a.mp4 and two/a.mp4" in error
    assert "folder that holds both" in hint


def damaged(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damaged_weights_are_named_with_both_hashes(clip, tmp_path, monkeypatch):
    from weights.store import load

    known = registry.entry(KINETICS_WEIGHTS)
    package = tmp_path / "package"
    package.mkdir()
    copy = package / known.file
    copy.write_bytes(known.path.read_bytes())
    damaged(copy)
    monkeypatch.setattr(registry, "_PACKAGE", package)
    monkeypatch.setattr("ascnet_cli.detector.load", load)
    code, error, _ = refused("detect", clip)
    assert code == 5
    assert known.sha256 in error
    assert hashlib.sha256(copy.read_bytes()).hexdigest() in error


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("it-ran"),)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"")


MODELS = {
    "text": lambda path: path.write_text("not a model"),
    "empty": lambda path: path.touch(),
    "pickle": lambda path: path.write_bytes(pickle.dumps(Payload())),
    "zip": zipped,
    "folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_no_checkpoint(clip, tmp_path, kind):
    MODELS[kind](tmp_path / "model.safetensors")
    code, error, _ = refused("detect", clip, "--model", "model.safetensors")
    assert code == 5
    assert "model.safetensors" in error
    assert not Path("it-ran").exists()


def test_a_misspelt_model_name(clip):
    code, _, hint = refused("detect", clip, "--model", "kinetics")
    assert code == 5
    assert "kinetics400" in hint
