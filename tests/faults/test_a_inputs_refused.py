"""A: files that cannot be read. Each fails alone, in one line that says why, and nothing is kept of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from extractors.features import Extractor
from tests import extraction_tools
from tests.cli_tools import action_video, stand_in_network
from tests.cli_tools import ascnet as ascnet_here
from tests.faults.fault_tools import ascnet, command_of, environment
from tests.synthetic import FFV1, make_video


def test_the_batch_goes_on_past_every_bad_file(both):
    assert both.code == 3
    bad = {name for name, seen in both.files.items() if seen.state == "failed"}
    assert both["good.mp4"].state == "done"
    assert len(bad) == sum(line.startswith("failed: ") for line in both.err.splitlines()) >= 20
    if (both.folder / "kept" / "failures.jsonl").exists():
        lines = (both.folder / "kept" / "failures.jsonl").read_text().splitlines()
        assert {json.loads(line)["video"] for line in lines} == bad


def test_A01_an_empty_file(both, tmp_path):
    assert both["a01.mp4"].failed("not a video (empty file)")


@pytest.mark.slow
def test_A01_an_empty_file_alone_is_4_for_the_command_as_it_is_installed(tmp_path):
    (tmp_path / "only.mp4").touch()
    ran = ascnet("detect", "only.mp4", "--out", "segments.csv", program=None, cwd=tmp_path)
    assert ran.returncode == 4, ran.stderr
    assert "failed: only.mp4: not a video (empty file); hint: " in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["only.mp4"]


@pytest.mark.parametrize("kind", ["noise", "text", "page", "png", "jpg", "webp"])
def test_A02_what_is_no_video_whatever_it_is_called(both, kind):
    assert both[f"a02-{kind}.mp4"].failed("not a readable video", "; hint: ")


def test_A03_a_recording_that_was_interrupted(both):
    assert both["a03.mp4"].failed("moov", "hint: the file is incomplete", "remux")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_A06_sound_alone(both, ending):
    assert both[f"a06.{ending}"].failed("no video stream")


def test_A07_a_cover_does_not_stand_in_for_a_video_without_frames(both):
    assert both["a07-cover-alone.mp4"].failed("no frame could be decoded (h264")


def test_A08_no_frame_that_can_be_decoded(both):
    assert both["a08.mp4"].failed("no frame could be decoded")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("9000", "9000x5000 is over the limit of 33.2 megapixels"), ("60000", "not a readable video")],
)
def test_A19_huge_pictures_by_their_header(both, name, reason):
    assert both[f"a19-{name}.mp4"].failed(reason)


def test_A19_how_large_pictures_may_be_is_the_callers(tmp_path):
    """In a decoder of its own, to which the limit must come."""
    make_video(tmp_path / "clip.mp4", n_frames=3, size=(96, 72))
    with stand_in_network(apart=True):
        refused = ascnet_here("detect", "clip.mp4", "--max-pixels", str(96 * 72 - 1))
        taken = ascnet_here("detect", "clip.mp4", "--max-pixels", str(96 * 72))
    assert refused.code == 4
    assert "failed: clip.mp4: 96x72 is over the limit of 0.00691 megapixels a frame" in refused.err
    assert "--max-pixels" in refused.err
    assert taken.code == 0, taken.err


@pytest.mark.slow
def test_A19_a_few_kilobytes_that_would_be_gigabytes_take_no_memory(tmp_path):
    path = make_video(tmp_path / "bomb.mkv", n_frames=1, size=(300, 300), codec=FFV1)
    data = path.read_bytes()
    side = (300).to_bytes(2, "big")  # PixelWidth and PixelHeight, as Matroska writes them
    for element in (b"\xb0\x82", b"\xba\x82"):
        assert element + side in data
        data = data.replace(element + side, element + (8192).to_bytes(2, "big"))
    path.write_bytes(data)
    assert len(data) < 25_000
    make_video(tmp_path / "small.mkv", n_frames=1, size=(300, 300), codec=FFV1)
    small, bomb = (peak_kib(tmp_path, name) for name in ("small.mkv", "bomb.mkv"))
    assert small[0] == 0, small
    assert bomb[0] == 4
    assert "8192x8192 is over the limit of 33.2 megapixels a frame" in bomb[2]
    assert (
        bomb[1] < small[1] + 50 * 1024
    )  # one picture would take 196 MiB, in the decoder and once more as RGB


def peak_kib(folder: Path, name: str) -> tuple[int, int, str]:
    """`ascnet extract` of one file: exit code, the most memory that a process of it had, and what it said."""
    program = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    command = command_of("tests.extraction_tools.run", ["extract", name, "--out", f"{name}.out"])
    ran = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, peak = map(int, ran.stdout.splitlines()[-1].split())
    return code, peak, ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_A22_a_decoder_that_crashes_or_hangs_fails_its_video_alone(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "crash", "hang", "z"):
        make_video(tmp_path / "in" / f"{name}.mp4", n_frames=20)
    arguments = ("extract", tmp_path / "in", "--out", tmp_path / "out", "--workers", "1", "--json")
    process = extraction_tools.started(*arguments, "--video-timeout", "5")
    code, out, err = extraction_tools.ended(process)
    assert code == 3, err
    states = {video["video"]: video["state"] for video in json.loads(out)["videos"]}
    assert states == {"a.mp4": "done", "crash.mp4": "failed", "hang.mp4": "failed", "z.mp4": "done"}
    assert "failed: crash.mp4: decoder crashed (signal 11)" in err
    assert "failed: hang.mp4: took longer than 5 s" in err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_A22_detect_too_outlives_its_decoder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "crash", "hang", "z"):
        make_video(tmp_path / "in" / f"{name}.mp4", n_frames=20)
    program = "tests.faults.fault_tools.run_detect_troubled"
    ran = ascnet("detect", "in", "--out", "segments.csv", "--json", program=program, cwd=tmp_path)
    assert ran.returncode == 3, ran.stderr
    states = {video["video"]: video["state"] for video in json.loads(ran.stdout)["videos"]}
    assert states == {"a.mp4": "done", "crash.mp4": "failed", "hang.mp4": "failed", "z.mp4": "done"}
    assert "failed: crash.mp4: decoder crashed (signal 11)" in ran.stderr
    assert "failed: hang.mp4: the decoder gave nothing for 5 s" in ran.stderr


def test_A23_an_unknown_codec_is_named(both):
    assert both["a23-unknown.mp4"].failed("codec is unknown to this FFmpeg: none (zzzz")


def test_A23_an_encrypted_video(both):
    assert both["a23-encrypted.mp4"].failed("it is encrypted (h264)", "DRM")


A24 = {
    "ffconcat": "not a readable video",
    "m3u8": "not a readable video",
    "sdp": "not a readable video",
    "pipe": "not a regular file",
    "dangling": "no such file",
    "loop": "cannot be read",
    "device": "not a regular file",
}


@pytest.mark.parametrize("kind", A24)
def test_A24_what_would_lead_elsewhere_is_not_followed(both, kind):
    assert both[f"a24-{kind}.mp4"].failed(A24[kind])


@pytest.mark.slow
def test_A24_protocols_are_names_of_files_that_are_not_there(tmp_path):
    make_video(tmp_path / "a.mp4", n_frames=3)
    (tmp_path / "folder.mp4").mkdir()
    make_video(tmp_path / "folder.mp4" / "inner.mp4", n_frames=3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        names = ["concat:a.mp4|a.mp4", "pipe:0", address, "file:a.mp4", "subfile,,start,0,end,9,,:a.mp4"]
        # Standard input stays open: whoever reads from it waits until the time is up.
        ran = ascnet(
            *("extract", *names, "--out", "out", "--workers", "1", "--json"),
            program="tests.extraction_tools.run",
            cwd=tmp_path,
            stdin=subprocess.PIPE,
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert ran.returncode == 4, ran.stderr
    assert "Traceback" not in ran.stderr
    videos = json.loads(ran.stdout)["videos"]
    assert [video["error"] for video in videos] == ["no such file"] * len(names)
    # A folder is a folder, whatever it is called.
    ran = ascnet("extract", "folder.mp4", "--out", "out", program="tests.extraction_tools.run", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out" / "inner.mp4.npy").exists()


OPENS_ONE = (
    "import sys\n"
    "from pathlib import Path\n"
    "from extractors.errors import VideoError\n"
    "from extractors.video import open_video\n"
    "import extractors.decode_pyav\n"
    "Path('begin').touch()\n"
    "for name in sys.argv[1:]:\n"
    "    try:\n"
    "        list(open_video(Path(name)).frames())\n"
    "    except VideoError:\n"
    "        pass\n"
    "Path('end').touch()\n"
)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_A24_the_system_sees_no_other_file_opened(tmp_path):
    make_video(tmp_path / "other.mp4", n_frames=3)
    make_video(tmp_path / "good.mp4", n_frames=3)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n")
    names = ["list.mp4", "playlist.mp4", "good.mp4", "concat:other.mp4|other.mp4"]
    trace = ["strace", "-f", "-o", "trace", "-e", "trace=open,openat,connect"]
    ran = subprocess.run(
        [*trace, sys.executable, "-c", OPENS_ONE, *names],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if not (tmp_path / "end").exists():
        pytest.skip(f"strace cannot watch here: {ran.stderr[-200:]}")
    calls = (tmp_path / "trace").read_text(errors="replace")
    watched = calls[calls.index('"begin"') : calls.index('"end"')]
    assert '"good.mp4"' in watched or "good.mp4" in watched
    assert "list.mp4" in watched
    assert "other.mp4" not in watched.replace("concat:other.mp4|other.mp4", "")
    assert "connect(" not in watched


def without_rights() -> None:
    """In a new process: even root may read only what the file's mode lets it."""
    import ctypes

    for right in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's own")
