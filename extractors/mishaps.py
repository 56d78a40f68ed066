"""What an error of a library means for a run: too little memory, a lost graphics card, one bad file."""

from __future__ import annotations

from extractors.errors import VideoError
from weights.errors import AscnetError, StorageError

# What torch says, in a plain RuntimeError, where there is no memory for a tensor on the CPU.
_NO_MEMORY = "DefaultCPUAllocator"


def known_error(error: Exception, *, memory_hint: str) -> AscnetError:
    """What failed one video, as an error that a person can act on.

    Args:
        error: what was raised.
        memory_hint: what to do where there was too little memory.
    """
    if isinstance(error, AscnetError):
        return error
    memory = short_of_memory(error)
    if memory:
        return StorageError(f"{memory} was not enough for this video", hint=memory_hint)
    if isinstance(error, OSError):
        return VideoError(f"cannot be read: {error.strerror or error}", hint="check the file and its disk")
    return AscnetError(f"{type(error).__name__}: {error}", hint="please report this as a bug")


def is_gpu_error(error: Exception) -> bool:
    """Whether a graphics card was left in a state in which nothing more can be computed in this process."""
    return isinstance(error, RuntimeError) and ("CUDA error" in str(error) or "cuDNN" in str(error))


def short_of_memory(error: Exception) -> str:
    """Which memory there was too little of, in words; empty where it is another error."""
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY in str(error)):
        return "the memory"
    return "the device's memory" if type(error).__name__ == "OutOfMemoryError" else ""
