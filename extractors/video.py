"""Open a video file and give its frames with the times at which they are presented.

One signature, two backends: PyAV (`extractors.decode_pyav`, the default) and decord
(`extractors.decode_decord`). Before either of them reads a frame, the file is looked at here: it must be
a regular file, not empty, of a container on the allow-list. FFmpeg's protocols are never interpreted: a path
is always opened as `file:`.

Limits of a picture: at most `MAX_PIXELS` (33 million) or what `Limits` says, at least `MIN_SIDE` (8) pixels
either way, and, where pictures are resized, a longer side of at most `MAX_ASPECT` (16) times the shorter one.

Pictures are given as a person sees them: rotated upright and with square pixels (sample aspect ratio
applied), 8-bit RGB. Interlaced video is not deinterlaced. Colours are converted with the matrix and range
that the stream declares, or FFmpeg's default where it declares none.
"""

from __future__ import annotations

import abc
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np
from jaxtyping import UInt8

from extractors.errors import OptionError, VideoError

DECODERS = ("pyav", "decord")
# Endings that a folder is searched for; a file that is named is tried whatever its ending.
VIDEO_ENDINGS = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)
MAX_PIXELS = 33_177_600  # 7680 x 4320, pixels of one frame
# A picture's longer side against its shorter one, square pixels, where pictures are resized: memory goes with
# it, since the shorter side is always made as long. 16:1 at 256 pixels is 1 megapixel.
MAX_ASPECT = 16
MIN_SIDE = 8  # pixels; smaller pictures hold nothing to recognise
MAX_BAD_PACKETS = 0.05  # fraction of packets that may be unreadable
_TOLD_S = 0.1  # lengths are told in these steps
RESIZE_SIDE = 256  # pixels, shorter side, as in the I3D recipe of the field
_MOST_PIXELS = 2**30  # a limit may not be larger: FFmpeg itself makes no larger pictures


@dataclass(frozen=True, slots=True)
class Limits:
    """How large and how damaged a video may be before it is refused; of no influence on what is read.

    Attributes:
        max_pixels: of one picture. A picture takes three bytes a pixel, and some are held at once.
        max_damage: fraction of a video's packets that may be unreadable; 0 takes none, else one packet always
            may. decord counts no damage.

    Raises:
        OptionError: a limit that is none.
    """

    max_pixels: int = MAX_PIXELS
    max_damage: float = MAX_BAD_PACKETS

    def __post_init__(self) -> None:
        if not MIN_SIDE**2 <= self.max_pixels <= _MOST_PIXELS:
            raise OptionError(
                f"the limit of pixels must be {MIN_SIDE**2} to {_MOST_PIXELS}, not {self.max_pixels}",
                hint=f"--max-pixels {MAX_PIXELS} is 7680 x 4320",
            )
        if not 0 <= self.max_damage <= 1:
            raise OptionError(
                f"the damage that is taken must be a fraction from 0 to 1, not {self.max_damage}",
                hint="--max-damage 0.2 takes a video of which a fifth cannot be read",
            )

    def for_decoder(self, decoder: str) -> Limits:
        """These, where a decoder can hold them.

        Raises:
            OptionError: it cannot.
        """
        if decoder == "decord" and self.max_damage != MAX_BAD_PACKETS:
            raise OptionError(
                "decord counts no damage, so that --max-damage would do nothing", hint="use --decoder pyav"
            )
        return self

    def take(self, n_bad: int, n_packets: int) -> bool:
        """Whether a video of so many packets may have so many that are unreadable."""
        return n_bad <= (max(self.max_damage * n_packets, 1) if self.max_damage else 0)


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Frame:
    """One presented picture.

    Attributes:
        time_s: seconds from the first presented frame.
        duration_s: how long it is shown, in seconds; 0 where the file does not say.
        rgb: (H, W, 3) uint8, upright, square pixels.
    """

    time_s: float
    duration_s: float
    rgb: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header says, before any frame is decoded; none of it is relied on for time.

    Attributes:
        path: the file.
        container: FFmpeg's name of the format.
        codec: the video stream's codec.
        width: of a picture with square pixels. With PyAV it is not yet turned: frames say how they stand.
        height: likewise.
        header_fps: average frame rate; 0 where absent.
        header_frames: number of frames; 0 where absent.
        header_duration_s: of the video stream, else of the file, seconds; None where absent.
        stream_index: which stream is read.
        duration_is_streams: the duration is the video stream's own. A file's may count sound that is longer.
        n_streams: video streams in the file, cover pictures not counted.
        notes: what a person should know, one sentence each.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    header_fps: float
    header_frames: int
    header_duration_s: float | None
    stream_index: int
    duration_is_streams: bool = False
    n_streams: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """What reading a whole video came to.

    Attributes:
        decoder: name and version.
        frames_in_header: 0 where the header does not say.
        frames_decoded: frames that were given.
        bad_packets: packets that could not be decoded and were passed over.
        duration_s: from the first frame's presentation to the end of the last one's, seconds.
        header_duration_s: as in the header, or None.
        truncated: the file ends before what its header promises.
        notes: what a person should know, one sentence each.
    """

    decoder: str
    frames_in_header: int
    frames_decoded: int
    bad_packets: int
    duration_s: float
    header_duration_s: float | None
    truncated: bool
    notes: tuple[str, ...] = ()

    @property
    def truncation(self) -> str:
        """What is missing at the end, as a sentence; empty where nothing is."""
        if not self.truncated:
            return ""
        # A recording in fragments promises bytes, and the length of what is there.
        longer = self.header_duration_s is not None and self.header_duration_s - self.duration_s >= _TOLD_S
        promised = f"{self.header_duration_s:.1f} s" if longer else "more"
        return f"truncated: {self.duration_s:.1f} s could be read, its header promises {promised}"

    @property
    def damage(self) -> str:
        """What was passed over, as a sentence; empty where nothing was."""
        if not self.bad_packets:
            return ""
        packets = (
            "1 damaged packet was" if self.bad_packets == 1 else f"{self.bad_packets} damaged packets were"
        )
        return f"{packets} passed over"


