"""A run's folder: what was asked for, where it ran, and what happened.

config.toml         every setting, resolved; what a resumed run is compared with
environment.json    versions and machine of the last start
events.jsonl        a JSON object a line: `start`, `note`, `step`, `validation`, `stop`
checkpoints/        what the run is taken up again from
best.safetensors    the checkpoint that was chosen
MODEL_CARD.md       what that is and how it came about, for people
predictions.json    the segments that it finds in the test videos
test.json           how good these are: the object of `ascnet evaluate --json`
report.html         all of it in pictures; made from the others
.lock               held by the process that trains here, whoever that is
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ascnet_cli.errors import CheckpointError, OptionError, OutputError
from ascnet_cli.outputs.text import utf8
from weights.atomic import replacing, write_error
from weights.documents import parse_json, parse_toml

Scalar = str | int | float | bool | list[float] | None
Tables = Mapping[str, Mapping[str, Scalar]]

TEMPORARY = ".ascnet-*.tmp"  # as `weights.atomic` names a file before it is whole


class RunFolder:
    """The files of one run.

    Args:
        path: the folder; made where it is missing.

    Raises:
        OutputError: it cannot be made.
        StorageError: the disk is full.
    """

    BEST = "best.safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.best = path / self.BEST
        self.card = path / "MODEL_CARD.md"
        self.test = path / "test.json"
        self._config = path / "config.toml"
        self._events = path / "events.jsonl"
        self._environment = path / "environment.json"
        self._lock: int | None = None
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, self.checkpoints) from error

    @property
    def begun(self) -> bool:
        """Whether a run is there, at whatever step."""
        return self._config.exists()

    def hold(self) -> None:
        """Keeps other processes from training in this folder, until `release` or the end of this one.

        On a shared disk that knows no locks it holds nothing back.

        Raises:
            OutputError: another process holds it, or it cannot be written to.
            StorageError: the disk is full.
        """
        path = self.path / ".lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_error(error, path) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(lock)
                raise OutputError(
                    f"another process is training in {self.path}",
                    hint="wait for it, stop it, or choose another folder with --out",
                ) from error
        self._lock = lock

    def release(self) -> None:
        """Lets other processes train here again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def begin(self, tables: Tables) -> None:
        """Writes the settings of a new run.

        Raises:
            OutputError: a run is there already.
        """
        if self.begun:
            raise OutputError(
                f"{self.path} holds a run already",
                hint="go on with --resume, or choose another folder with --out",
            )
        with replacing(self._config) as file:
            file.write(utf8(toml_text(tables)).encode())

    def resume(self, tables: Tables, step: int) -> None:
        """Holds that the settings are those of the run, and forgets events after a step.

        Raises:
            CheckpointError: the settings of the run cannot be read.
            OptionError: naming each setting that differs.
        """
        found = differences(self.settings(), tables, "then", "now")
        if found:
            raise OptionError(
                f"{self.path} was begun with other settings: {'; '.join(found)}",
                hint="resume with the settings of its config.toml, or choose another folder",
            )
        steps = [(event, event.get("step")) for event in self.events()]
        kept = [event for event, at in steps if isinstance(at, int) and at <= step]
        with replacing(self._events) as file:
            file.writelines(_line(event) for event in kept)

    def settings(self) -> dict[str, dict[str, Scalar]]:
        """The settings that the run was begun with, by table.

        Raises:
            CheckpointError: they cannot be read.
        """
        try:
            return parse_toml(self._config.read_text("utf-8"))
        except OSError as error:
            raise CheckpointError(
                f"{self._config} cannot be read: {error.strerror}",
                hint="begin a new run",
            ) from error
        except ValueError as error:
            raise CheckpointError(f"{self._config} is damaged: {error}", hint="begin a new run") from error

    def sweep(self) -> None:
        """Removes what a killed run left half written: it would never be looked at again."""
        for folder in (self.path, self.checkpoints):
            for file in folder.glob(TEMPORARY):
                with suppress(OSError):  # clutter is no reason to stop a training
                    file.unlink()

    def environment(self) -> dict[str, object]:
        """Where the run computed last; empty where that is not known."""
        try:
            content = parse_json(self._environment.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def note_environment(self, content: Mapping[str, object]) -> None:
        """Writes where the run computes.

        Raises:
            OutputError: it cannot be written.
            StorageError: the disk is full.
        """
        with replacing(self._environment) as file:
            file.write(json.dumps(content, indent=2, sort_keys=True).encode() + b"\n")

    def event(self, kind: str, **content: object) -> None:
        """Adds a line to the record.

        Raises:
            OutputError: it cannot be written.
            StorageError: the disk is full.
        """
        try:
            with self._events.open("ab") as file:
                file.write(_line({"event": kind, "time": datetime.now(UTC).isoformat(), **content}))
        except OSError as error:
            raise write_error(error, self._events) from error

    def events(self) -> list[dict[str, object]]:
        """The record, without a last line that a kill cut short."""
        if not self._events.exists():
            return []
        events = []
        for line in self._events.read_bytes().splitlines():
            try:
                event = parse_json(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                events.append(event)
        return events


def toml_text(tables: Tables) -> str:
    """Tables of settings as TOML, which has no word for None: such a setting is left out."""
    lines = []
    for table, values in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {_toml_value(value)}" for name, value in values.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: Scalar) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value, allow_nan=False)


def differences(
    wanted: Mapping[str, Mapping[str, object]],
    found: Mapping[str, Mapping[str, object]],
    where_wanted: str,
    where_found: str,
) -> list[str]:
    """Each setting in which two tables differ, in words; None and a setting that is not there are one."""
    before, now = _flat(wanted), _flat(found)
    return [
        f"{name}: {before.get(name, 'not set')} {where_wanted}, {now.get(name, 'not set')} {where_found}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _flat(tables: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    return {
        f"{table}.{name}": value
        for table, values in tables.items()
        for name, value in values.items()
        if value is not None
    }


def _line(event: Mapping[str, object]) -> bytes:
    # A loss that is no number any more is recorded as null: JSON has no NaN.
    finite = {k: None if isinstance(v, float) and not abs(v) < float("inf") else v for k, v in event.items()}
    return utf8(json.dumps(finite, ensure_ascii=False, allow_nan=False)).encode() + b"\n"
