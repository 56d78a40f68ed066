"""`ascnet doctor`: whether `ascnet detect` will work here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ascnet_cli.doctor.findings import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
_MARK, _NAME = 9, 11  # columns


def doctor(
    device: Annotated[
        str, typer.Option(metavar="NAME", help="The device to look at: auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, not a screen.")
    ] = False,
) -> None:
    """Look at libraries, device, codecs, weights, disk and memory, and test the whole chain in seconds.

    Exit codes, for `ascnet detect` with its default model and options: 0 it will work; 2 the device or the
    current folder is not there; 5 the model's weights are missing or damaged; 6 memory; 1 anything else.
    Warnings are 0: they say which other use will not work.
    """
    from ascnet_cli.cli.text import write_stdout
    from ascnet_cli.doctor.examine import examine
    from ascnet_cli.doctor.findings import exit_code_of

    found: list[Finding] = []
    if json_output:
        import json

        found.extend(examine(device))
        code = exit_code_of(found)
        checks = [finding.as_dict() for finding in found]
        write_stdout(json.dumps({"works": code == 0, "exit_code": code, "checks": checks}) + "\n")
    else:
        from ascnet_cli.cli.console import results

        console = results()
        for finding in examine(device):
            found.append(finding)
            _show(finding, console)
        code = exit_code_of(found)
        console.print(_verdict(found, code), soft_wrap=True)
    raise typer.Exit(code)


def _verdict(found: list[Finding], code: int) -> str:
    from ascnet_cli.cli.text import counted

    warnings = sum(finding.state == "warning" for finding in found)
    problems = sum(finding.state == "problem" for finding in found)
    parts = [counted(problems, "problem")] if problems else []
    parts += [counted(warnings, "warning")] if warnings else []
    counts = f" ({', '.join(parts)})" if parts else ""
    return f"`ascnet detect` will {'work' if code == 0 else 'not work'} here{counts}"


def _show(finding: Finding, console: Console) -> None:
    from ascnet_cli.cli.console import printable

    mark = f"[{_COLOURS[finding.state]}]{finding.state:<{_MARK}}[/]"
    head = f"{mark}{printable(f'{finding.check:<{_NAME}}')}"
    lines = [*_wrapped(finding.text, console.width)]
    if finding.hint:
        lines += _wrapped(f"fix: {finding.hint}", console.width)
    for number, line in enumerate(lines):
        console.print(f"{head if number == 0 else ' ' * (_MARK + _NAME)}{printable(line)}", soft_wrap=True)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Lines that stand beside the names."""
    import textwrap

    from ascnet_cli.cli.text import one_line

    room = max(width - _MARK - _NAME, 20)
    yield from textwrap.wrap(one_line(text), room, break_long_words=False, break_on_hyphens=False)
