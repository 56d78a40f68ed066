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
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

from extractors.children import end_with_parent, ignore_interrupts, uninterrupted
from extractors.decoder_words import Asked, hear, tell
from extractors.errors import VideoError
from extractors.line import GivenUp, Line, Patience, pair
from extractors.pieces import Piece, VideoEnd, read_videos
from extractors.video import Limits
from weights.errors import AscnetError, StorageError

# A piece is a second of video or so; nothing that can be decoded at all takes minutes for it.
STALL_S = 300.0
_START_S = 900.0  # Python and FFmpeg from a slow disk
_END_S = 5.0
_NEXT = b"next"
_LONGEST_REQUEST = 1 << 20  # bytes


class DecoderProcess:
    """A process that reads one video after the other; started when it is first needed, and again if lost.

    Use it from one thread at a time, and `close` it.

    Args:
        stall_s: without a word for so long, the process is taken to hang, seconds; None: `STALL_S`.
    """

    def __init__(self, *, stall_s: float | None = None) -> None:
        self._stall_s = STALL_S if stall_s is None else stall_s
        self._process: SpawnProcess | None = None
        self._line: Line | None = None

    def read_videos(
        self,
        paths: Iterable[Path],
        *,
        decoder: str,
        limits: Limits,
        length: int,
        whole: bool,
        given_up: Callable[[int], bool] = lambda _video: False,
    ) -> Iterator[Piece | VideoEnd]:
        """See `extractors.pieces.read_videos`; `given_up` is also asked while the process is waited for."""
        asked = Asked(limits, length, whole)
        for video, path in enumerate(paths):
            through = False
            try:
                for item in self._read(video, path, decoder, asked, partial(given_up, video)):
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

    def _read(
        self, video: int, path: Path, decoder: str, asked: Asked, given_up: Callable[[], bool]
    ) -> Iterator[Piece | VideoEnd]:
        request = {"path": str(path), "decoder": decoder, **dataclasses.asdict(asked)}
        patience = Patience(self._stall_s, given_up)
        end: AscnetError
        try:
            line = self._opened(given_up)
            line.send(json.dumps(request).encode("utf-8", "surrogatepass"))
            while True:
                item = hear(line, video, asked, patience)
                yield item
                if isinstance(item, VideoEnd):
                    return
        except (EOFError, ConnectionError):
            end = self._lost()
        except TimeoutError:
            end = VideoError(
                f"the decoder gave nothing for {self._stall_s:g} s",
                hint="look at the file with a player; remux or convert it",
            )
        except GivenUp:
            end = VideoError("given up")
        except ValueError as error:
            end = VideoError(
                f"the decoder sent what it should not: {error}", hint="trust this file with nothing"
            )
        except (VideoError, StorageError) as error:
            end = error
        self.close()
        yield VideoEnd(video, end)

    def _opened(self, given_up: Callable[[], bool]) -> Line:
        """The line to a process that waits for a video.

        Raises:
            VideoError: it did not start in time.
            StorageError: the system gives it no process, no memory or no file.
            EOFError, ConnectionError, GivenUp: see `Line.receive`.
        """
        if self._line is not None and self._process is not None and self._process.is_alive():
            return self._line
        self.close()
        try:
            self._line, other = pair()
        except OSError as error:
            raise _not_started(error) from error
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_serve, args=(other,), name="decoder", daemon=True)
        try:
            with uninterrupted():
                process.start()
                self._process = process  # from here on there is something to end
        except OSError as error:
            raise _not_started(error) from error
        finally:
            other.close()
        try:
            self._line.receive(len(_NEXT), Patience(_START_S, given_up))
        except TimeoutError as error:
            raise VideoError(
                "the decoder's process did not start", hint="run the same command again"
            ) from error
        return self._line

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


def _not_started(error: OSError) -> StorageError:
    """The system's reason why there is no decoder's process."""
    return StorageError(
        f"the decoder's process cannot be started: {error.strerror or error}",
        hint="close other programs, or allow more processes and open files (`ulimit -u`, `ulimit -n`)",
    )


def _serve(line: Line) -> None:
    """All that the process does: a request, its pieces, its end; until nobody asks any more."""
    ignore_interrupts()
    end_with_parent()
    import extractors.decode_pyav  # noqa: F401 - before a time limit runs

    with suppress(EOFError, ConnectionError):
        line.send(_NEXT)
        while True:
            asked = json.loads(line.receive(_LONGEST_REQUEST).decode("utf-8", "surrogatepass"))
            path, limits = Path(asked.pop("path")), Limits(**asked.pop("limits"))
            for item in read_videos([path], limits=limits, **asked):
                tell(line, item)
