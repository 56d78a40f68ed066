"""Videos in, (T, D) features out, in memory that does not grow with a video.

    frames -> 25 fps grid -> [shorter side 256] -> flow -> centre crop 224 -> network -> rows

A video is read once. A thread decodes it into short pieces (`extractors.pieces`), never more than a few
ahead; each piece goes through every stream's network and is forgotten. Optical flow is estimated on the
networks' side, since it wants what they want: all cores, or the graphics card.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from extractors.apart import DecoderProcess
from extractors.backbones import make_backbone
from extractors.calibration import Calibration, calibrations_of
from extractors.device import DTYPES, check_device, exact_arithmetic
from extractors.device_clips import BatchClips, Say
from extractors.errors import OptionError, VideoError
from extractors.flow import FlowEstimator, flow_recipe
from extractors.flow_pieces import PieceFlows, stream_pictures
from extractors.in_line import Passage, Step
from extractors.lanes import Clips, LaneClips, Lanes
from extractors.pieces import Piece, VideoEnd, read_videos
from extractors.prefetch import Prefetch
from extractors.recipe import FeatureRecipe
from extractors.rows import DenseRows, Rows, SnippetRows
from extractors.snippets import SNIPPET_FRAMES, TimeGrid
from extractors.video import LIMITS, DecodeReport, Limits

# Grid frames a piece: two snippets, which in dense context bounds the memory of the first layers.
_PIECE_FRAMES = 2 * SNIPPET_FRAMES
_PIECES_AHEAD = 3  # decoded and waiting; enough to begin the next video while one is computed

Progress = Callable[[float, float | None], None]
ManyProgress = Callable[[Path, float, float | None], None]


@dataclass(frozen=True, slots=True)
class Features:
    """A video's features and where they came from.

    Attributes:
        values: (T, D) float32; RGB first, then flow.
        grid: where the rows lie in time.
        n_frames: grid frames that the video really has.
        duration_s: of the video, seconds.
        report: what decoding came to.
        recipe: how they were made.
    """

    values: Float32[np.ndarray, "t d"]
    grid: TimeGrid
    n_frames: int
    duration_s: float
    report: DecodeReport
    recipe: FeatureRecipe

    def __post_init__(self) -> None:
        wanted = (self.grid.n_rows(self.n_frames), self.recipe.dim)
        if self.values.shape != wanted:
            raise ValueError(f"{self.n_frames} frames give {wanted} features, not {self.values.shape}")

    @property
    def valid_frames_of_last(self) -> int:
        """Grid frames of the last row that are not padding."""
        return self.grid.valid_frames_of_last(self.n_frames)


class Extractor:
    """Makes features by one recipe; made once, used for many videos.

    Args:
        recipe: what to make.
        tensors: canonical weights of each stream of the recipe.
        device: where the networks run.
        flow: the recipe's flow estimator, where it has a flow stream.
        dtype: of the networks; None takes the recipe's.
        limits: larger and more damaged videos are refused.
        say: told, in a sentence, when something has to be done in another way than was meant.
        calibrations: of each stream, where the recipe says 8 bits; None: from their files.
        apart: decode in a process of its own, which ends with this object: a decoder that crashes or hangs
            costs its video alone. For whoever is no such process already.

    Raises:
        OptionError: the estimator is not the recipe's, or the engine is not installed.
        DeviceError: the engine does not run there.
        WeightsError: the tensors do not fit the backbone, or the recipe's calibration is not here.
    """

    def __init__(
        self,
        recipe: FeatureRecipe,
        tensors: Mapping[str, dict[str, Tensor]],
        *,
        device: torch.device,
        flow: FlowEstimator | None = None,
        dtype: torch.dtype | None = None,
        limits: Limits = LIMITS,
        say: Say = lambda _line: None,
        calibrations: Mapping[str, Calibration] | None = None,
        apart: bool = False,
    ) -> None:
        if (flow_recipe(flow.config) if flow else None) != recipe.flow:
            raise OptionError("the flow estimator is not the one that the recipe names")
        wanted = DTYPES[recipe.precision]
        if dtype not in (None, wanted):
            raise OptionError(f"the recipe says {recipe.precision}, the networks are to run in {dtype}")
        check_device(recipe, device)
        exact_arithmetic()
        self.recipe = recipe
        self._flow = flow
        self._limits = limits.for_decoder(recipe.decoder)
        self._apart = DecoderProcess() if apart else None
        if self._apart is not None:
            weakref.finalize(self, self._apart.close)
        calibrated = calibrations_of(recipe) if calibrations is None else calibrations
        self._backbones = {
            stream: make_backbone(
                recipe.backbone,
                stream,  # type: ignore[arg-type]
                tensors[stream],
                device=device,
                dtype=wanted,
                engine=recipe.engine,
                calibration=calibrated[stream] if recipe.calibration else None,
            )
            for stream in recipe.streams
        }
        # Kept for the run: recorded networks, and batch sizes that were found to fit.
        self._batches = {
            stream: BatchClips(backbone, say=say)
            for stream, backbone in self._backbones.items()
            if device.type != "cpu"
        }

    def extract(self, path: Path, *, progress: Progress | None = None) -> Features:
        """Features of one video.

        Args:
            path: the video file.
            progress: called with seconds done and seconds in all (by the header, or None) after each piece.

        Raises:
            VideoError: the file cannot be read, or features came out as NaN or infinite.
        """

        def told(_path: Path, done_s: float, total_s: float | None) -> None:
            if progress is not None:
                progress(done_s, total_s)

        ((_, outcome),) = self.extract_many([path], progress=told)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def extract_many(
        self, paths: Iterable[Path], *, progress: ManyProgress | None = None
    ) -> Iterator[tuple[Path, Features | Exception]]:
        """Features of several videos; what fails one of them takes its place, and the others go on.

        Isolated snippets of neighbouring short videos are computed side by side, and the next video is
        decoded while the last one is computed. The features are those of `extract`: bit for bit on the
        processor, where every snippet is computed alone whatever its neighbours are; on a graphics card
        within 1e-5, since there a snippet's arithmetic may depend on the size of its batch.

        Args:
            paths: the video files; asked for the next one, in the decoding thread, when one has been read.
            progress: called with the path, seconds done and seconds in all (by the header, or None) after
                each piece.

        Yields:
            Each path with its features or its error, in order.
        """
        asked: deque[Path] = deque()
        failed: set[int] = set()
        left = threading.Event()

        def noted() -> Iterator[Path]:
            for path in paths:
                if left.is_set():
                    return
                asked.append(path)
                yield path

        def source() -> Iterator[Piece | VideoEnd]:
            reading = self._apart.read_videos if self._apart is not None else read_videos
            return reading(
                noted(),
                decoder=self.recipe.decoder,
                limits=self._limits,
                length=_PIECE_FRAMES,
                whole=self._flow is not None,
                given_up=lambda video: left.is_set() or video in failed,
            )

        with ExitStack() as stack:
            clips = self._clips(stack)
            reading = stack.enter_context(Prefetch(source, depth=_PIECES_AHEAD, name="decoder"))
            # Before the thread is waited for, which may itself wait for a decoder that hangs.
            stack.callback(left.set)
            line: deque[Step] = deque()
            video: Passage | None = None
            for item in reading:
                if video is None:
                    flows = PieceFlows(self._flow) if self._flow is not None else None
                    video = Passage(asked.popleft(), self._rows(clips), flows)
                if isinstance(item, Piece):
                    line.append(self._push(video, item))
                    if video.error is not None:
                        failed.add(item.video)
                else:
                    line.append(Step(video, [], end=item.outcome))
                    failed.discard(item.video)
                    video = None
                while line and line[0].done():
                    yield from self._settle(line.popleft(), progress)
            for part in clips.values():
                part.flush()
            while line:
                yield from self._settle(line.popleft(), progress)

    def _clips(self, stack: ExitStack) -> dict[str, Clips]:
        """What isolated snippets run in, for each stream; nothing in dense context."""
        if self.recipe.context != "snippet":
            return {}
        if self._batches:
            for batches in self._batches.values():
                stack.callback(batches.forget)
            return dict(self._batches)
        lanes = stack.enter_context(Lanes())
        return {stream: LaneClips(backbone, lanes) for stream, backbone in self._backbones.items()}

    def _rows(self, clips: Mapping[str, Clips]) -> dict[str, Rows]:
        if self.recipe.context == "snippet":
            return {stream: SnippetRows(part) for stream, part in clips.items()}
        return {stream: DenseRows(backbone, self.recipe.grid) for stream, backbone in self._backbones.items()}

    def _push(self, video: Passage, piece: Piece) -> Step:
        """Send a piece on its way through every stream's network."""
        video.n_frames += len(piece.frames)
        step = Step(video, [], video.n_frames / self.recipe.grid.fps, piece.total_s)
        if video.error is None:
            try:
                for stream, rows in video.rows.items():
                    step.futures += rows.push(stream_pictures(stream, piece, video.flows), last=piece.last)
            except Exception as error:  # noqa: BLE001 - it is this video's outcome, and the others go on
                video.error = error
        return step

    def _settle(
        self, step: Step, progress: ManyProgress | None
    ) -> Iterator[tuple[Path, Features | Exception]]:
        """Wait for the first in line, and tell of it: the video's outcome where it is its end."""
        video = step.video
        for future in step.futures:
            error = future.exception()
            if isinstance(error, Exception):
                video.error = video.error or error
            elif error is not None:
                raise error
        if step.end is not None:
            yield video.path, self._outcome(video, step.end)
        elif progress is not None and video.error is None:
            progress(video.path, step.done_s, step.total_s)

    def _outcome(self, video: Passage, end: DecodeReport | Exception) -> Features | Exception:
        if video.error is not None:
            return video.error
        if isinstance(end, Exception):
            return end
        # One stream at a time: the rows of a long video are worth not having twice.
        parts = [video.rows.pop(stream).rows() for stream in self.recipe.streams]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if not np.isfinite(values).all():
            return VideoError(
                "its features came out as NaN or infinite", hint="try --device cpu, and verify the weights"
            )
        return Features(values, self.recipe.grid, video.n_frames, end.duration_s, end, self.recipe)
