"""A run's config.toml, read with as much suspicion as if a stranger had written it."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascnet_cli.config import fits
from ascnet_cli.errors import OptionError
from ascnet_cli.training.settings import TABLES, Settings, settings_of
from weights.documents import parse_toml

_DATA = "data"  # what a run was begun with beside settings: compared when it is resumed, never set
_BEGIN_AGAIN = "correct it, or begin a new run"


def read_settings(path: Path) -> Settings:
    """The settings in a run's config.toml.

    Raises:
        OptionError: it cannot be read, is no TOML, or has a name or value that no setting has; the message
            has the file and the line.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    except ValueError as error:
        raise OptionError(f"{path} is damaged: not UTF-8 text", hint=_BEGIN_AGAIN) from error
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise OptionError(f"{path} is damaged: {error}", hint=_BEGIN_AGAIN) from error
    for table, values in tables.items():
        if table != _DATA:
            _check_table(table, values, text, path)
    try:
        return settings_of(tables)
    except OptionError as error:
        raise OptionError(f"{path}: {error}", hint=error.hint or _BEGIN_AGAIN) from error


def _check_table(table: str, values: object, text: str, path: Path) -> None:
    """Hold that a table is one of ours, and its values are of the kinds of their settings.

    Raises:
        OptionError: naming the line of the first that is not.
    """
    if table not in TABLES or not isinstance(values, Mapping):
        line = _line_of(text, table, None)
        raise OptionError(f"{path}:{line}: no table of settings {table!r}", hint=_near(table, list(TABLES)))
    hints: dict[str, Any] = typing.get_type_hints(TABLES[table])
    for name, value in values.items():
        line = _line_of(text, table, name)
        if name not in hints:
            raise OptionError(f"{path}:{line}: no setting {table}.{name}", hint=_near(name, list(hints)))
        if not _suits(value, hints[name]):
            raise OptionError(f"{path}:{line}: {table}.{name} cannot be {value!r}"[:300], hint=_BEGIN_AGAIN)


def _suits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a field's annotation
    """Whether a value is of the kind that a field is annotated with; lists of numbers stand for tuples."""
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list) and all(fits(part, float) for part in value)
    return fits(value, hint)


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _line_of(text: str, table: str, name: str | None) -> int:
    """The line where a table begins, or a name in it is given a value; 1 where it cannot be told."""
    inside, begins = False, 1
    for number, line in enumerate(text.split("\n"), start=1):
        if re.match(rf'\s*\[\s*"?{re.escape(table)}"?\s*\]', line):
            inside, begins = True, number
        elif line.lstrip().startswith("["):
            inside = False
        elif inside and name is not None and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return number
    return begins
