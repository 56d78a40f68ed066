"""How files are damaged: bytes anywhere, and structure where a file's form is known.

Every function takes hypothesis's `draw` first, and bytes, and gives other bytes.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

# Values that a reader may not foresee, as JSON, CSV cells and TOML see them.
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -0.0, 0.5, 1e-320, 1e308, -1e308,
    float("nan"), float("inf"), "", " ", "nan", "inf", "1e400", "1_000", "0x10", "٣", "none", "\x00",
    "\ud800", "\u2028", "\x1c", "a\r\nb", '"', "=cmd()", "../../x", "x" * 5000, [], {}, [[]], [1, 2, 3],
    {"a": 1},
]  # fmt: skip
CELLS = ["", "0", "-1", "1e308", "1e999", "nan", "-inf", "1_0", "٣", "0x1", "9" * 400, '"', '""', "'", "\t",
    "\x00", "\x1c", "\u2028", "a" * 140_000, "=1+1", "\ufeff", "\r", "true", "[",
    "x = " + "[" * 3000, "{", "#"]  # fmt: skip
NUMBERS = ["", "0", "-1", "1.5", "1/0", "1e306", "1e30000000", "9" * 13, "9" * 400, "9" * 5000, "٣", "x"]
_DEEP = 3000  # brackets

Draw = Callable[[Any], Any]


def bytes_of(draw: Draw, data: bytes) -> bytes:
    """Some bytes flipped, zeroed, taken out, put in, doubled, or the end cut off."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.sampled_from([1, 2, 8, 64, 1000]))
        kind = draw(st.sampled_from(["flip", "set", "zero", "cut", "insert", "double", "truncate"]))
        if kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif kind == "set":
            data = data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at + 8 :]
        elif kind == "zero":
            data = data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]
        elif kind == "cut":
            data = data[:at] + data[at + length :]
        elif kind == "insert":
            data = data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]
        elif kind == "double":
            data = data[: at + length] + data[at:]
        elif kind == "truncate":
            data = data[:at]
    return data


def lines_of(draw: Draw, data: bytes) -> bytes:
    """Lines of text taken out, doubled, or with another cell in them."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["cell", "cell", "cell", "delete", "double", "add"]))
        if kind == "cell":
            sign = draw(st.sampled_from([",", " ", "="]))
            cells = lines[at].split(sign)
            cells[draw(st.integers(0, len(cells) - 1))] = CELLS[draw(st.integers(0, len(CELLS) - 1))]
            lines[at] = sign.join(cells)
        elif kind == "delete" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "add":
            lines.insert(at, CELLS[draw(st.integers(0, len(CELLS) - 1))])
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def digits_of(draw: Draw, data: bytes) -> bytes:
    """Numbers in any text replaced by those that a reader may not foresee."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(draw(st.integers(1, 2))):
        found = list(re.finditer(r"[0-9]+", text))
        if not found:
            break
        at = draw(st.sampled_from(found))
        text = text[: at.start()] + draw(st.sampled_from(NUMBERS)) + text[at.end() :]
    return text.encode("utf-8", "surrogateescape")


def json_of(draw: Draw, data: bytes) -> bytes:
    """A JSON document with values replaced, taken out or there twice, or far too deep."""
    if draw(st.integers(0, 20)) == 0:
        opening = draw(st.sampled_from([b"[", b'{"a":']))
        return opening * _DEEP
    document = tree_of(draw, json.loads(data))
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 10)) == 0 and text.startswith("{") and len(text) > 2:
        text = "{" + text[1:-1] + "," + text[1:-1] + "}"  # every key twice
    return text.encode("utf-8", "surrogatepass")


def tree_of(draw: Draw, document: Any) -> Any:
    """Nested lists and objects, some of their values replaced or taken out."""
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            return copy.deepcopy(NASTY[draw(st.integers(0, len(NASTY) - 1))])
        container, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["replace", "replace", "replace", "delete", "rename", "swap"]))
        if kind == "replace":
            container[key] = copy.deepcopy(NASTY[draw(st.integers(0, len(NASTY) - 1))])
        elif kind == "delete":
            del container[key]
        elif kind == "rename" and isinstance(container, dict):
            container[draw(st.sampled_from(["", "x", "\x00", "a/b", "Ünï"]))] = container.pop(key)
        elif kind == "swap":
            other, other_key = draw(st.sampled_from(places))
            if not _holds(container[key], other) and not _holds(other[other_key], container):
                container[key], other[other_key] = other[other_key], container[key]
    return document


def _places(document: Any) -> Any:
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    else:
        return
    for key, value in items:
        yield document, key
        yield from _places(value)


def _holds(value: Any, container: Any) -> bool:
    """Whether a container lies in a value: a swap would tie a knot."""
    return value is container or any(_holds(inner[key], container) for inner, key in _places(value))


def safetensors_of(draw: Draw, data: bytes) -> bytes:
    """The header of a safetensors file with another structure, or its length with another value."""
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length], data[8 + length :]
    if draw(st.integers(0, 5)) == 0:
        wrong = draw(st.sampled_from([0, 1, 2**30, 2**40, 2**63, 2**64 - 1, length + 8]))
        return wrong.to_bytes(8, "little") + header + rest
    header = json_of(draw, header)
    return len(header).to_bytes(8, "little") + header + rest
