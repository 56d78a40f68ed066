"""Where `ascnet report` writes: held before any work, so that nothing that matters is written over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PAGES = (".html", ".htm")
FIGURES = (".svg", ".png")
# What a file has in its first bytes that an earlier run wrote. A page of `ascnet detect` has another mark.
_MARKS = {
    ".html": b'<meta name="generator" content="ascnet ',
    ".htm": b'<meta name="generator" content="ascnet ',
    ".svg": b'data-generator="ascnet"',
    ".png": b"Software\0ascnet",
}
_HEAD_BYTES = 4096


def check_target(path: Path, endings: tuple[str, ...], reads: Iterable[Path], *, force: bool) -> None:
    """Hold that a page or a figure may be written there.

    Args:
        path: the file.
        endings: those that it may have.
        reads: files that the run reads: never written over.
        force: replace what something else made.

    Raises:
        OptionError: another ending, or a file that the run reads.
        OutputError: the folder is missing or cannot be written to, or something else's file is there.
    """
    from ascnet_cli.errors import OptionError
    from ascnet_cli.outputs.files import not_ours
    from weights.atomic import check_writable

    if path.suffix.lower() not in endings:
        raise OptionError(f"{path}: the ending is not {' or '.join(endings)}", hint="change its ending")
    if any(path.exists() and read.exists() and path.samefile(read) for read in reads):
        raise OptionError(f"{path} is read by this run, and would be lost", hint="give another name")
    check_writable(path)
    if force or not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        if _MARKS[path.suffix.lower()] not in file.read(_HEAD_BYTES):
            raise not_ours(path)
