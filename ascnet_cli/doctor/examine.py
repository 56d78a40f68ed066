"""Look at everything, one thing after the other; whatever breaks, the others are still looked at."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from ascnet_cli.doctor.codecs import look_at_codecs
from ascnet_cli.doctor.devices import look_at_device
from ascnet_cli.doctor.findings import Finding
from ascnet_cli.doctor.libraries import look_at_libraries
from ascnet_cli.doctor.places import look_at_datasets, look_at_folder, look_at_memory
from ascnet_cli.doctor.stored import look_at_models, look_at_weights
from ascnet_cli.errors import AscnetError

SELF_TEST = "self-test"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXIT_CODES = (1, 2, 5, 6)
# Without these there is nothing to test.
_NEEDED = ("libraries", "device", "codecs", "weights")


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
        finding = _guarded(check, look)
        if finding.state == "problem" and check in _NEEDED:
            broken.append(check)
        yield finding
    if broken:
        what = " and ".join(broken)
        yield Finding(SELF_TEST, "warning", f"not run: see {what}", "mend that, and run this again")
        return
    yield _guarded(SELF_TEST, lambda: _self_test(device))


def _self_test(device: str) -> Finding:
    from ascnet_cli.doctor.selftest import TOLERANCE, self_test

    done = self_test(device)
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


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """A finding, also where the look itself fails: a broken installation fails anywhere."""
    try:
        return look()
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
