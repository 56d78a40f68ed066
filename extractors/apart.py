"""Reading videos in a process of its own, so that a decoder that crashes or hangs costs one video.

FFmpeg is native code that is fed files from anywhere. `DecoderProcess` gives the same pieces as
`extractors.pieces.read_videos`, bit for bit, and where its process dies or falls silent, that video fails and
the next one is read by a new process. What comes back is numbers and text, never a pickle: the process
has read what nobody vouches for.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from extractors.children import ignore_interrupts, uninterrupted
from extractors.errors import OptionError, VideoError
from extractors.pieces import Piece, VideoEnd, read_videos
from extractors.video import DecodeReport
from weights.errors import AscnetError, StorageError

# A piece is a second of video or so; nothing that can be decoded at all takes minutes for it.
STALL_S = 300.0
_START_S = 900.0  # Python and FFmpeg from a slow disk
_END_S = 5.0
_NEXT = b"next"


class DecoderProcess:
    """A process that reads one video after the other; started when it is first needed, and again if lost.

    Use it from one thread at a time, and `close` it.

    Args:
        stall_s: without a word for so long, the process is taken to hang, seconds; None: `STALL_S`.
    """

    def __init__(self, *, stall_s: float | None = None) -> None:
        self._stall_s = STALL_S if stall_s is None else stall_s
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None

    def read_videos(
        self,
        paths: Iterable[Path],
        *,
        decoder: str,
        max_pixels: int,
        length: int,
        whole: bool,
        given_up: Callable[[int], bool] = lambda _video: False,
    ) -> Iterator[Piece | VideoEnd]:
        """See `extractors.pieces.read_videos`."""
        for video, path in enumerate(paths):
            asked = {"path": str(path), "decoder": decoder, "max_pixels": max_pixels}
            through = False
            try:
                for item in self._read(video, {**asked, "length": length, "whole": whole}):
                    yield item
                    through = isinstance(item, VideoEnd)
                    if not through and given_up(video):
                        yield VideoEnd(video, VideoError("given up"))
                        break
            finally:
                if not through:  # it is in the middle of a video that nobody wants
                    self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._line is not None:
            self._line.close()
            self._line = None

    def _read(self, video: int, asked: dict[str, Any]) -> Iterator[Piece | VideoEnd]:
        try:
            line = self._opened()
            line.send_bytes(json.dumps(asked).encode("utf-8", "surrogatepass"))
            while True:
                item = self._received(line, video)
                yield item
                if isinstance(item, VideoEnd):
                    return
        except (EOFError, ConnectionError):
            yield VideoEnd(video, self._lost())

    def _opened(self) -> Connection:
        """The line to a process that waits for a video."""
        if self._line is not None and self._process is not None and self._process.is_alive():
            return self._line
        self.close()
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), name="decoder", daemon=True)
        with uninterrupted():
            self._process.start()
        other.close()
        if not self._line.poll(_START_S):
            self.close()
            raise VideoError("the decoder's process did not start", hint="run the same command again")
        self._line.recv_bytes()
        return self._line

    def _received(self, line: Connection, video: int) -> Piece | VideoEnd:
        """The next thing that it says of a video.

        Raises:
            EOFError: it is lost.
        """
        if not line.poll(self._stall_s):
            self.close()
            silent = VideoError(
                f"the decoder gave nothing for {self._stall_s:g} s",
                hint="look at the file with a player; remux or convert it",
            )
            return VideoEnd(video, silent)
        told = json.loads(line.recv_bytes())
        if "error" in told:
            return VideoEnd(video, _error(**told["error"]))
        if "report" in told:
            report = told["report"]
            return VideoEnd(video, DecodeReport(**{**report, "notes": tuple(report["notes"])}))
        frames = _array(line, told["shape"])
        following = _array(line, told["following"]) if told["following"] else None
        return Piece(video, frames, following, last=told["last"], total_s=told["total_s"])

    def _lost(self) -> AscnetError:
        """What became of the process, as an error of the video that it had."""
        code: int | None = None
        if self._process is not None:
            self._process.join(_END_S)
            code = self._process.exitcode
        self.close()
        if code == -signal.SIGKILL:
            return StorageError(
                "its decoder was killed (signal 9), most likely for want of memory",
                hint="close other programs",
            )
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return VideoError(
            f"decoder crashed ({how})", hint="remux or convert the file, or try another --decoder"
        )


def _array(line: Connection, shape: list[int]) -> UInt8[np.ndarray, "*n"]:
    made: UInt8[np.ndarray, "*n"] = np.empty(shape, np.uint8)
    line.recv_bytes_into(made.data.cast("B"))
    return made


def _error(kind: str, message: str, hint: str) -> Exception:
    """An error as it was on the other side, as far as it makes a difference."""
    if kind == "VideoError":
        return VideoError(message, hint=hint)
    if kind == "OptionError":
        return OptionError(message, hint=hint)
    if kind == "MemoryError":
        return MemoryError(message)
    if kind == "OSError":
        return VideoError(f"cannot be read: {message}", hint="check the file and its disk")
    return AscnetError(f"{kind}: {message}", hint="please report this as a bug")


def _serve(line: Connection) -> None:
    """All that the process does: a request, its pieces, its end; until nobody asks any more."""
    ignore_interrupts()
    import extractors.decode_pyav  # noqa: F401 - before a time limit runs

    with suppress(EOFError, ConnectionError):
        line.send_bytes(_NEXT)
        while True:
            asked = json.loads(line.recv_bytes().decode("utf-8", "surrogatepass"))
            path = Path(asked.pop("path"))
            for item in read_videos([path], **asked):
                _tell(line, item)


def _tell(line: Connection, item: Piece | VideoEnd) -> None:
    if isinstance(item, VideoEnd):
        outcome = item.outcome
        if isinstance(outcome, DecodeReport):
            told: dict[str, Any] = {"report": dataclasses.asdict(outcome)}
        else:
            told = {"error": _told(outcome)}
        line.send_bytes(json.dumps(told).encode())
        return
    following = item.following
    told = {
        "shape": item.frames.shape,
        "following": following.shape if following is not None else None,
        "last": item.last,
        "total_s": item.total_s,
    }
    line.send_bytes(json.dumps(told).encode())
    for array in (item.frames, following):
        if array is not None:
            line.send_bytes(np.ascontiguousarray(array).data.cast("B"))


def _told(error: Exception) -> dict[str, str]:
    if isinstance(error, OSError) and not isinstance(error, AscnetError):
        return {"kind": "OSError", "message": str(error.strerror or error), "hint": ""}
    kind = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    return {"kind": kind, "message": str(error), "hint": getattr(error, "hint", "")}
