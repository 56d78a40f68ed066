"""The installed command in a process of its own, as a shell starts it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120.0
_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with our sources first, one thread, and no scheduler's variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}


def command(*arguments: str | Path) -> list[str]:
    """`ascnet ARGUMENTS` as a list."""
    return [sys.executable, "-m", "ascnet_cli", *map(str, arguments)]


def ascnet(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    file_limit: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `ascnet ARGUMENTS` to its end.

    Args:
        arguments: of the command.
        cwd: where; None: here.
        env: None: `environment()`.
        file_limit: bytes that no file may grow over: a disk that fills up. Python then keeps no bytecode: it
            would put a cut file in the place of a module's, which no later start could read.
    """

    def limited() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={
            **(env if env is not None else environment()),
            **(_NO_BYTECODE if file_limit is not None else {}),
        },
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=TIMEOUT_S,
        check=False,
        preexec_fn=limited,
    )


def python(program: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a few lines of Python with our sources to their end."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def started(
    *arguments: str | Path, cwd: Path | None = None, stdout: int | None = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start `ascnet ARGUMENTS`."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def files(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def said_well(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Hold that a command ended with a code, in words for a person, without a traceback."""
    assert done.returncode == code, f"{done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def shell(arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """A pipeline, for what a shell alone does: `ascnet ... | head -1`."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", arguments[0], "bash", *arguments[1:]],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
