"""What the documents claim: commands to type, commands in passing, and tests by name."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = ("ascnet", "make", "torchrun", "python", "python3", "pip", "find", ".")
_CONSOLE = ("", "sh", "bash", "console", "shell")
_TEST_ID = re.compile(r"\btests/[\w/]+\.py::\w+")


def documents() -> list[Path]:
    """Every text for people, tracked or not yet."""
    folders = (ROOT, ROOT / "examples", ROOT / "weights", ROOT / "tests" / "faults")
    return sorted(path for folder in folders for path in folder.glob("*.md"))


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The language and the lines of each block of code, fenced or indented (the latter has no language)."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            yield lines[at][3:].strip(), lines[at + 1 : end]
            at = end + 1
        elif lines[at].startswith("    "):
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            yield "", [line[4:] for line in lines[at:end]]
            at = end
        else:
            at += 1


def console_commands(path: Path) -> list[str]:
    """Lines that a person is shown to type, continuations joined, comments left out."""
    found: list[str] = []
    for language, lines in blocks(path.read_text("utf-8")):
        if language not in _CONSOLE:
            continue
        for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
            typed = line.removeprefix("$ ")
            if typed.split(maxsplit=1)[:1] and typed.split(maxsplit=1)[0] in _PROGRAMS:
                found.append(" | ".join(map(shlex.join, pipeline(typed))))
    return list(dict.fromkeys(found))


def pipeline(line: str) -> list[list[str]]:
    """The words of each program of a line such as `a b | c "d e"  # why`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def mentioned_commands(path: Path) -> list[list[str]]:
    """The words of every `ascnet ...`, in a block or in passing."""
    text = path.read_text("utf-8")
    typed = [part for line in console_commands(path) for part in pipeline(line)]
    passing = [" ".join(code.split()) for code in re.findall(r"`(ascnet [^`]+)`", text)]
    return [words for words in (*typed, *(code.split() for code in passing)) if words[0] == "ascnet"]


def python_blocks(path: Path) -> list[str]:
    """Programs that are shown."""
    return ["\n".join(lines) for language, lines in blocks(path.read_text("utf-8")) if language == "python"]


def named_tests(path: Path) -> list[str]:
    """Tests that a text names."""
    return _TEST_ID.findall(path.read_text("utf-8"))


def is_test(name: str) -> bool:
    """Whether there is such a test: tests/x/test_y.py::test_z."""
    file, _, function = name.partition("::")
    return (ROOT / file).is_file() and function in _functions(ROOT / file)


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
