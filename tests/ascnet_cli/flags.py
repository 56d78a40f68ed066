"""`python -m tests.ascnet_cli.flags`: write down every command and flag, once a new one is decided on.

Call it when a new one has been decided on. It renews `flags.txt` beside this file, which a test compares with
the program, and the table in the README.
`--check` changes nothing and says what would change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ascnet_cli.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
FROZEN = Path(__file__).with_name("flags.txt")
README = ROOT / "README.md"
RENEW = "python -m tests.ascnet_cli.flags"
_BEGIN, _END = "<!-- flags: begin -->\n", "<!-- flags: end -->\n"


def commands() -> dict[str, list[Any]]:
    """Every command with its arguments and options, such as "weights list"."""
    import typer

    return dict(_walk(typer.main.get_command(app), ()))


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
    below = getattr(command, "commands", None)
    if below is None or not path:
        yield " ".join(path), list(command.params)
    for name, inner in (below or {}).items():
        yield from _walk(inner, (*path, name))


def flags(parameters: list[Any]) -> list[str]:
    """The options among parameters, each in its longest spelling."""
    return [_longest(one) for one in parameters if one.param_type_name == "option"]


def _longest(parameter: Any) -> str:
    return str(max((*parameter.opts, *parameter.secondary_opts), key=len))


def frozen() -> str:
    """A line a command, argument and flag: what scripts rely on."""
    lines = []
    for name, parameters in commands().items():
        lines.append(f"ascnet {name}".strip())
        for one in parameters:
            if one.param_type_name == "argument":
                lines.append(f"    {one.metavar}{' (required)' if one.required else ''}")
                continue
            spelt = " ".join((*one.opts, *one.secondary_opts))
            value = "" if one.is_flag else f" {one.metavar or 'VALUE'}"
            known = {"required": one.required, "repeatable": one.multiple}
            notes = ", ".join(note for note, holds in known.items() if holds)
            lines.append(f"    {spelt}{value}" + (f" ({notes})" if notes else ""))
    return "\n".join(lines) + "\n"


def table() -> str:
    """The README's table: a row a command, with what it takes."""
    rows = ["| command | takes |", "|---|---|"]
    for name, parameters in commands().items():
        arguments = [one.metavar for one in parameters if one.param_type_name == "argument"]
        called = " ".join(filter(None, ["ascnet", name, *arguments]))
        takes = " ".join(f"`{flag}`" for flag in flags(parameters))
        called = called.replace("|", "\\|")  # a bar would begin the next column
        rows.append(f"| `{called}` | {takes} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    """The README with the table renewed."""
    head, _, rest = readme.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n{table()}\n{_END}{tail}"


def main(arguments: list[str]) -> int:
    wanted = {FROZEN: frozen(), README: with_table(README.read_text("utf-8"))}
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in changed:
        if "--check" not in arguments:
            path.write_text(wanted[path], "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'differs' if '--check' in arguments else 'renewed'}\n")
    return int(bool(changed) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
