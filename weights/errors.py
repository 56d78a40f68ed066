"""The root of the error tree, and the errors that concern weights and the writing of files.

The tree starts here because `weights` is the lowest package; `extractors.errors` and
`ascnet_cli.errors` grow it. An error says what happened and to which file (`str(error)`), what the
person can do next (`hint`), and which exit code a command ends with (`exit_code`).
"""


class AscnetError(Exception):
    """An error that a person can act on.

    Attributes:
        exit_code: what the process ends with when this error ends a command.
        hint: one sentence on what to do next; empty where there is nothing to say.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class WeightsError(AscnetError):
    """Weights that are missing, damaged, of an unknown layout, or not the ones asked for."""

    exit_code = 5


class OutputError(AscnetError):
    """An output place that cannot be written to: known before any work is done."""

    exit_code = 2


class StorageError(AscnetError):
    """The disk or the memory ran out in the middle of the work."""

    exit_code = 6
