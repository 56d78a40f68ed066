"""Look at everything, one thing after the other; whatever breaks, the others are still looked at."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from ascnet_cli.doctor.codecs import look_at_codecs
from ascnet_cli.doctor.devices import look_at_device
from ascnet_cli.doctor.findings import Finding
from ascnet_cli.doctor.libraries import look_at_libraries
from ascnet_cli.doctor.places import NoFolderError, look_at_datasets, look_at_folder, look_at_memory
from ascnet_cli.doctor.stored import look_at_models, look_at_weights
from ascnet_cli.errors import AscnetError

_T = TypeVar("_T")

SELF_TEST = "self-test"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXIT_CODES = (1, 2, 5, 6)
# Without these there is nothing to test; what goes wrong with a look at the others is no matter of detect.
_NEEDED = ("libraries", "device", "codecs", "weights")
# A drawn video takes a second on a processor; a decoder that says nothing is given up after five minutes.
_LIMIT_S = 900.0


def examine(device: str = "auto") -> Iterator[Finding]:
    """Say what was found, as it is found; the self-test, which takes seconds, comes last.

    Args:
        device: as `--device` takes it.

    Yields:
        A finding for each thing that was looked at; nothing is raised but what ends a process.
    """
    looks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("libraries", look_at_libraries),
        ("folder", look_at_folder),
        ("memory", look_at_memory),
        ("device", lambda: look_at_device(device)),
        ("codecs", look_at_codecs),
        ("weights", look_at_weights),
        ("models", look_at_models),
        ("data sets", look_at_datasets),
    )
    broken: list[str] = []
    for check, look in looks:
        try:
            finding = _guarded(check, look)
        except NoFolderError as error:  # libraries would end this process, without a word of ours
            yield Finding(check, "problem", str(error), error.hint, error.exit_code)
            broken.append(check)
            break
        if finding.state == "problem" and check in _NEEDED:
            broken.append(check)
        elif finding.state == "problem":
            finding = Finding(check, "warning", finding.text, finding.hint, 0, finding.facts)
        yield finding
    if broken:
        what = " and ".join(broken)
        yield Finding(SELF_TEST, "warning", f"not run: see {what}", "mend that, and run this again")
        return
    yield _guarded(SELF_TEST, lambda: _self_test(device))


def _self_test(device: str) -> Finding:
    from ascnet_cli.doctor.selftest import TOLERANCE, NoPlaceError, self_test

    try:
        done = within(_LIMIT_S, lambda: self_test(device))
    except NoPlaceError as error:
        return Finding(SELF_TEST, "warning", f"not run: {error}", error.hint)
    except TimeoutError:
        return Finding(
            SELF_TEST,
            "problem",
            f"decoding, I3D or localization has not ended in {_LIMIT_S:g} s",
            "use another --device; on this one a program hangs, or it is far too slow",
            1,
        )
    text = (
        f"decoding, I3D and localization are right ({done.seconds:.1f} s; features differ from the stored"
        f" ones by {done.feature_error:.1g}, {TOLERANCE:g} is allowed)"
    )
    facts: dict[str, object] = {
        "seconds": round(done.seconds, 3),
        "picture_error_levels": done.picture_error,
        "feature_error": done.feature_error,
        "feature_tolerance": TOLERANCE,
        "segment_error_s": done.segment_error_s,
    }
    return Finding(SELF_TEST, "ok", text, facts=facts)


def within(limit_s: float, do: Callable[[], _T]) -> _T:
    """What a call gives, or raises, unless it takes too long: then it is left behind.

    Args:
        limit_s: seconds.
        do: what may hang in a native library, where no signal ends it.

    Raises:
        TimeoutError: it took longer.
    """
    done: Future[_T] = Future()

    def run() -> None:
        try:
            done.set_result(do())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="self-test", daemon=True).start()
    return done.result(limit_s)


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """A finding, also where the look itself fails: a broken installation fails anywhere.

    Raises:
        NoFolderError: there is no current folder.
    """
    try:
        return look()
    except NoFolderError:
        raise
    except AscnetError as error:
        code = error.exit_code if error.exit_code in _EXIT_CODES else 1
        return Finding(check, "problem", str(error), error.hint or "install ascnet again", code)
    except MemoryError:
        return Finding(check, "problem", "the memory was not enough", "close other programs", 6)
    except PermissionError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Finding(check, "problem", said, "check its permissions and those of the folders above it", 2)
    except OSError as error:
        if error.errno in _NO_ROOM:
            return Finding(check, "problem", f"the disk is full: {error}", "free some space", 6)
        return _broken(check, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the person is to see it beside the rest
        return _broken(check, error)


def _broken(check: str, error: Exception) -> Finding:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Finding(
        check, "problem", said, "install ascnet again; if that does not help, report these lines", 1
    )
