"""The error tree as commands see it: one place to import from, one exit code each.

Exit codes: 0 all done; 1 a bug in ascnet; 2 usage or configuration; 3 some inputs failed, the rest
done; 4 no input succeeded; 5 weights or data missing, damaged or of the wrong recipe; 6 disk or
memory; 130 Ctrl-C; 143 SIGTERM.
"""

from extractors.errors import DeviceError, FeatureError, OptionError, VideoError
from weights.errors import AscnetError, OutputError, StorageError, WeightsError

__all__ = [
    "AscnetError",
    "CheckpointError",
    "DeviceError",
    "FeatureError",
    "OptionError",
    "OutputError",
    "PredictionsError",
    "StorageError",
    "TrainingError",
    "VideoError",
    "WeightsError",
]


class CheckpointError(WeightsError):
    """A model checkpoint that is missing, damaged, or does not fit what it is used with."""


class PredictionsError(AscnetError):
    """A file of segments or annotations that does not say what it must say."""

    exit_code = 5


class TrainingError(AscnetError):
    """A training that cannot go on: nothing to learn from, or a loss that is no number any more."""

    exit_code = 4
