"""What a container file says of itself, and how far that is believed: its length and its times.

FFmpeg reads a file that was cut off as if it simply ended there. The boxes of an mp4, the RIFF chunk of an
avi and the segment of a Matroska file carry a length, so a cut can be told from an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BOX_HEADER = 8  # bytes, of a box of an mp4; twice as many where its length does not fit into four
_MAX_BOXES = 100_000  # a fragmented recording has thousands; a damaged file must not keep us here
_TRUNCATED_S = 0.5  # seconds that a header may promise beyond the last frame
# A picture may stand for long in a screen recording; a stamp further ahead is damage.
LONGEST_GAP_S = 3600.0
# FFmpeg's own threshold for containers whose clock may be restarted (MPEG-TS, MPEG-PS).
LONGEST_GAP_RESTARTING_S = 10.0
# Stamps out of order by up to this many frames are put in order; H.264 reorders at most 16.
REORDER_FRAMES = 16


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it is now: two states differ if it was written to in between.

    Attributes:
        size: bytes.
        changed_ns: last modification.
        lacking: bytes that it lacks by its own account.
    """

    size: int
    changed_ns: int
    lacking: int

    def notes_at_end(self, path: Path) -> list[str]:
        """What a person should know once the file has been read: one sentence each."""
        notes = []
        if self.lacking:
            notes.append(f"the file lacks at least {self.lacking} bytes of what it promises")
        try:
            status = path.stat()
            changed = (status.st_size, status.st_mtime_ns) != (self.size, self.changed_ns)
        except OSError:
            changed = True
        if changed:
            notes.append("the file changed while it was read")
        return notes

    def truncated(self, promised_s: float | None, end_s: float) -> bool:
        """Whether the file ends early: bytes are missing, or seconds of what its video stream promises."""
        if self.lacking:
            return True
        return promised_s is not None and promised_s - end_s > max(_TRUNCATED_S, 0.02 * promised_s)


def file_state(path: Path) -> FileState:
    """Look at a file's size, date and outermost headers."""
    status = path.stat()
    return FileState(status.st_size, status.st_mtime_ns, missing_bytes(path))


def longest_step_back_s(nominal_s: float) -> float:
    """How far stamps may go back before that is a jump: pictures out of order do, a little."""
    return max(1.0, (REORDER_FRAMES + 1) * nominal_s)


class Timeline:
    """Makes seconds out of the stamps of frames, given in the order of presentation.

    Stamps may be missing, and may jump: recordings joined end to end, a clock that was restarted, damage.
    After a jump the times go on as if there were none. Stamps that are slightly out of order are left so.

    Args:
        nominal_s: how long a frame lasts where nothing else says so, seconds.
        longest_gap_s: a step ahead of more than this is a jump, seconds.

    Attributes:
        n_untimed: frames that had no stamp.
        n_jumps: jumps that were closed.
    """

    def __init__(self, nominal_s: float, longest_gap_s: float) -> None:
        self._nominal_s = nominal_s
        self._longest_gap_s = longest_gap_s
        self._longest_step_back_s = longest_step_back_s(nominal_s)
        self._latest_s: float | None = None
        self._offset_s = 0.0
        self._timed = False
        self.n_untimed = 0
        self.n_jumps = 0

    def place(self, stamp_s: float | None, duration_s: float) -> float:
        """When a frame is presented, in seconds from an arbitrary origin.

        Args:
            stamp_s: what the file says, or None.
            duration_s: how long the frame lasts; 0 where the file does not say.
        """
        if stamp_s is None:
            self.n_untimed += 1
            step_s = duration_s if 0 < duration_s <= self._longest_gap_s else self._nominal_s
            time_s = 0.0 if self._latest_s is None else self._latest_s + step_s
        elif self._latest_s is None:
            time_s = stamp_s
        else:
            time_s = stamp_s + self._offset_s
            ahead_s = time_s - self._latest_s
            joined = not -self._longest_step_back_s <= ahead_s <= self._longest_gap_s
            # Frames without a stamp at the beginning were counted from 0: the first stamp goes on from there.
            if joined or not self._timed:
                self._offset_s += self._latest_s + self._nominal_s - time_s
                time_s = stamp_s + self._offset_s
                self.n_jumps += joined and self._timed
        self._timed = self._timed or stamp_s is not None
        self._latest_s = time_s if self._latest_s is None else max(self._latest_s, time_s)
        return time_s

    @property
    def offset_s(self) -> float:
        """What is added to stamps now, so that times go on after a jump; 0 while there was none."""
        return self._offset_s

    def notes(self) -> list[str]:
        """What a person should know: one sentence each."""
        notes = []
        if self.n_untimed:
            notes.append(f"{self.n_untimed} frames carry no time: placed by the nominal frame rate")
        if self.n_jumps:
            notes.append(f"the times jump {self.n_jumps} times: joined without a gap")
        return notes


