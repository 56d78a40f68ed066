"""Networks that turn frames into features, behind one signature.

| name | streams | features | contexts |
|---|---|---|---|
| `i3d` | rgb, flow | 1024 | snippet, dense |
| `i3d_r50` | rgb | 2048 | snippet |
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from extractors.calibration import Calibration
from extractors.errors import OptionError
from extractors.i3d import I3D, I3DStream, load_i3d
from extractors.networks import BACKBONES, DIMS
from weights.architecture import Stream
from weights.errors import WeightsError

R50_DIM = DIMS["i3d_r50"]  # channels of ResNet-50's last stage


@runtime_checkable
class DenseStream(Protocol):
    """One pass over one video in dense context; see `I3DStream`."""

    def push(self, frames_CTHW: Float[Tensor, "c t h w"], *, last: bool = False) -> Float[Tensor, "t8 d"]:
        """Take the next frames; the features that are now certain."""


@runtime_checkable
class Backbone(Protocol):
    """One stream's network, ready on its device, in its dtype.

    Attributes:
        dim: length of a feature.
        device: where inputs must be.
        dtype: of inputs and features.
    """

    dim: int
    device: torch.device
    dtype: torch.dtype

    def pixels(self, rgb: UInt8[Tensor, "t h w 3"]) -> Float[Tensor, "3 t h w"]:
        """Scale 8-bit pictures, already on the device, to what the network was trained on."""

    def snippets(
        self, clips: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        """Features and logits of isolated clips."""

    def stream(self) -> DenseStream:
        """A new pass over one video in dense context.

        Raises:
            OptionError: the network is not fully convolutional in time.
        """


def scaled_pixels(rgb: UInt8[Tensor, "t h w 3"], dtype: torch.dtype) -> Float[Tensor, "3 t h w"]:
    """2 x / 255 - 1, as I3D wants it; a view in channels-last memory, which is how pictures come."""
    return rgb.to(dtype).mul_(2 / 255).sub_(1).permute(3, 0, 1, 2)


class I3DBackbone:
    """Inception-v1 I3D, see `extractors.i3d`; pictures are scaled to [-1, 1]."""

    def __init__(self, network: I3D) -> None:
        parameter = next(network.parameters())
        self.network = network
        self.dim = network.dim
        self.device = parameter.device
        self.dtype = parameter.dtype

    def pixels(self, rgb: UInt8[Tensor, "t h w 3"]) -> Float[Tensor, "3 t h w"]:
        """See `scaled_pixels`."""
        return scaled_pixels(rgb, self.dtype)

    @torch.inference_mode()
    def snippets(
        self, clips: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        """See `I3D.forward`."""
        features, logits = self.network(clips.to(memory_format=torch.channels_last_3d))
        return features, logits

    def stream(self) -> DenseStream:
        """See `I3DStream`."""
        return I3DStream(self.network)


class R50Backbone:
    """`i3d_r50` of pytorchvideo: an inflated ResNet-50, RGB alone.

    Its published head pools (4, 7, 7) and then averages what is left in time; the features are the mean
    of those pooled positions, so that the head's projection of them gives the published logits.
    Source: https://github.com/facebookresearch/pytorchvideo (models/hub/resnet.py, models/head.py).
    """

    # pytorchvideo's recipe: mean and standard deviation of pixels in [0, 1].
    _MEAN, _STD = 0.45, 0.225

    def __init__(self, network: nn.Module) -> None:
        parameter = next(network.parameters())
        self._network = network
        self.dim = R50_DIM
        self.device = parameter.device
        self.dtype = parameter.dtype

    def pixels(self, rgb: UInt8[Tensor, "t h w 3"]) -> Float[Tensor, "3 t h w"]:
        """(x / 255 - 0.45) / 0.225."""
        return rgb.to(self.dtype).div_(255).sub_(self._MEAN).div_(self._STD).permute(3, 0, 1, 2)

    @torch.inference_mode()
    def snippets(
        self, clips: Float[Tensor, "b c t h w"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        """Features (B, 2048) and logits of isolated 16-frame clips."""
        blocks: Any = self._network.blocks
        x = clips.to(memory_format=torch.channels_last_3d)
        for block in blocks[:-1]:
            x = block(x)
        head = blocks[-1]
        features: Tensor = head.pool(x).mean(dim=(2, 3, 4))
        logits: Tensor = head.proj(features)
        return features, logits

    def stream(self) -> DenseStream:
        """Always refused."""
        raise OptionError(
            "i3d_r50 has no dense context: its head needs whole snippets", hint="use --context snippet"
        )


def make_backbone(
    name: str,
    stream: Stream,
    tensors: dict[str, Tensor],
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    engine: str = "torch",
    calibration: Calibration | None = None,
) -> Backbone:
    """Build a network and put it on its device.

    Args:
        name: "i3d" or "i3d_r50".
        stream: "rgb" or "flow".
        tensors: its canonical weights.
        device: where it will live.
        dtype: of parameters, inputs and features.
        engine: "torch" or "openvino".
        calibration: of the tensors, for 8 bits on OpenVINO.

    Raises:
        OptionError: an unknown name, or a stream that the network does not have, or an engine that is not
            installed.
        WeightsError: the tensors do not fit.
    """
    if name not in BACKBONES:
        raise OptionError(f"unknown backbone {name!r}", hint=f"choose {' or '.join(BACKBONES)}")
    if stream not in BACKBONES[name]:
        raise OptionError(f"{name} has no {stream} stream", hint=f"it has {' and '.join(BACKBONES[name])}")
    try:
        if engine == "openvino":
            from extractors.i3d_openvino import OpenVinoBackbone

            load_i3d(tensors, stream=stream, device=device)  # refuses tensors that do not fit
            return OpenVinoBackbone(stream, tensors, calibration)
        if name == "i3d":
            return I3DBackbone(load_i3d(tensors, stream=stream, device=device, dtype=dtype))
        return R50Backbone(_load_r50(tensors, device=device, dtype=dtype))
    except RuntimeError as error:
        raise WeightsError(
            f"these weights are not those of {name} ({stream}): {str(error).splitlines()[-1].strip()}",
            hint="convert the right checkpoint with `ascnet weights convert`",
        ) from error


def _load_r50(tensors: dict[str, Tensor], *, device: torch.device, dtype: torch.dtype) -> nn.Module:
    with warnings.catch_warnings():
        # pytorchvideo 0.1.5 scripts small functions when it is imported; torch deprecates that.
        warnings.simplefilter("ignore")
        from pytorchvideo.models.hub import i3d_r50
    with torch.device("meta"):
        network: nn.Module = i3d_r50(pretrained=False)
    counters = {  # batch norm's training steps, which nobody reads and files leave out
        name: torch.zeros((), dtype=torch.int64)
        for name in network.state_dict()
        if name.endswith("num_batches_tracked")
    }
    network.load_state_dict({**counters, **tensors}, strict=True, assign=True)
    network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last_3d)
