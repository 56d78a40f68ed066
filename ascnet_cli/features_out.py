"""The folder that `ascnet detect` keeps features in: held to be free of everything else before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ascnet_cli.errors import OptionError
from ascnet_cli.inputs import FEATURE_ENDING, VideoInput
from ascnet_cli.targets import Plan
from extractors.batch.folder import check_folder
from extractors.batch.jobs import Video
from extractors.batch.plan import items_of


def check_features_out(folder: Path, videos: Sequence[VideoInput], plan: Plan) -> None:
    """Hold that features can be kept, would replace no file of this run, and none of it features.

    Nothing is written, and the folder is not made yet.

    Args:
        folder: that features are kept in.
        videos: of the run; those whose kept features are given have none made.
        plan: every other file of the run.

    Raises:
        OptionError: two files would be one, or an input would be replaced; both are named.
        OutputError: something else stands there, or nothing may be written.
        StorageError: the disk is full.
    """
    check_folder(folder)
    made = [Video(video.name, video.path) for video in videos if video.path.suffix != FEATURE_ENDING]
    kept = {
        os.path.realpath(file).casefold(): (file, item.video)
        for item in items_of(made, folder, "ascnet")
        for file in (*item.place.data, item.place.sidecar)
    }
    for text in plan.texts:
        met = kept.get(os.path.realpath(text.path).casefold())
        if met is not None:
            raise OptionError(
                f"{text.path} would replace the features of {met[1].name} in {met[0]}",
                hint="give the segments another name, or the features another folder with --features-out",
            )
