"""What others publish, made readable: W-TALC's arrays converted, and the time grid of features recorded."""

from __future__ import annotations

from pathlib import Path

from ascnet_cli.datasets import wtalc
from ascnet_cli.datasets.features import layout_of, write_grid
from ascnet_cli.errors import FeatureError, OptionError, PredictionsError
from extractors.snippets import TimeGrid
from weights.atomic import write_error


def prepare(folder: Path, out: Path, grid: TimeGrid | None) -> list[tuple[Path, str]]:
    """Convert or record what is in a folder.

    Args:
        folder: with W-TALC's arrays, or with published features.
        out: where converted files go; published features are recorded where they are.
        grid: where rows of features lie in time; None where there are only annotations.

    Returns:
        What was written, and what it is.

    Raises:
        PredictionsError: there is nothing to prepare, or it is damaged.
        OptionError: features, and nobody said when they are; or features to be recorded elsewhere.
        OutputError: the files cannot be written.
    """
    if not folder.is_dir():
        raise PredictionsError(f"{folder} is not a folder", hint="give the folder with what was published")
    array = wtalc.find_feature_array(folder)
    if not wtalc.has_annotations(folder) and array is None:
        return [_record(folder, out, grid)]
    if array is not None and grid is None:
        raise _unknown_grid(array)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, out) from error
    done: list[tuple[Path, str]] = []
    if wtalc.has_annotations(folder):
        done.append((wtalc.convert_annotations(folder, out), "annotations"))
    if array is not None and grid is not None:
        n_videos = wtalc.convert_features(array, folder, out / "features", grid)
        done.append((out / "features", f"features of {n_videos} videos"))
    return done


def _record(folder: Path, out: Path, grid: TimeGrid | None) -> tuple[Path, str]:
    """Write down when published features are."""
    try:
        layout = layout_of(folder)
    except FeatureError as error:
        raise PredictionsError(
            f"{folder} has neither W-TALC's arrays nor features", hint="give the folder that was published"
        ) from error
    if layout == "ascnet":
        raise PredictionsError(f"{folder}: ascnet's own features need nothing", hint="use them as they are")
    if grid is None:
        raise _unknown_grid(folder)
    if out.resolve() != folder.resolve():
        raise OptionError(
            f"the features in {folder} are recorded where they are",
            hint="leave --out away, or copy them first",
        )
    return write_grid(folder, grid), f"time grid of features in the layout {layout}"


def _unknown_grid(what: Path) -> OptionError:
    return OptionError(
        f"{what}: nothing says when these features are",
        hint="say how they were made, e.g. --fps 25 --stride 16",
    )
