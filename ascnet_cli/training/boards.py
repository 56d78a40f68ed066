"""The curves of a run for TensorBoard, through `torch.utils.tensorboard`; needs the extra `tensorboard`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ascnet_cli.errors import OptionError
from ascnet_cli.training.loop import Progress

FOLDER = "tensorboard"


class Board:
    """A `progress` for `loop.train`: writes the losses of each step, and each validation mAP.

    Nothing is written before the first step, and so by the first of several processes alone. A resumed run
    goes on in the same folder: TensorBoard then hides what an interrupted one had written beyond that step.

    Args:
        run: the run's folder; the curves go into its folder `tensorboard`.

    Raises:
        OptionError: tensorboard is not installed.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._open = _summary_writer()
        self._writer: Any = None

    def __call__(self, progress: Progress) -> None:
        """Writes what a step came to."""
        if self._writer is None:
            self._writer = self._open(log_dir=str(self._folder), purge_step=progress.step)
        for name, value in progress.losses.items():
            self._writer.add_scalar(f"loss/{name}", value, progress.step)
        if progress.validation_map is not None:
            self._writer.add_scalar("validation/map", progress.validation_map, progress.step)

    def close(self) -> None:
        """Writes out what is still in memory."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Board:
        """The board, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it, whatever ended the block."""
        self.close()


def _summary_writer() -> Callable[..., Any]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise OptionError(
            "curves for TensorBoard were asked for, and tensorboard is not installed",
            hint="install it: pip install 'ascnet[tensorboard]', or train without it",
        ) from error
    return SummaryWriter
