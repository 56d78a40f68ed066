"""I3D on OpenVINO: the same network, faster on x86 processors, in float32 or in 8 bits.

Snippets run one by one, as with PyTorch: a clip's features do not depend on its neighbours. A dense stream
runs stage by stage, each stage a model of its own that takes any number of frames; what has to be kept
between pieces is kept by the same code as with PyTorch (`I3DStream`).

Needs the extra `openvino`.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from extractors.backbones import DenseStream, scaled_pixels
from extractors.calibration import Calibration
from extractors.errors import DeviceError, OptionError
from extractors.i3d import I3DStream, Stage
from extractors.lanes import MAX_LANES
from weights.architecture import FEATURE_DIM, Stream

if TYPE_CHECKING:
    import openvino as ov


def check_installed() -> None:
    """Raise what a person can act on where OpenVINO is missing.

    Raises:
        OptionError: it is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        raise OptionError("OpenVINO is not installed here", hint="pip install 'ascnet[openvino]'")


class OpenVinoBackbone:
    """See `extractors.backbones.Backbone`.

    Args:
        stream: "rgb" or "flow".
        tensors: canonical weights, float32.
        calibration: of these weights, for 8 bits; None for float32.

    Raises:
        OptionError: OpenVINO is not installed.
    """

    dim = FEATURE_DIM
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(
        self, stream: Stream, tensors: Mapping[str, Tensor], calibration: Calibration | None = None
    ) -> None:
        check_installed()
        self._stream_name = stream
        self._tensors = {name: tensor.float().numpy() for name, tensor in tensors.items()}
        self._calibration = calibration
        self._n_threads = torch.get_num_threads()  # here, and not in a lane, which has its share alone
        self._compiled: ov.CompiledModel | None = None
        self._stages: list[Stage] | None = None
        self._compiling = threading.Lock()
        self._local = threading.local()

    def pixels(self, rgb: UInt8[Tensor, "t h w 3"]) -> Float[Tensor, "3 t h w"]:
        """As I3D on PyTorch."""
        return scaled_pixels(rgb, self.dtype)

    def snippets(
        self, clips: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        """See `I3D.forward`; each clip runs alone. May be called from several threads at once."""
        request = self._request()
        rows = []
        for clip_CTHW in clips:
            clip_THWC = np.ascontiguousarray(clip_CTHW.permute(1, 2, 3, 0).numpy())
            rows.append(np.array(request.infer([clip_THWC[None]])[0]))
        features = torch.from_numpy(np.concatenate(rows))
        weight = torch.from_numpy(self._tensors["logits.weight"]).flatten(1)
        return features, features @ weight.T + torch.from_numpy(self._tensors["logits.bias"])

    def _request(self) -> ov.InferRequest:
        """This thread's own; requests that run at the same time must be different ones."""
        if not hasattr(self._local, "request"):
            with self._compiling:
                if self._compiled is None:
                    from extractors.openvino_graph import snippet_model

                    model = snippet_model(self._stream_name, self._tensors, self._calibration)
                    self._compiled = _compile(model, self._n_threads, min(self._n_threads, MAX_LANES))
            self._local.request = self._compiled.create_infer_request()
        return self._local.request

    def stages(self) -> list[Stage]:
        """See `I3D.stages`."""
        if self._stages is None:
            from extractors.openvino_graph import stage_strides

            self._stages = [
                Stage(_StageRunner(partial(self._stage, index)), kernel, stride)
                for index, (kernel, stride) in enumerate(stage_strides())
            ]
        return self._stages

    def _stage(self, index: int, time: tuple[int, int]) -> ov.InferRequest:
        from extractors.openvino_graph import stage_model

        model = stage_model(self._stream_name, self._tensors, self._calibration, index, time)
        return _compile(model, self._n_threads, 1).create_infer_request()

    def stream(self) -> DenseStream:
        """A new pass over one video."""
        return I3DStream(self)


def _compile(model: ov.Model, n_threads: int, n_streams: int) -> ov.CompiledModel:
    """For the processor; `n_streams` clips run at the same time, each on its share of the threads."""
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": n_streams,
        # OpenVINO would take bfloat16 by itself where the processor has it; what is said is what is done.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        return ov.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise DeviceError(
            f"OpenVINO cannot run I3D on this processor: {str(error).splitlines()[-1]}",
            hint="use --engine-i3d torch",
        ) from error


class _StageRunner:
    """Runs a stage; zeros before and after belong to a model, so there is one for each way of padding.

    A video needs three: of its beginning, of its middle and of its end.
    """

    def __init__(self, make: Callable[[tuple[int, int]], ov.InferRequest]) -> None:
        self._make = make
        self._requests: dict[tuple[int, int], ov.InferRequest] = {}

    def __call__(self, x: Tensor, time: tuple[int, int]) -> Tensor:
        if time not in self._requests:
            self._requests[time] = self._make(time)
        found = self._requests[time].infer([x.contiguous().numpy()])[0]
        # A copy: the request writes its next answer to the same place.
        return torch.from_numpy(np.array(found))
