"""Isolated clips through a network on a graphics card: gathered into batches of one shape.

Copies to the card are asynchronous, from pinned memory, and the network of one shape is recorded once as a
CUDA graph and replayed. A batch that is not full is filled up by repeating its last clip, so that the shape,
and with it the arithmetic, is always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor

from extractors.backbones import Backbone
from extractors.errors import DeviceError

BATCH = 16  # clips; halved for the rest of the run where they do not fit

Say = Callable[[str], None]


class BatchClips:
    """See `extractors.lanes.Clips`.

    Args:
        backbone: on a graphics card.
        batch: clips at a time, at most.
        record: replay a CUDA graph.
        say: told when the batch had to be made smaller.

    Made once and used for many videos: what did not fit once is not tried again.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        batch: int = BATCH,
        record: bool = True,
        say: Say = lambda _line: None,
    ) -> None:
        self._backbone = backbone
        self.batch = batch
        self._record = record and backbone.device.type == "cuda"
        self._say = say
        self._gathered: list[tuple[Shaped[np.ndarray, "t h w c"], Future[Float32[np.ndarray, " d"]]]] = []
        self._recorded: _Recorded | None = None

    def submit(self, clip: Shaped[np.ndarray, "t h w c"]) -> Future[Float32[np.ndarray, " d"]]:
        """See `Clips.submit`."""
        future: Future[Float32[np.ndarray, " d"]] = Future()
        self._gathered.append((clip, future))
        if len(self._gathered) >= self.batch:
            self.flush()
        return future

    def flush(self) -> None:
        """See `Clips.flush`."""
        while self._gathered:
            part, self._gathered = self._gathered[: self.batch], self._gathered[self.batch :]
            try:
                rows = self._rows([clip for clip, _ in part])
            except torch.OutOfMemoryError as error:
                if self._smaller():
                    self._gathered = part + self._gathered
                    continue
                self._fail(part, self._too_small(error))
            except Exception as error:  # noqa: BLE001 - it is the outcome of these clips
                self._fail(part, error)
            else:
                for (_, future), row in zip(part, rows, strict=True):
                    future.set_result(row)

    def forget(self) -> None:
        """Drop what was gathered and has not run; nobody waits for it any more."""
        self._gathered.clear()

    def _smaller(self) -> bool:
        """Halve the batch for the rest of the run; False where it is 1 already."""
        self._recorded = None
        if self._backbone.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch == 1:
            return False
        self.batch //= 2
        self._say(f"the device's memory is too small: {self.batch} snippets at a time from here on")
        return True

    def _too_small(self, error: Exception) -> DeviceError:
        failed = DeviceError(
            f"the memory of {self._backbone.device} is too small for a batch of {self.batch} snippet",
            hint="close other programs on the card, or use --device cpu",
        )
        failed.__cause__ = error
        return failed

    @staticmethod
    def _fail(
        part: list[tuple[Shaped[np.ndarray, "t h w c"], Future[Float32[np.ndarray, " d"]]]], error: Exception
    ) -> None:
        for _, future in part:
            future.set_exception(error)

    def _rows(self, clips: list[Shaped[np.ndarray, "t h w c"]]) -> Float32[np.ndarray, "b d"]:
        filled = [*clips, *[clips[-1]] * (self.batch - len(clips))]
        host = _pinned(np.stack(filled), self._backbone.device)
        if self._record:
            if self._recorded is None or self._recorded.shape != host.shape:
                self._recorded = _Recorded(self._backbone, host)
            features = self._recorded.run(host)
        else:
            features = _features(self._backbone, host.to(self._backbone.device, non_blocking=True))
        rows: Float32[np.ndarray, "b d"] = features[: len(clips)].float().cpu().numpy()
        return rows


def _pinned(clips: Shaped[np.ndarray, "b t h w c"], device: torch.device) -> Shaped[Tensor, "b t h w c"]:
    tensor = torch.from_numpy(clips)
    return tensor.pin_memory() if device.type == "cuda" and torch.cuda.is_available() else tensor


def _features(backbone: Backbone, clips_BTHWC: Shaped[Tensor, "b t h w c"]) -> Shaped[Tensor, "b d"]:
    """Scale and run clips that are on the device."""
    if clips_BTHWC.dtype == torch.uint8:
        # Pictures side by side in time are scaled as one long clip.
        scaled = backbone.pixels(clips_BTHWC.flatten(0, 1))
        clips_BCTHW = torch.stack(torch.split(scaled, clips_BTHWC.shape[1], dim=1))
    else:
        clips_BCTHW = clips_BTHWC.to(backbone.dtype).permute(0, 4, 1, 2, 3)
    features, _ = backbone.snippets(clips_BCTHW)
    return features


class _Recorded:
    """One shape's work on the card, recorded once.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, backbone: Backbone, host: Shaped[Tensor, "b t h w c"]) -> None:
        self.shape = host.shape
        self._input = host.to(backbone.device)
        aside = torch.cuda.Stream(backbone.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(backbone.device))
        with torch.cuda.stream(aside):  # cuDNN chooses its algorithms before the recording
            for _ in range(2):
                _features(backbone, self._input)
        torch.cuda.current_stream(backbone.device).wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._output = _features(backbone, self._input)

    def run(self, host: Shaped[Tensor, "b t h w c"]) -> Shaped[Tensor, "b d"]:
        """Features of other clips of the same shape; overwritten by the next call."""
        self._input.copy_(host, non_blocking=True)
        self._graph.replay()
        return self._output
