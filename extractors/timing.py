"""How long a video is and how many pictures a second it has, counted from its packets: nothing is decoded.

Headers may be wrong about both, so they are asked only where packets carry no times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import av.container
import av.error
from av.video.stream import VideoStream

from extractors.decode_pyav import header_info, is_repeat, longest_gap_s, nominal_s, open_container
from extractors.errors import VideoError
from extractors.packet_times import PacketStamp, packet_times
from extractors.video import MAX_PIXELS, check_file

# Clocks of containers are coarse: at 1/1000 s, pictures of 29.97 fps are 33 or 34 ms apart.
_CLOCK_S = 0.0011


@dataclass(frozen=True, slots=True)
class Timing:
    """When the pictures of a video are presented, in all.

    Attributes:
        duration_s: from the first picture's presentation to the end of the last one's, seconds.
        frames_per_s: pictures a second; an average where it is not constant.
        is_constant: all are shown equally long.
        n_frames: pictures.
    """

    duration_s: float
    frames_per_s: float
    is_constant: bool
    n_frames: int


def measure_timing(path: Path, *, max_pixels: int = MAX_PIXELS) -> Timing:
    """Read a file through, without decoding it.

    Raises:
        VideoError: it is not a readable video, or nothing in it says how long its pictures are shown.
    """
    check_file(path)
    container, stream = open_container(path, max_pixels=max_pixels)
    with container:
        header_fps = header_info(path, container, stream).header_fps
        gap_s = longest_gap_s(container)
        frame_s = nominal_s(stream)
        packets = list(_stamps(container, stream))
    timed = [packet for packet in packets if packet.shown_s is not None]
    # Lengths beyond a jump are not believed, nor when decoding.
    placed = zip(packet_times(timed, frame_s, gap_s), timed, strict=True)
    shown_s = {time_s: packet.duration_s if packet.duration_s <= gap_s else 0.0 for time_s, packet in placed}
    times_s = sorted(shown_s)
    header_s = 1 / header_fps if header_fps else 0.0
    steps_s = [after - before for before, after in pairwise(times_s)]
    last_s = (shown_s[times_s[-1]] if times_s else 0.0) or (steps_s[-1] if steps_s else header_s)
    if len(times_s) < len(packets) // 2 or not times_s or last_s <= 0:
        # Packets without times, or one picture that does not say how long it is shown.
        if not packets or not header_s:
            raise VideoError("no picture has a time, nor has the file a frame rate", hint="remux it to mp4")
        return Timing(len(packets) * header_s, header_fps, is_constant=True, n_frames=len(packets))
    duration_s = times_s[-1] - times_s[0] + last_s
    if not steps_s:
        return Timing(duration_s, 1 / last_s, is_constant=True, n_frames=1)
    typical_s = median_low(steps_s)
    is_constant = all(abs(step_s - typical_s) <= _CLOCK_S for step_s in steps_s)
    fps = len(steps_s) / (times_s[-1] - times_s[0]) if is_constant else len(times_s) / duration_s
    # Where both agree as far as the container's clock can say, the header has more digits.
    if is_constant and abs(header_fps - fps) * duration_s <= _CLOCK_S * fps:
        fps = header_fps
    return Timing(duration_s, fps, is_constant, len(times_s))


def _stamps(container: av.container.InputContainer, stream: VideoStream) -> Iterator[PacketStamp]:
    """When each picture is shown and for how long, by the file; damage ends them early."""
    base = stream.time_base or Fraction(0)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, av.error.FFmpegError, OSError):
            return
        # Packets that an edit list leaves out show nothing.
        if (packet.size or is_repeat(packet)) and not packet.is_discard:
            shown = packet.dts if packet.pts is None else packet.pts
            shown_s, stored_s = (
                None if stamp is None else float(stamp * base) for stamp in (shown, packet.dts)
            )
            yield PacketStamp(shown_s, stored_s, max(float((packet.duration or 0) * base), 0.0))
