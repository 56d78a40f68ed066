"""The command line: commands, and how an error becomes one line and an exit code.

Only typer is imported here, and its help is plain text: rich would double the time that `--help` takes.
What a command needs (torch takes seconds) is imported when it runs.
"""

from __future__ import annotations

import errno
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from ascnet_cli.cli import (
    ablate,
    datasets,
    detect,
    doctor,
    evaluate,
    extract,
    render,
    report,
    train,
    weights,
)
from ascnet_cli.cli.signals import Terminated
from ascnet_cli.cli.text import keep_working_without_a_log, say, tolerate_any_character
from extractors.mishaps import short_of_memory
from weights.errors import AscnetError, OutputError

app = typer.Typer(
    name="ascnet",
    help="Find when actions happen in long, untrimmed videos: a video file in, a list of segments out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("detect")(detect.detect)
app.command("render")(render.render)
app.command("extract")(extract.extract)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("ablate")(ablate.ablate)
app.command("doctor")(doctor.doctor)
app.add_typer(datasets.app, name="datasets")
app.add_typer(weights.app, name="weights")

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _version(wanted: bool | None) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ascnet {version('ascnet')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop."),
    ] = None,
) -> None:
    """Find when actions happen in long, untrimmed videos: a video file in, a list of segments out."""
    del version


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> NoReturn:
    """The entry point `ascnet`; always ends the process, with the exit codes of `ascnet_cli.errors`."""
    tolerate_any_character()
    keep_working_without_a_log()
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run())


def _run() -> int:
    """Run the command; its exit code. What a person can act on is said in one line and a hint."""
    try:
        # Without its "standalone mode" typer returns the code of an Exit, and 130 after Ctrl-C.
        code = app(prog_name="ascnet", standalone_mode=False)
    except AscnetError as error:
        return _say_error(str(error), error.hint, error.exit_code)
    except TyperException as error:
        return _say_usage(error)
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143
    except MemoryError:
        return _say_error("out of memory", "close other programs, or use a machine with more of it", 6)
    except RuntimeError as error:
        if not short_of_memory(error):
            return _say_bug()
        return _say_error("out of memory", "ask for less, or use a machine with more of it", 6)
    except PermissionError as error:
        # A look at any path fails where a folder above it is closed to who asks: no bug, and theirs to mend.
        if error.filename is None:
            return _say_bug()
        hint = "check its permissions and those of the folders above it, or choose another place"
        return _say_error(f"{error.filename}: {error.strerror}", hint, OutputError.exit_code)
    except OSError as error:
        if error.errno not in _DISK_FULL:
            return _say_bug()
        return _say_error(f"the disk is full: {error}", "make room, then run the same command again", 6)
    except Exception:  # noqa: BLE001 - whatever it is, the person learns that it is not their fault
        return _say_bug()
    except SystemExit:
        return 0  # typer's answer to a reader that has gone (`| head`): nobody is there to be told
    return code if isinstance(code, int) else 0


def _say_usage(error: TyperException) -> int:
    """A wrong command line; the help itself where nothing was asked for."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None:
        return _say_error(message, "`ascnet --help` shows what there is", error.exit_code)
    if message == context.get_help():
        typer.echo(message, err=True)
        return error.exit_code
    return _say_error(message, f"`{context.command_path} --help` shows what there is", error.exit_code)


def _say_bug() -> int:
    import traceback

    for line in traceback.format_exc().splitlines():
        say(line)
    return _say_error("this is a bug in ascnet", "please report it with the lines above", 1)


def _say_error(message: str, hint: str, exit_code: int) -> int:
    say(f"error: {message}")
    if hint:
        say(f"hint: {hint}")
    return exit_code
