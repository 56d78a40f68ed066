"""The chain of `ascnet detect` on a drawn video, each link against what is known of it.

Decoding is compared with what was drawn. The features of the real network with the real weights, made by the
very call behind the command, are compared with stored ones that were computed in another way: in float64, by
the published graph written out plainly, from the drawn pictures and not from a file. Localization is given
features that one class's weights answer to for a known time, and must find that class then.

`python -m tests.ascnet_cli.doctor.expected` makes the stored features, and prints what errors come to.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ascnet_cli.detect import DetectOptions, detect_all
from ascnet_cli.detector import DEFAULT_MODEL, Detector, load_detector
from ascnet_cli.doctor.drawn import pictures, write_video
from ascnet_cli.errors import AscnetError, VideoError
from ascnet_cli.inputs import VideoInput
from ascnet_cli.model.kinetics import KineticsModel
from ascnet_cli.outputs.files import read_file, write_file
from ascnet_cli.segments import VideoDetections
from extractors.snippets import GRID_FPS
from extractors.store import load_features
from extractors.video import open_video
from weights.files import parse_safetensors, read_bounded

EXPECTED = Path(__file__).parent / "expected.safetensors"
# Of the length of the stored features. Decoding comes to 0.0064 (single precision alone to 1e-6), pictures
# that are off by a level at random to as much; the smallest of eight faults that were tried, to 0.022.
TOLERANCE = 0.015
_ROOM_BYTES = 8_000_000  # the drawn video without loss and what is kept of it
_LEVELS = 3.0  # grey levels that a decoded frame may differ on average; the next frame differs by 17
_STAMP_S = 1e-4
_ROWS, _FIRST, _LAST = 60, 20, 40  # of features, and which of them show the class
_LOGIT = 12.0  # of the class where it is shown, over the 400 others' biases
_REINSTALL = "install ascnet again: `make clean demo`, or pip install --force-reinstall . in a checkout"


class SelfTestError(AscnetError):
    """A link of the chain that does not do what it is known to do."""


class NoPlaceError(AscnetError):
    """The self-test's own files find no place, which says nothing of `ascnet detect`: it needs none."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test that went well came to.

    Attributes:
        seconds: it took, without loading libraries and weights.
        picture_error: of decoded frames from drawn ones, mean absolute difference in grey levels.
        feature_error: of features from the stored ones, as a part of their length.
        segment_error_s: of the found segment's bounds from the known ones.
    """

    seconds: float
    picture_error: float
    feature_error: float
    segment_error_s: float


def self_test(device: str) -> SelfTest:
    """Go through the chain once.

    Args:
        device: as `--device` takes it.

    Raises:
        NoPlaceError: there is no place for temporary files.
        AscnetError: a link is broken; the message says which.
    """
    with _place() as folder:
        detector = load_detector(DEFAULT_MODEL, device=device, apart=True)  # as the command does
        started = time.monotonic()
        video = write_video(folder)
        # First as the command does it, in a process of its own: a decoder that crashes or hangs is told of,
        # and does not take this process along.
        values = features(video, detector, folder)
        picture_error = check_decoding(video)
        feature_error = check_features(values, detector)
        segment_error_s = check_localization(detector, folder)
        return SelfTest(time.monotonic() - started, picture_error, feature_error, segment_error_s)


@contextmanager
def _place() -> Iterator[Path]:
    """A folder for the files of the self-test, with room for them.

    Raises:
        NoPlaceError: there is none.
    """
    hint = "set TMPDIR to a folder with some room: `ascnet detect` needs none, but the test of it does"
    try:
        holder = tempfile.TemporaryDirectory(prefix="ascnet-doctor-", ignore_cleanup_errors=True)
    except OSError as error:
        raise NoPlaceError(f"no place for temporary files: {error.strerror or error}", hint=hint) from error
    with holder as name:
        folder = Path(name)
        try:
            probe = folder / "room"
            probe.write_bytes(b"\xff" * _ROOM_BYTES)
            probe.unlink()
        except OSError as error:
            raise NoPlaceError(
                f"too little room for temporary files in {folder.parent}: {error.strerror or error}",
                hint=hint,
            ) from error
        yield folder


def check_decoding(video: Path) -> float:
    """Compare what a file is decoded to with what was drawn; the mean difference in grey levels.

    Raises:
        SelfTestError: another number of frames, other times, other pictures.
    """
    drawn = pictures()
    with open_video(video) as reader:
        frames = list(reader.frames())
    times_s = [frame.time_s for frame in frames]
    wanted_s = [k / GRID_FPS for k in range(len(drawn))]
    if len(frames) != len(drawn) or not np.allclose(times_s, wanted_s, rtol=0, atol=_STAMP_S):
        raise SelfTestError(
            f"decoding: {len(drawn)} frames, one every 0.04 s, came out as {len(frames)} at {times_s} s",
            hint=_REINSTALL,
        )
    errors = [
        float(np.abs(frame.rgb.astype(np.float32) - rgb).mean())
        if frame.rgb.shape == rgb.shape
        else float("inf")
        for frame, rgb in zip(frames, drawn, strict=True)
    ]
    worst = int(np.argmax(errors))
    if errors[worst] > _LEVELS:
        raise SelfTestError(
            f"decoding: frame {worst} differs by {errors[worst]:.1f} grey levels from what was drawn",
            hint=_REINSTALL,
        )
    return float(np.mean(errors))


def features(video: Path, detector: Detector, folder: Path) -> Float32[np.ndarray, "t d"]:
    """What the command's own library call keeps of a video.

    Raises:
        AscnetError: the video fails.
    """
    options = DetectOptions(features_out=folder / "features")
    (outcome,) = detect_all([VideoInput(video.name, video)], detector, options)
    if outcome.state == "failed":
        raise _failed(outcome.error or "", outcome.hint or "", outcome.exit_code)
    values: Float32[np.ndarray, "t d"] = load_features(folder / "features" / f"{video.name}.npy").values
    return values


def check_features(values_TD: Float32[np.ndarray, "t d"], detector: Detector) -> float:
    """Compare the features of the drawn video with the stored ones.

    Raises:
        AscnetError: they are other ones.
    """
    error = distance(values_TD, expected(detector))
    if not error <= TOLERANCE:
        raise SelfTestError(
            f"I3D: features differ from the stored ones by {error:.2g} of their length, not {TOLERANCE:g}",
            hint=f"{_REINSTALL}; or compute elsewhere with --device",
        )
    return error


def check_localization(detector: Detector, folder: Path) -> float:
    """Give features of a known action at a known time, and write and read back what is found.

    Returns:
        How far the segment's bounds are off, seconds.

    Raises:
        AscnetError: another class, another time, or nothing.
    """
    model, grid = detector.model, detector.extractor.recipe.grid
    if not isinstance(model, KineticsModel):
        raise SelfTestError("the default model is not the one that is known here", hint=_REINSTALL)
    label, weight = model.labels[0], model.weight[0]
    values = np.zeros((_ROWS, len(weight)), np.float32)
    values[_FIRST:_LAST] = weight * (_LOGIT / np.square(weight).sum())
    duration_s = grid.span_s(_ROWS - 1)[1]
    found = [one for one in detector.segments(values, grid, duration_s) if one.score >= detector.min_score]
    table = folder / "segments.csv"
    write_file([VideoDetections("drawn", duration_s, tuple(found))], table)
    back = read_file(table).get("drawn", ())
    wanted_s = (grid.span_s(_FIRST)[0], grid.span_s(_LAST - 1)[1])
    if [one.label for one in back] != [label]:
        raise SelfTestError(
            f"localization: {label!r} was shown once, found were {[one.label for one in back]}",
            hint=_REINSTALL,
        )
    segment = back[0].segment
    off_s = max(abs(segment.start_s - wanted_s[0]), abs(segment.end_s - wanted_s[1]))
    if off_s > grid.step_s:
        raise SelfTestError(
            f"localization: {label!r} was shown at {wanted_s[0]:.2f}-{wanted_s[1]:.2f} s,"
            f" and found at {segment.start_s:.2f}-{segment.end_s:.2f} s",
            hint=_REINSTALL,
        )
    return off_s


def expected(detector: Detector) -> Float32[np.ndarray, "t d"]:
    """The stored features of the drawn video.

    Raises:
        AscnetError: the file is damaged, or of other weights than the detector's.
    """
    arrays, metadata = parse_safetensors(read_bounded(EXPECTED), str(EXPECTED), _REINSTALL)
    weights = detector.extractor.recipe.weights["rgb"]
    if metadata.get("weights") != weights or "features" not in arrays:
        raise SelfTestError(
            f"{EXPECTED.name} holds features of the weights {metadata.get('weights')}, not {weights}",
            hint=_REINSTALL,
        )
    return arrays["features"]


def distance(found_TD: Float32[np.ndarray, "t d"], wanted_TD: Float32[np.ndarray, "t d"]) -> float:
    """Length of the difference, as a part of the wanted length; infinite for another shape."""
    if found_TD.shape != wanted_TD.shape:
        return float("inf")
    return float(np.linalg.norm(found_TD - wanted_TD) / np.linalg.norm(wanted_TD))


def _failed(message: str, hint: str, exit_code: int) -> AscnetError:
    """The error of a video that failed, with an exit code for the whole: one bad video is not the matter."""
    error = SelfTestError(f"I3D: {message}", hint=hint or _REINSTALL)
    error.exit_code = 1 if exit_code in (VideoError.exit_code, 4) else exit_code
    return error
