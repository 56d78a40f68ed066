"""The files of the rows A01 to A27: each function writes what its row needs into one folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.stream
import cv2
import numpy as np

from tests import synthetic
from tests.faults.fault_tools import INTRA, RATE, action, overwritten, shown_at
from tests.synthetic import make_video, picture

WRITERS: list[Callable[[Path], None]] = []
# Names that some program or other takes for something else.
HOSTILE = (
    "日本 😀.mp4",
    "new\nline.mp4",
    "-x.mp4",
    "--help.mp4",
    "%03d.mp4",
    "a:b.mp4",
    "concat:a.mp4|b.mp4",
    "CON.mp4",
    "aux.tar.mp4",
    "=cmd()|'calc'!A0.mp4",
    "+1.mp4",
    "@sum.mp4",
    "comma, \"quotes\" and 'more'.mp4",
    "<script>alert(1)</script>.mp4".replace("/", "∕"),
    " spaces .mp4",
    "..mp4",
    "tab\there.mp4",
    "\x1b[31mred.mp4",
)


def row(writer: Callable[[Path], None]) -> Callable[[Path], None]:
    WRITERS.append(writer)
    return writer


def write_all(folder: Path, rows: Collection[str] | None = None) -> Path:
    """The good files, and every file of these rows; None: of every row."""
    folder.mkdir()
    wanted = None if rows is None else {row.lower() for row in rows} | {"good"}
    if wanted is not None and "a29" in wanted:
        wanted.add("a24")  # whose trap is one of the files that are passed over
    for writer in WRITERS:
        if wanted is None or writer.__name__.partition("_")[0] in wanted:
            writer(folder)
    return folder


@row
def good(folder: Path) -> None:
    action(folder / "good.mp4")
    make_video(folder / "numbered.mp4", n_frames=40, codec=INTRA)


@row
def a01_empty(folder: Path) -> None:
    (folder / "a01.mp4").touch()


@row
def a02_no_videos(folder: Path) -> None:
    (folder / "a02-noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "a02-text.mp4").write_text("not a video\n" * 100)
    (folder / "a02-page.mp4").write_text("<!DOCTYPE html><html><body>404</body></html>")
    for ending in ("png", "jpg", "webp"):
        encoded = cv2.imencode(f".{ending}", picture(1, 320, 240))[1]
        (folder / f"a02-{ending}.mp4").write_bytes(encoded.tobytes())


@row
def a03_no_moov(folder: Path) -> None:
    data = action(folder / "a03.mp4").read_bytes()
    (folder / "a03.mp4").write_bytes(data[: data.index(b"moov") - 4])


def noise(n_frames: int) -> list[np.ndarray]:
    """Pictures that take room, so that a cut falls into them."""
    draw = np.random.default_rng(1)
    return [draw.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(n_frames)]


@row
def a04_truncated(folder: Path) -> None:
    kinds = {"mp4": synthetic.H264, "mkv": synthetic.H264, "webm": synthetic.VP9, "avi": synthetic.MPEG4}
    for ending, codec in kinds.items():
        path = folder / f"a04.{ending}"
        options = {"movflags": "+faststart"} if ending == "mp4" else None
        make_video(
            path, n_frames=75, size=(64, 48), pictures=noise(75), codec=codec, container_options=options
        )
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = action(folder / "a04-source.mp4", codec=INTRA)
    fragments = folder / "a04-fragments.mp4"
    synthetic.remux(source, fragments, after=["-movflags", "+frag_keyframe+empty_moov"])
    data = fragments.read_bytes()
    ends = [end for kind, _, end in synthetic.boxes(data) if kind == b"mdat"]
    fragments.write_bytes(data[: ends[36] + (ends[37] - ends[36]) // 2])  # in the midst of the 38th
    starts = [start for kind, start, _ in synthetic.boxes(data) if kind == b"mdat"]
    (folder / "a04-no-mdat.mp4").write_bytes(data[: starts[37]])  # its pictures are described, and not there
    (folder / "a04-stray.mp4").write_bytes(data[: ends[36] + 5])  # in the header of the next box
    source.unlink()


@row
def a05_corrupt_packets(folder: Path) -> None:
    overwritten(action(folder / "a05-few.mp4", codec=INTRA), [20, 30])
    overwritten(action(folder / "a05-many.mp4", codec=INTRA), range(20, 23))
    overwritten(make_video(folder / "a05-numbered.mp4", n_frames=40, codec=INTRA), range(20, 22))


@row
def a06_sound(folder: Path) -> None:
    synthetic.make_audio(folder / "a06.mp4")
    synthetic.make_audio(folder / "a06.mkv")


@row
def a07_several_streams(folder: Path) -> None:
    action(folder / "a07-two.mp4", n_videos=2)
    cover, video = folder / "cover.png", action(folder / "cover-source.mp4")
    cv2.imwrite(str(cover), picture(200, 320, 240))
    synthetic.ffmpeg(
        *("-i", cover, "-i", video, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v:0", "attached_pic", folder / "a07-cover.mp4"),
    )
    # The same, with a stream of which no frame can be decoded: the cover does not stand in for it.
    data = bytearray((folder / "a07-cover.mp4").read_bytes())
    with av.open(str(folder / "a07-cover.mp4")) as container:
        cover_picture = av.stream.Disposition.attached_pic
        moving = [stream for stream in container.streams.video if not stream.disposition & cover_picture]
        for packet in container.demux(moving):
            if packet.size:
                data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    (folder / "a07-cover-alone.mp4").write_bytes(data)
    cover.unlink()
    video.unlink()


@row
def a08_no_frame(folder: Path) -> None:
    overwritten(action(folder / "a08.mp4", codec=INTRA), range(50))


@row
def a09_short(folder: Path) -> None:
    for n_frames in (1, 3, 15):
        make_video(folder / f"a09-{n_frames}.mp4", n_frames=n_frames)


@row
def a10_last_snippet(folder: Path) -> None:
    times_s = [Fraction(k, 25) for k in range(93)]  # bright to the end, in the middle of a snippet
    make_video(folder / "a10.mp4", n_frames=93, size=(64, 48), pictures=shown_at(times_s))


# Steps between a twenty-fifth and four twenty-fifths of a second; the picture changes at 1 s and at 4 s.
VARIABLE_S = [Fraction(t, 25) for t in sorted({*range(0, 125, 4), *range(7, 125, 9), 24, 25, 99, 100, 124})]


@row
def a11_variable_rate(folder: Path) -> None:
    for ending in ("mp4", "mkv"):
        pictures = shown_at(VARIABLE_S)
        make_video(folder / f"a11.{ending}", times_s=VARIABLE_S, size=(64, 48), pictures=pictures)


@row
def a12_other_starts(folder: Path) -> None:
    for ending in ("mp4", "mkv", "ts"):
        action(folder / f"a12-late.{ending}", delay_s=Fraction(3, 2))
    source = action(folder / "a12-source.mkv")
    early = ["-itsoffset", "-0.5"]
    synthetic.remux(
        source, folder / "a12-negative.mkv", before=early, after=["-avoid_negative_ts", "disabled"]
    )
    source.unlink()
    # An edit list: two dark seconds before it are hidden.
    hidden = [*shown_at([0.0] * 20), *shown_at([Fraction(k, RATE) for k in range(50)])]
    source = make_video(folder / "a12-source.mp4", n_frames=70, fps=RATE, size=(64, 48), pictures=hidden)
    synthetic.remux(source, folder / "a12-edited.mp4", before=["-ss", "2.0"])
    source.unlink()


@row
def a13_stamps(folder: Path) -> None:
    action(folder / "a13-none.h264")
    (folder / "a13-none.h264").rename(folder / "a13-none.mp4")  # content decides, not the ending
    source = action(folder / "a13-source.avi", codec=synthetic.Codec("mjpeg", "yuvj420p"))
    synthetic.remux(source, folder / "a13-counted.mjpeg", after=["-f", "mjpeg"])
    source.unlink()
    (folder / "a13-counted.mjpeg").rename(folder / "a13-counted.mp4")  # FFmpeg takes 25 pictures a second
    action(folder / "a13-reordered.avi", codec=synthetic.MPEG4_B)
    make_video(folder / "a13-numbered.avi", n_frames=40, codec=synthetic.H264_B)
    # Pictures that stay are packets with a time and no content, as screen recordings have them.
    source = action(folder / "a13-source.mp4")
    synthetic.ffmpeg("-i", source, "-c:v", "libtheora", folder / "a13-repeats.ogv")
    source.unlink()


def patched(path: Path, places: Sequence[int], value: bytes) -> None:
    data = bytearray(path.read_bytes())
    for at in places:
        data[at : at + len(value)] = value
    path.write_bytes(data)


@row
def a14_wrong_headers(folder: Path) -> None:
    for said in (0, 1000, 1_000_000):
        path = action(folder / f"a14-frames-{said}.avi", codec=synthetic.MPEG4)
        data = path.read_bytes()
        patched(path, (data.index(b"avih") + 24, data.index(b"strh") + 40), said.to_bytes(4, "little"))
        path = action(folder / f"a14-duration-{said}.mp4")
        data = path.read_bytes()
        places = [
            synthetic.box(data, b"moov", b"mvhd")[0] + 24,
            synthetic.box(data, b"moov", b"trak", b"mdia", b"mdhd")[0] + 24,
        ]
        seconds = int.from_bytes(data[places[1] : places[1] + 4], "big") * said
        patched(path, places, min(seconds, 2**32 - 1).to_bytes(4, "big"))
        # The rate of an AVI is the only clock that it has: dwRate over dwScale.
        path = action(folder / f"a14-rate-{said}.avi", codec=synthetic.MPEG4)
        patched(path, [path.read_bytes().index(b"strh") + 32], said.to_bytes(4, "little"))


@row
def a15_turned(folder: Path) -> None:
    lossless = synthetic.Codec("libx264", "yuv444p", options=(*synthetic.H264.options, ("qp", "0")))
    turns = {"90": (1, False), "180": (2, False), "270": (3, False), "mirror": (0, True)}
    for name, (quarter_turns, mirrored) in turns.items():
        stored = [picture(k) for k in range(20)]
        if mirrored:
            shown = [rgb[:, ::-1].copy() for rgb in stored]
            options = ["-display_hflip"]
        else:
            shown = [np.rot90(rgb, quarter_turns).copy() for rgb in stored]
            options = ["-display_rotation", name]
        size = (shown[0].shape[1], shown[0].shape[0])
        make_video(folder / f"a15-{name}-upright.mp4", n_frames=20, codec=lossless, size=size, pictures=shown)
        source = make_video(folder / "a15-source.mp4", n_frames=20, codec=lossless, pictures=stored)
        synthetic.remux(source, folder / f"a15-{name}.mp4", before=options)
        source.unlink()


@row
def a16_odd_pictures(folder: Path) -> None:
    action(folder / "a16-wide.mp4", pixel_aspect=Fraction(4, 3))
    fields = (*synthetic.H264.options, ("flags", "+ildct+ilme"), ("x264-params", "tff=1"))
    action(folder / "a16-interlaced.mp4", codec=synthetic.Codec("libx264", options=fields))
    action(folder / "a16-odd.mp4", size=(161, 121), pix_fmt="yuv444p")
    action(folder / "a16-odd.avi", size=(161, 121), codec=synthetic.MPEG4)


@row
def a17_formats(folder: Path) -> None:
    action(folder / "a17-10-bit.mp4", pix_fmt="yuv420p10le")
    action(folder / "a17-yuv444.mp4", pix_fmt="yuv444p")
    action(folder / "a17-alpha.mkv", codec=synthetic.FFV1, pix_fmt="bgra")
    action(folder / "a17-grey.mkv", codec=synthetic.FFV1, pix_fmt="gray")
    action(folder / "a17-16-bit.mkv", codec=synthetic.FFV1, pix_fmt="gray16le")
    action(folder / "a17-full.avi", codec=synthetic.MJPEG)
    params = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    hdr = synthetic.Codec("libx264", options=(*synthetic.H264.options, ("x264-params", params)))
    action(folder / "a17-hdr.mp4", codec=hdr, pix_fmt="yuv420p10le")


@row
def a18_small(folder: Path) -> None:
    make_video(folder / "a18-2x2.mp4", n_frames=10, size=(2, 2))
    action(folder / "a18-16x16.mp4", size=(16, 16))


@row
def a19_large(folder: Path) -> None:
    path = folder / "a19-60000.mp4"
    path.write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1000))
    path = folder / "a19-9000.mp4"
    path.write_bytes(b"YUV4MPEG2 W9000 H5000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1000))


@row
def a21_changing(folder: Path) -> None:
    synthetic.make_growing(folder / "a21-size.mkv", [(96, 72), (64, 64), (160, 120)])
    # Without a pixel aspect in the container, the shape on the screen changes, too.
    synthetic.make_growing(folder / "a21-shape.avi", [(96, 72), (64, 64), (72, 96)])
    changing_format(folder / "a21-format.mkv", ("yuvj420p", "yuvj444p", "yuvj422p"))


def changing_format(path: Path, formats: Sequence[str]) -> Path:
    """Write an MJPEG stream whose pictures change their pixel format on the way: 10 frames of each."""
    with av.open(f"file:{path}", "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *synthetic.SIZE, formats[0]
        for part, name in enumerate(formats):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height = synthetic.SIZE
            encoder.pix_fmt, encoder.time_base = name, Fraction(1, 25)
            encoder.options = {"qscale": "2"}
            for number in range(10):
                frame = av.VideoFrame.from_ndarray(picture(10 * part + number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                for packet in encoder.encode(frame):
                    packet.stream, packet.time_base = stream, Fraction(1, 25)
                    packet.pts = packet.dts = 10 * part + number
                    output.mux(packet)
    return path


@row
def a23_codecs(folder: Path) -> None:
    data = make_video(folder / "a23-unknown.mp4", n_frames=10).read_bytes()
    (folder / "a23-unknown.mp4").write_bytes(data.replace(b"avc1", b"zzzz"))
    source = action(folder / "a23-source.mp4")
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    synthetic.remux(
        source,
        folder / "a23-encrypted.mp4",
        after=[
            *("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key),
            *("-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"),
        ],
    )
    source.unlink()


@row
def a24_no_regular_videos(folder: Path) -> None:
    os.mkfifo(folder / "a24-trap.fifo")  # whoever opens it waits for ever
    (folder / "a24-ffconcat.mp4").write_text("ffconcat version 1.0\nfile a24-trap.fifo\n")
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n"
    (folder / "a24-m3u8.mp4").write_text(f"{head}a24-trap.fifo\n#EXT-X-ENDLIST\n")
    session = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    (folder / "a24-sdp.mp4").write_text(session)
    os.mkfifo(folder / "a24-pipe.mp4")
    (folder / "a24-dangling.mp4").symlink_to("nowhere.mp4")
    (folder / "a24-loop.mp4").symlink_to("a24-loop.mp4")
    (folder / "a24-device.mp4").symlink_to("/dev/zero")


@row
def a26_names(folder: Path) -> None:
    (folder / "names").mkdir()
    source = make_video(folder / "a26-source.mp4", n_frames=20, size=(64, 48), pictures=shown_at([2.0] * 20))
    data = source.read_bytes()
    source.unlink()
    for name in HOSTILE:
        (folder / "names" / name).write_bytes(data)


@row
def a27_same_names(folder: Path) -> None:
    for name in ("one/same.mp4", "two/same.mp4", "one/same.avi", "one/SAME.mp4"):
        path = folder / "a27" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        action(path, codec=synthetic.MPEG4 if path.suffix == ".avi" else synthetic.H264)


@row
def a29_junk(folder: Path) -> None:
    (folder / "junk").mkdir()
    for name in ("notes.txt", "photo.jpg", "clip.mp4.part", "._clip.mp4", "Thumbs.db"):
        (folder / "junk" / name).write_text("junk")
