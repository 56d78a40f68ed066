"""What results are called that a command line names, or does not name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ascnet_cli.errors import OptionError

_PREDICTIONS = "predictions.json"


def named_files(results: Sequence[str]) -> dict[str, Path]:
    """Names and files of `NAME=FILE`, or of files, which have as much of their paths for a name as it takes.

    Raises:
        OptionError: two have the same name, or a folder has no segments.
    """
    given: list[tuple[str, Path]] = []
    for text in results:
        name, equals, rest = text.partition("=")
        whole = not equals or Path(text).exists()
        given.append(("", Path(text)) if whole else (name, Path(rest)))
    unnamed = iter(_told_apart([_stem(path) for name, path in given if not name]))
    files: dict[str, Path] = {}
    for given_name, path in given:
        name = given_name or next(unnamed)
        if name in files:
            raise OptionError(f"two results are named {name!r}", hint="name them: before=FILE after=FILE")
        files[name] = path / _PREDICTIONS if path.is_dir() else path
        if path.is_dir() and not files[name].exists():
            raise OptionError(f"{path} has no {_PREDICTIONS}", hint="name a file of segments")
    return files


def _stem(path: Path) -> Path:
    """What a file is named by: a run's predictions by its folder."""
    if path.is_dir():
        return path.resolve()
    return path.parent.resolve() if path.name == _PREDICTIONS else path.resolve().with_suffix("")


def _told_apart(paths: Sequence[Path]) -> list[str]:
    """The last parts of paths, as many as make them different."""
    for n_parts in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = ["/".join(path.parts[-n_parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
