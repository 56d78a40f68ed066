"""What `ascnet datasets stitch` is asked for, and its defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ascnet_cli.errors import OptionError

MIN_GAP_S = 1.0  # background before, between and after actions
_MIN_VIDEO_S = 4 * MIN_GAP_S  # background on both sides of an action that fills half of it
_MIN_SIDE = 16  # pixels; H.264's macroblock
_MAX_SIDE = 4096  # pixels
_MAX_FPS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchOptions:
    """What the stitched videos are to be like.

    Attributes:
        background: classes that are shown between the actions and are never labelled; at least one.
        seed: of everything that is drawn.
        n_train: training videos.
        n_test: test videos.
        min_s: the shortest video, seconds; at least 4.
        max_s: the longest video, seconds.
        max_clip_s: a clip of an action is shown whole up to this length, seconds; of a longer one, a stretch
            between half of it and all of it. Half of `min_s` at most, so that every video has room for one.
        width: of the pictures, pixels; even, as 4:2:0 colour wants it.
        height: likewise.
        fps: frames a second; bounds of actions are multiples of 1 / fps seconds.
        test_share: of each class's groups, how many are kept for the test videos; in (0, 1).

    Raises:
        OptionError: a value is outside its range, or two of them contradict each other.
    """

    background: tuple[str, ...]
    seed: int = 0
    n_train: int = 40
    n_test: int = 20
    min_s: float = 20.0
    max_s: float = 40.0
    max_clip_s: float = 10.0
    width: int = 340
    height: int = 256
    fps: int = 25
    test_share: float = 1 / 3

    def __post_init__(self) -> None:
        if not self.background:
            raise OptionError(
                "no class is said to be background", hint="name one or more with --background CLASS"
            )
        if min(self.n_train, self.n_test) < 1:
            raise OptionError(
                f"at least one training and one test video are needed, not {self.n_train} and {self.n_test}",
                hint="give --videos and --test-videos",
            )
        if not 1 <= self.fps <= _MAX_FPS:
            raise OptionError(
                f"frames a second must be in [1, {_MAX_FPS}], not {self.fps}", hint="for example --fps 25"
            )
        if any(side % 2 or not _MIN_SIDE <= side <= _MAX_SIDE for side in (self.width, self.height)):
            raise OptionError(
                f"a size of {self.width}x{self.height} cannot be encoded",
                hint=f"give even numbers of pixels in [{_MIN_SIDE}, {_MAX_SIDE}], e.g. 340x256",
            )
        if not 0 < self.test_share < 1:
            raise OptionError(
                f"the share for tests must be in (0, 1), not {self.test_share}", hint="for example 0.33"
            )
        self._check_lengths()

    def _check_lengths(self) -> None:
        lengths_s = (self.min_s, self.max_s, self.max_clip_s)
        if not all(math.isfinite(length_s) and length_s * self.fps >= 1 for length_s in lengths_s):
            raise OptionError(
                f"lengths must be finite and at least one frame, not {lengths_s} s",
                hint="give seconds, for example --min-seconds 20 --max-seconds 40",
            )
        if not _MIN_VIDEO_S <= self.min_s <= self.max_s:
            raise OptionError(
                f"videos cannot be {self.min_s} to {self.max_s} s long",
                hint=f"the shortest has at least {_MIN_VIDEO_S:g} s and is no longer than the longest",
            )
        if self.max_clip_s > self.min_s / 2:
            raise OptionError(
                f"a clip of {self.max_clip_s} s leaves no room for others in a video of {self.min_s} s",
                hint="a clip may fill half of the shortest video at most: change one of the two",
            )

    def frames(self, length_s: float) -> int:
        """The nearest number of frames to a length in seconds, at least one."""
        return max(round(length_s * self.fps), 1)
