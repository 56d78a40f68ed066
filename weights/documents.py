"""JSON and TOML from disk: whatever is wrong with them is a ValueError, and nothing else."""

from __future__ import annotations

import json
import tomllib
from typing import Any, NoReturn

MAX_TOML_CHARACTERS = 2**20  # a thousand times our longest configuration; TOML is read slowly


def parse_json(data: bytes | str) -> Any:  # noqa: ANN401 - whatever the document holds
    """Read a JSON document strictly: no NaN or infinity, which JSON does not have.

    Raises:
        ValueError: it is no JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Read a TOML document.

    Raises:
        ValueError: it is no TOML, too long, or nested too deeply to be read; the message has the line.
    """
    if len(text) > MAX_TOML_CHARACTERS:
        raise ValueError(f"larger than {MAX_TOML_CHARACTERS >> 20} MiB, which no configuration is")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