def test_A25_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "secret.mp4", n_frames=3).chmod(0)
    make_video(tmp_path / "in" / "z.mp4", n_frames=3)
    probe = [sys.executable, "-c", f"open({str(tmp_path / 'in' / 'secret.mp4')!r}).close()"]
    if subprocess.run(probe, preexec_fn=without_rights, capture_output=True, check=False).returncode == 0:
        pytest.skip("nothing keeps this user from reading")
    ran = ascnet(
        *("extract", "in", "--out", "out", "--workers", "1"),
        program="tests.extraction_tools.run",
        cwd=tmp_path,
        preexec_fn=without_rights,
    )
    assert ran.returncode == 3, ran.stderr
    assert "failed: secret.mp4: cannot be read: Permission denied" in ran.stderr
    assert (tmp_path / "out" / "z.mp4.npy").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's own")
@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "in", "--out", "found.csv"),
        ("detect", "in/z.mp4", "--out", "in/private/below/found.csv"),
        ("extract", "in/z.mp4", "--out", "in/private/below"),
        ("evaluate", "some.csv", "--dataset", "in/private/below/truth.json"),
        ("train", "--dataset", "in/private/below"),
        ("doctor",),
    ],
)
def test_A25_a_folder_that_may_not_be_entered_is_named_and_is_no_bug(tmp_path, arguments):
    (tmp_path / "in" / "private" / "below").mkdir(parents=True)
    make_video(tmp_path / "in" / "z.mp4", n_frames=3)
    (tmp_path / "some.csv").write_text("video,label,start_s,end_s,score\n")
    private = tmp_path / "in" / "private"
    private.chmod(0)
    try:
        probe = [sys.executable, "-c", f"import os; os.listdir({str(private)!r})"]
        if subprocess.run(probe, preexec_fn=without_rights, capture_output=True, check=False).returncode == 0:
            pytest.skip("nothing keeps this user from reading")
        weights = {"ASCNET_WEIGHTS": str(private / "below")} if arguments == ("doctor",) else {}
        ran = subprocess.run(
            [sys.executable, "-m", "ascnet_cli", *arguments],
            cwd=tmp_path,
            env=environment(**weights),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=without_rights,
        )
    finally:
        private.chmod(0o700)
    said = ran.stdout + ran.stderr
    # Detection does without fetched weights: that is a warning.
    assert ran.returncode == (0 if arguments == ("doctor",) else 2), said
    assert "private" in said
    assert "Permission denied" in said
    assert "bug" not in said
    assert "Traceback" not in said
    assert not (tmp_path / "found.csv").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's own")
