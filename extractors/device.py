"""Which device the tensors live on; said once, at the start."""

from __future__ import annotations

import re

import torch

from extractors.errors import DeviceError
from extractors.recipe import FeatureRecipe

CHOICES = "auto, cpu, cuda, cuda:N or mps"

# Of a network's inputs and features, by the recipe's precision; 8 bits are OpenVINO's own matter inside.
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,
}


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda`, `cuda:N` or `mps` into a device that is there.

    Raises:
        DeviceError: the name is unknown, or the device is not there. Only `auto` falls back.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("mps is not available here", hint="use --device cpu, or --device auto")
        return torch.device("mps")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise DeviceError(f"unknown device {name!r}", hint=f"choose {CHOICES}")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"{name} was asked for, but no CUDA device is available here",
            hint="use --device cpu, or --device auto to take what there is",
        )
    index = int(match.group(1) or 0)
    if index >= torch.cuda.device_count():
        raise DeviceError(
            f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s)",
            hint="use a lower number, or --device auto",
        )
    return torch.device("cuda", index)


def exact_arithmetic() -> None:
    """Keep float32 what it says: no TF32 in matrix products and convolutions (features are compared)."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def check_device(recipe: FeatureRecipe, device: torch.device) -> None:
    """Refuse a device on which the recipe's engine does not run, or not in reasonable time.

    Raises:
        DeviceError: naming both.
    """
    if recipe.engine == "openvino" and device.type != "cpu":
        raise DeviceError(f"OpenVINO runs on the processor, not on {device}", hint="use --device cpu")
    if device.type == "cpu" and recipe.precision in ("bfloat16", "float16"):
        # A snippet takes minutes on a processor without units for it.
        raise DeviceError(
            f"{recipe.precision} is for graphics cards", hint="use --device cuda, or the engine torch"
        )
