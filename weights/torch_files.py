"""What `torch.save` wrote, read by PyTorch's restricted unpickler and after a look at the archive.

There is no way around `weights_only`: a file that needs more is refused, and nothing in it is run. PyTorch's
own reader of archives does not look at their checksums and unpacks what is compressed, so both are looked
at here first.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from weights.errors import WeightsError
from weights.files import MAX_BYTES

_ZIP = b"PK"
_GLOBAL = re.compile(r"GLOBAL (\S+)")  # how PyTorch names what it did not run
_ADVICE = "weights_only"
_MAX_MEMBERS = 100_000
_FLOAT_BYTES = 4
_HINT = "It was not run. Take the file from its publisher; one that needs code is refused."
_CONVERT = (
    "It was not run, and no option of ascnet runs it: export a plain state dict with the tool that made it."
)


def load_torch(data: bytes, what: str) -> Any:  # noqa: ANN401 - whatever was saved
    """Unpickle tensors and plain containers, onto the CPU.

    Args:
        data: the file.
        what: the file, for messages.

    Raises:
        WeightsError: it is damaged, or asks for anything but tensors and plain containers.
    """
    import pickle

    import torch

    try:
        _check_archive(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{what}: not a PyTorch state dict of plain tensors: {_reason(error)}",
            hint=_CONVERT if isinstance(error, pickle.UnpicklingError) else _HINT,
        ) from error


def arrays_of(state: Mapping[object, object], what: str) -> dict[str, np.ndarray]:
    """The named tensors of a state dict, those in half precision made single; anything else is left out.

    Raises:
        WeightsError: they claim more room than any known checkpoint, or are no plain arrays.
    """
    import torch

    tensors = {
        name: value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    # Before any is copied: a tensor of a few bytes may be said to repeat them a billion times.
    if sum(tensor.numel() for tensor in tensors.values()) * _FLOAT_BYTES > MAX_BYTES:
        raise WeightsError(
            f"{what}: its tensors have more than {MAX_BYTES >> 20} MiB, which no known checkpoint has",
            hint="Check that the path is the one of a checkpoint.",
        )
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        # Half precision loses nothing by it; any other kind stays what it is, for others to refuse.
        halves = tensor.dtype in (torch.float16, torch.bfloat16)
        kind = torch.float32 if halves else tensor.dtype
        try:
            if tensor.layout != torch.strided:  # whose places in memory nobody has checked
                raise TypeError(f"its layout is {tensor.layout}")
            arrays[name] = tensor.detach().to(kind).contiguous().numpy()
        except (TypeError, RuntimeError) as error:  # quantized, without content
            raise WeightsError(f"{what}: {name} is no plain tensor: {error}", hint=_HINT) from error
    return arrays


def _reason(error: Exception) -> str:
    """Why a file was refused, without PyTorch's advice on how to load it all the same."""
    asked = _GLOBAL.search(str(error))
    if asked:
        return f"it asks for {asked[1]}"
    if _ADVICE in str(error):
        return "it asks for more than tensors and plain containers"
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _check_archive(data: bytes) -> None:
    """Hold that a zip archive is one that `torch.save` writes, and whole.

    Raises:
        ValueError: it is not.
    """
    if not data.startswith(_ZIP):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise ValueError(f"an archive of {len(members)} files")
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("a compressed archive, which torch.save never writes")
            if sum(member.file_size for member in members) > len(data):
                raise ValueError("an archive whose files overlap")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        raise ValueError(f"the archive is damaged: {error}") from error
    if damaged is not None:
        raise ValueError(f"the archive is damaged: the checksum of {damaged} does not fit")