@pytest.mark.parametrize("command", ["detect", "extract"])
def test_A25_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path, command):
    (tmp_path / "in" / "secret").mkdir(parents=True)
    make_video(tmp_path / "in" / "a.mp4", n_frames=3)
    make_video(tmp_path / "in" / "secret" / "b.mp4", n_frames=3)
    (tmp_path / "in" / "secret").chmod(0)
    probe = [sys.executable, "-c", f"import os; os.listdir({str(tmp_path / 'in' / 'secret')!r})"]
    if subprocess.run(probe, preexec_fn=without_rights, capture_output=True, check=False).returncode == 0:
        pytest.skip("nothing keeps this user from reading")
    ran = ascnet(*(command, "in", "--out", "out.csv"), program=None, cwd=tmp_path, preexec_fn=without_rights)
    (tmp_path / "in" / "secret").chmod(0o700)
    assert ran.returncode == 2, ran.stderr
    assert "error: the folder in/secret cannot be read: Permission denied" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("change", ["vanishes", "grows"])
def test_A25_detect_keeps_no_features_of_a_file_that_changed(tmp_path, monkeypatch, change):
    extract = Extractor.extract

    def changing(self, path, **options):
        features = extract(self, path, **options)
        if change == "vanishes":
            path.unlink()
        else:
            with path.open("ab") as file:
                file.write(bytes(4096))
        return features

    action_video(tmp_path / "a.mp4")
    monkeypatch.setattr(Extractor, "extract", changing)
    with stand_in_network():
        ran = ascnet_here("detect", tmp_path / "a.mp4", "--features-out", tmp_path / "kept", "--json")
    assert ran.code == 0, ran.err
    assert "warning: a.mp4: the file changed while it was read: run this again" in ran.err
    assert ran.json["videos"][0]["segments"] == 1
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("change", ["vanishes", "grows"])
def test_A25_a_file_that_changes_under_way(tmp_path, change):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        make_video(tmp_path / "in" / f"{name}.mp4", n_frames=64)
    arguments = ("extract", tmp_path / "in", "--out", tmp_path / "out", "--workers", "1", "--json")
    process = extraction_tools.started(*arguments, delay_s=0.5)
    extraction_tools.until(lambda: (tmp_path / "out" / "b.mp4.claim").exists())
    time.sleep(0.3)  # it is read by now, and takes two seconds
    changed = tmp_path / "in" / "b.mp4"
    if change == "vanishes":
        os.truncate(changed, 0)
        changed.unlink()
    else:
        with changed.open("ab") as file:
            file.write(bytes(4096))
    code, out, err = extraction_tools.ended(process)
    assert code == 3, err
    states = {video["video"]: (video["state"], video["error"]) for video in json.loads(out)["videos"]}
    assert states["a.mp4"] == ("done", None)
    assert states["b.mp4"][0] == "failed"
    assert not list(Path(tmp_path / "out").glob("b.mp4.*"))
    said = {"the file changed while it was read"}
    assert states["b.mp4"][1] in (said | {"no such file"} if change == "vanishes" else said)