class VideoReader(abc.ABC):
    """A video opened for one pass from beginning to end; close it, or use it in a `with`.

    Attributes:
        info: what the header says.
    """

    info: VideoInfo

    @abc.abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Frames with strictly growing times, the first at 0 s.

        Raises:
            VideoError: nothing could be decoded, or too much of the file is damaged.
        """

    @property
    @abc.abstractmethod
    def report(self) -> DecodeReport:
        """What reading came to; complete once `frames` has run out."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(
    path: Path,
    *,
    decoder: str = "pyav",
    short_side: int | None = RESIZE_SIDE,
    limits: Limits = LIMITS,
) -> VideoReader:
    """Open a video file.

    Args:
        path: a regular file.
        decoder: "pyav" or "decord".
        short_side: length of the shorter side that pictures are resized to (bilinear), pixels; None keeps
            the file's own size. Pictures longer than `MAX_ASPECT` times the shorter side are not resized, but
            refused.
        limits: of size, held before anything is decoded, and of damage.

    Raises:
        VideoError: not a readable video; the message says what is wrong.
        OptionError: an unknown decoder, or one that is not installed here.
    """
    if decoder not in DECODERS:
        raise OptionError(f"unknown decoder {decoder!r}", hint=f"choose {' or '.join(DECODERS)}")
    check_file(path)
    if decoder == "decord":
        from extractors.decode_decord import DecordReader

        return DecordReader(path, short_side=short_side, limits=limits)
    from extractors.decode_pyav import PyAvReader

    return PyAvReader(path, short_side=short_side, limits=limits)


def check_file(path: Path) -> None:
    """Refuse, without opening it, whatever is not a regular file with something in it.

    Raises:
        VideoError: with the reason.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        hint = f"{path} does not exist: check how it is written, and the current folder"
        if path.is_symlink():
            hint = f"{path} is a link to {path.readlink()}, which is not there"
        raise VideoError("no such file", hint=hint) from error
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror or error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoError("is a folder, not a video file")
    if not stat.S_ISREG(status.st_mode):
        raise VideoError("not a regular file", hint="copy it to a file first")
    if status.st_size == 0:
        raise VideoError("not a video (empty file)", hint="copy or download it again")


def refuse_folder(error: OSError) -> NoReturn:
    """For `os.walk`, which would pass over a folder that cannot be read as if nothing were in it.

    Raises:
        OptionError: always.
    """
    raise OptionError(
        f"the folder {error.filename} cannot be read: {error.strerror}",
        hint="check its permissions and its disk, or name the folders beside it",
    ) from error


def find_videos(folder: Path) -> list[Path]:
    """Files below a folder whose ending is that of a video, sorted; links to folders are not followed.

    Raises:
        OptionError: a folder cannot be read, and nobody can say which videos are in it.
    """
    found: list[Path] = []
    for base, _, files in os.walk(folder, onerror=refuse_folder):
        found.extend(
            Path(base) / name
            for name in files
            # macOS leaves a "._" companion, no video, beside every file that it copies elsewhere.
            if Path(name).suffix.lower() in VIDEO_ENDINGS and not name.startswith("._")
        )
    return sorted(found)