def missing_bytes(path: Path) -> int:
    """How many bytes the file lacks by its own account; 0 where it is whole or does not say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            end = _last_box_end(file, size)
        elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head[:4] == b"\x1a\x45\xdf\xa3":
            end = _segment_end(file)
        else:
            end = 0
    return max(end - size, 0)


def lacks_moov(path: Path) -> bool:
    """Whether this is an mp4 or mov without its index: a recording that was interrupted."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kinds = [kind for kind, _ in _boxes(file, size)]
    return bool(kinds) and kinds[0] == b"ftyp" and b"moov" not in kinds


def _boxes(file: BinaryIO, size: int) -> list[tuple[bytes, int]]:
    """Top-level boxes of an ISO media file: (kind, position of the end it claims)."""
    boxes: list[tuple[bytes, int]] = []
    position = 0
    while position + 8 <= size and len(boxes) < _MAX_BOXES:
        file.seek(position)
        header = file.read(2 * _BOX_HEADER)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            whole = len(header) == 2 * _BOX_HEADER
            length = int.from_bytes(header[8:], "big") if whole else 2 * _BOX_HEADER
        elif length == 0:
            length = size - position
        if length < 8 or not header[4:8].isascii():
            break
        position += length
        boxes.append((header[4:8], position))
    return boxes


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last box ends by its own account; in a recording in fragments, the last that must be there.

    A fragment is a `moof`, which describes pictures, and the `mdat` behind it that has them. A cut exactly
    between two fragments cannot be told from an end.
    """
    boxes = _boxes(file, size)
    if not boxes:
        return 0
    kinds, end = [kind for kind, _ in boxes], boxes[-1][1]
    if b"moof" not in kinds:
        return end
    if b"mdat" not in kinds[-1 - kinds[::-1].index(b"moof") :]:
        return max(end, size) + _BOX_HEADER
    return end + _BOX_HEADER if 0 < size - end < _BOX_HEADER else end  # its header breaks off


def _vint(file: BinaryIO, *, keep_marker: bool) -> int | None:
    """An EBML variable-length integer, or None at the end of the file or where all bits are set."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    n_more = 8 - first[0].bit_length()
    rest = file.read(n_more)
    value = int.from_bytes(first + rest, "big")
    if keep_marker:
        return value
    value &= (1 << (7 * (n_more + 1))) - 1
    return None if value == (1 << (7 * (n_more + 1))) - 1 else value


def _segment_end(file: BinaryIO) -> int:
    """End of the Matroska segment; 0 where its length is unknown (a live recording)."""
    file.seek(4)
    header_length = _vint(file, keep_marker=False)
    if header_length is None or header_length > 4096:
        return 0
    file.seek(header_length, 1)
    if _vint(file, keep_marker=True) != 0x18538067:
        return 0
    length = _vint(file, keep_marker=False)
    return 0 if length is None else file.tell() + length
