"""The precision that a network is trained in. Parameters, their updates and checkpoints are float32 always.

`float32` is float32 everywhere, TF32 off. `tf32` lets CUDA devices shorten the factors of float32
products to 10 bits of mantissa. `bfloat16` computes the convolutions and linear layers of training in
bfloat16 (torch's autocast) and gives their results on in float32: attention, softmax, pooling and losses
see float32. Held-out videos are scored in float32 whatever it is, as inference does. There is no float16:
its gradients would need scaling, and cards that are fast in it are fast in bfloat16 too.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ascnet_cli.config_training import Precision
from ascnet_cli.errors import OptionError

PRECISIONS: tuple[Precision, ...] = typing.get_args(Precision)


def parse_precision(name: str) -> Precision:
    """The precision of a name.

    Raises:
        OptionError: there is none.
    """
    for precision in PRECISIONS:
        if name == precision:
            return precision
    raise OptionError(f"unknown precision {name!r}", hint=f"choose one of {', '.join(PRECISIONS)}")


def supported(precision: Precision, device: torch.device) -> tuple[Precision, str]:
    """What a device computes in where `precision` was asked for, and a note where it is another."""
    if precision == "tf32" and device.type != "cuda":
        return "float32", f"tf32 is of CUDA devices alone: {device.type} trains in float32"
    if (
        precision == "bfloat16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        return "float32", f"{device} has no bfloat16: it trains in float32"
    return precision, ""


@contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
    """Switches TF32 on for `tf32` and off for all others; as it was before, after the block."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def layers_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A block in which convolutions and linear layers compute in bfloat16, where that is asked for."""
    return _Bfloat16Layers(device.type) if precision == "bfloat16" else nullcontext()


class _Bfloat16Layers(TorchFunctionMode):
    """Autocast around the products with parameters alone: the rest of the network stays in float32.

    Autocast around the whole network would leave some softmaxes in bfloat16: on the CPU it does not
    know them as operations that need more.
    """

    _LAYERS = (torch.conv1d, functional.linear)

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self._device_type = device_type

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func not in self._LAYERS:
            return func(*args, **(kwargs or {}))
        with torch.autocast(self._device_type, dtype=torch.bfloat16):
            return func(*args, **(kwargs or {})).float()
