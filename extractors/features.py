"""One video in, (T, D) features out, in memory that does not grow with the video.

    frames -> 25 fps grid -> [shorter side 256] -> flow -> centre crop 224 -> network -> rows

The video is read once. Frames are gathered into short pieces; each piece goes through every stream's
network and is forgotten. A piece also sees the frame after it, since the flow of its last frame needs that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Shaped, UInt8
from torch import Tensor

from extractors.backbones import Backbone, make_backbone
from extractors.device import exact_arithmetic
from extractors.errors import OptionError, VideoError
from extractors.flow import FlowEstimator, flow_recipe, quantize_flow, snippet_flows
from extractors.i3d import INPUT_PX, I3DStream
from extractors.recipe import FeatureRecipe
from extractors.snippets import SNIPPET_FRAMES, Resampler, TimeGrid
from extractors.video import MAX_PIXELS, DecodeReport, Frame, VideoReader, open_video

# Grid frames a piece. Snippets: four at a time use a processor's caches best. Dense: as many frames as
# two snippets, which bounds the memory of the first layers.
_PIECE_FRAMES = {"snippet": 4 * SNIPPET_FRAMES, "dense": 2 * SNIPPET_FRAMES}

Progress = Callable[[float, float | None], None]


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


@runtime_checkable
class _Rows(Protocol):
    """Takes pieces of one stream's network input, (t, 224, 224, c), and gathers rows of features."""

    def push(self, piece: Tensor, *, last: bool) -> None: ...

    def rows(self) -> Float32[np.ndarray, "t d"]: ...


def _pad_by_repeating(x_CTHW: Tensor, multiple: int) -> Tensor:
    """Repeat the last frame until the number of frames is a multiple."""
    missing = -x_CTHW.shape[1] % multiple
    if not missing:
        return x_CTHW
    return torch.cat((x_CTHW, x_CTHW[:, -1:].expand(-1, missing, -1, -1)), dim=1)


class _SnippetRows:
    """Isolated snippets: every 16 frames are a clip of their own."""

    def __init__(self, backbone: Backbone, grid: TimeGrid) -> None:
        self._backbone, self._grid = backbone, grid
        self._rows: list[Float32[np.ndarray, "t d"]] = []

    def push(self, piece: Tensor, *, last: bool) -> None:
        del last  # every snippet stands alone
        x_CTHW = _pad_by_repeating(piece, self._grid.window_frames)
        clips = torch.stack(torch.split(x_CTHW, self._grid.window_frames, dim=1))
        features, _ = self._backbone.snippets(clips)
        self._rows.append(features.float().cpu().numpy())

    def rows(self) -> Float32[np.ndarray, "t d"]:
        return np.concatenate(self._rows)


class _DenseRows:
    """One pass over the whole video, a row every 8 frames."""

    def __init__(self, backbone: Backbone, grid: TimeGrid) -> None:
        self._stream: I3DStream = backbone.stream()
        self._stride = grid.stride_frames
        self._rows: list[Float32[np.ndarray, "t d"]] = []

    def push(self, piece: Tensor, *, last: bool) -> None:
        x_CTHW = _pad_by_repeating(piece, self._stride) if last else piece
        features = self._stream.push(x_CTHW, last=last)
        if len(features):
            self._rows.append(features.float().cpu().numpy())

    def rows(self) -> Float32[np.ndarray, "t d"]:
        return np.concatenate(self._rows)


class _Flows:
    """The flow of each frame of one video to the next; the last frame's repeats the one before it."""

    def __init__(self, estimate: FlowEstimator) -> None:
        self._estimate = estimate
        self._last: Float32[np.ndarray, "1 2 h w"] | None = None

    def of(
        self, piece: UInt8[np.ndarray, "t h w 3"], following: UInt8[np.ndarray, "h w 3"] | None
    ) -> Float32[np.ndarray, "t 2 h w"]:
        if following is None and len(piece) == 1 and self._last is not None:
            return self._last
        seen = piece if following is None else np.concatenate((piece, following[None]))
        flow_NCHW = snippet_flows(self._estimate, seen, len(piece))
        self._last = flow_NCHW[-1:]
        return flow_NCHW


def centre_crop(
    pictures: Shaped[np.ndarray, "*n h w c"], side: int = INPUT_PX
) -> Shaped[np.ndarray, "*n side side c"]:
    """The middle `side` x `side` pixels of (..., H, W, c) pictures; a view.

    Raises:
        ValueError: the pictures are smaller.
    """
    height, width = pictures.shape[-3:-1]
    if min(height, width) < side:
        raise ValueError(f"cannot cut {side}x{side} out of {width}x{height}")
    top, left = (height - side) // 2, (width - side) // 2
    return pictures[..., top : top + side, left : left + side, :]


