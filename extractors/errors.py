"""What can go wrong between a video file and its features; the tree starts in `weights.errors`."""

from weights.errors import AscnetError


class VideoError(AscnetError):
    """One video that cannot be read; a batch records it and goes on."""

    exit_code = 3


class FeatureError(AscnetError):
    """Feature files that are damaged, or made with another recipe than the one asked for."""

    exit_code = 5


class DeviceError(AscnetError):
    """A device that was asked for and is not there."""

    exit_code = 2


class OptionError(AscnetError):
    """A request that contradicts itself or names something unknown."""

    exit_code = 2