class Extractor:
    """Makes features by one recipe; made once, used for many videos.

    Args:
        recipe: what to make.
        tensors: canonical weights of each stream of the recipe.
        device: where the networks run.
        flow: the recipe's flow estimator, where it has a flow stream.
        dtype: of the networks.
        max_pixels: larger pictures are refused.

    Raises:
        OptionError: the estimator is not the recipe's.
        WeightsError: the tensors do not fit the backbone.
    """

    def __init__(
        self,
        recipe: FeatureRecipe,
        tensors: Mapping[str, dict[str, Tensor]],
        *,
        device: torch.device,
        flow: FlowEstimator | None = None,
        dtype: torch.dtype = torch.float32,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if (flow_recipe(flow.config) if flow else None) != recipe.flow:
            raise OptionError("the flow estimator is not the one that the recipe names")
        if str(dtype).removeprefix("torch.") != recipe.precision:
            raise OptionError(f"the recipe says {recipe.precision}, the networks are to run in {dtype}")
        exact_arithmetic()
        self.recipe = recipe
        self._flow = flow
        self._max_pixels = max_pixels
        self._backbones = {
            stream: make_backbone(recipe.backbone, stream, tensors[stream], device=device, dtype=dtype)  # type: ignore[arg-type]
            for stream in recipe.streams
        }

    def extract(self, path: Path, *, progress: Progress | None = None) -> Features:
        """Features of one video.

        Args:
            path: the video file.
            progress: called with seconds done and seconds in all (by the header, or None) after each piece.

        Raises:
            VideoError: the file cannot be read, or features came out as NaN or infinite.
        """
        make_rows = _SnippetRows if self.recipe.context == "snippet" else _DenseRows
        grid = self.recipe.grid
        rows: dict[str, _Rows] = {s: make_rows(b, grid) for s, b in self._backbones.items()}
        flows = _Flows(self._flow) if self._flow is not None else None
        with open_video(path, decoder=self.recipe.decoder, max_pixels=self._max_pixels) as reader:
            total_s = reader.info.header_duration_s
            n_frames = 0
            for piece, following in _pieces(reader, _PIECE_FRAMES[self.recipe.context]):
                for stream, backbone in self._backbones.items():
                    x = self._input(stream, backbone, piece, following, flows)
                    rows[stream].push(x, last=following is None)
                n_frames += len(piece)
                if progress is not None:
                    progress(n_frames / grid.fps, total_s)
            report = reader.report
        # One stream at a time: the rows of a long video are worth not having twice.
        parts = [rows.pop(stream).rows() for stream in self.recipe.streams]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if not np.isfinite(values).all():
            raise VideoError(
                "its features came out as NaN or infinite", hint="try --device cpu, and verify the weights"
            )
        return Features(values, grid, n_frames, report.duration_s, report, self.recipe)

    def _input(
        self,
        stream: str,
        backbone: Backbone,
        piece: UInt8[np.ndarray, "t h w 3"],
        following: UInt8[np.ndarray, "h w 3"] | None,
        flows: _Flows | None,
    ) -> Tensor:
        """What one stream's network sees of a piece, (c, t, 224, 224) on its device."""
        if stream == "rgb":
            rgb = torch.from_numpy(np.ascontiguousarray(centre_crop(piece)))
            return backbone.pixels(rgb.to(backbone.device))
        if flows is None:
            raise OptionError("a flow stream without a flow estimator")
        flow_NCHW = flows.of(piece, following)
        flow_NHWC = centre_crop(flow_NCHW.transpose(0, 2, 3, 1))
        scaled = torch.from_numpy(quantize_flow(np.ascontiguousarray(flow_NHWC)))
        return scaled.to(device=backbone.device, dtype=backbone.dtype).permute(3, 0, 1, 2)


def _pieces(
    reader: VideoReader, length: int
) -> Iterator[tuple[UInt8[np.ndarray, "t h w 3"], UInt8[np.ndarray, "h w 3"] | None]]:
    """Grid frames in pieces of one length (the last may be shorter), each with the frame that follows it.

    A picture of another size than the first (a stream that changes its format) is resized to the first's.
    """
    held: list[UInt8[np.ndarray, "h w 3"]] = []

    def duration() -> Iterator[float]:
        yield reader.report.duration_s

    for frame in Resampler().resample(reader.frames(), duration()):
        if len(held) == length:
            following = _like(frame, held[0])
            yield np.stack(held), following
            held.clear()
        held.append(_like(frame, held[0]) if held else frame.rgb)
    yield np.stack(held), None


def _like(frame: Frame, first: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    if frame.rgb.shape == first.shape:
        return frame.rgb
    import cv2

    resized: UInt8[np.ndarray, "h w 3"] = cv2.resize(
        frame.rgb, (first.shape[1], first.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return resized
