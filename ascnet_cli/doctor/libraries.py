"""Which libraries are installed, and whether they are of the versions that were tried together."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from ascnet_cli.doctor.findings import Finding

_SHOWN = ("torch", "torchvision", "av", "numpy", "opencv-contrib-python-headless")
# What `ascnet detect` imports; then what else needs a package, whose module may be called otherwise.
_NEEDED = ("torch", "av", "numpy", "safetensors", "jaxtyping", "rich")
_ELSEWHERE = {
    "torchvision": ("torchvision", "`ascnet weights convert` of RAFT and `--flow raft`"),
    "opencv-contrib-python-headless": ("cv2", "`ascnet extract`, `--video` and `--decoder decord`"),
    "numba": ("numba", "`ascnet extract --flow tvl1`"),
    "pebble": ("pebble", "`ascnet extract`"),
    "pillow": ("PIL", "`--video`"),
    "jinja2": ("jinja2", "`--report`, `ascnet report` and `train`"),
}
_OPTIONAL = ("decord", "openvino", "ray")  # decord has wheels for x86-64 Linux alone
_SHORT = {"opencv-contrib-python-headless": "opencv"}

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*(?P<range>[^;]*)(?:;.*)?")
_BOUND = re.compile(r"(?P<how>>=|<=|==|<|>)\s*(?P<version>[0-9.]+)")
_FIX = "`make demo`, or pip install . in a checkout, installs what was tried together"


def look_at_libraries() -> Finding:
    """Versions of Python, of ascnet, and of what computes and decodes for it."""
    versions: dict[str, str | None] = {"python": platform.python_version(), "ascnet": _version("ascnet")}
    versions |= {name: _version(name) for name in (*_NEEDED, *_ELSEWHERE, *_OPTIONAL)}
    ranges = {name: wanted for name, wanted in _ranges().items() if name in versions}
    facts: dict[str, object] = {"platform": platform.platform(), "versions": versions, "ranges": ranges}
    shown = [
        f"{_SHORT.get(name, name)} {found or '(not installed)'}"
        for name, found in versions.items()
        if name in ("python", *_SHOWN) or (name in _OPTIONAL and found)
    ]
    text = f"ascnet {versions['ascnet'] or '(not installed)'}: {', '.join(shown)}"
    # What counts is the module: files without a package's metadata work all the same.
    missing = [name for name in _NEEDED if not _is_here(name)]
    if missing:
        return Finding("libraries", "problem", text, f"{', '.join(missing)}: {_FIX}", 1, facts)
    lacking = [
        f"without {name}, {use} will not work"
        for name, (module, use) in _ELSEWHERE.items()
        if not _is_here(module)
    ]
    strange = [
        f"{name} {found} is not within {ranges[name]}"
        for name, found in versions.items()
        if found is not None and not is_within(found, ranges.get(name, ""))
    ]
    if strange or lacking:
        return Finding("libraries", "warning", text, f"{'; '.join([*lacking, *strange])}: {_FIX}", 0, facts)
    return Finding("libraries", "ok", text, facts=facts)


def is_within(found: str, wanted: str) -> bool:
    """Whether a version lies in a range such as ">=2.4,<2.5"; local parts and suffixes do not count.

    What says nothing that is understood here counts as within: this only ever warns.
    """
    have = _numbers(found)
    for bound in _BOUND.finditer(wanted):
        limit = _numbers(bound["version"])
        width = max(len(have), len(limit))
        a, b = (numbers + (0,) * (width - len(numbers)) for numbers in (have, limit))
        holds = {">=": a >= b, "<=": a <= b, "==": a == b, "<": a < b, ">": a > b}
        if not holds[bound["how"]]:
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in release[0].split(".")) if release else ()


def _ranges() -> dict[str, str]:
    """The versions that ascnet's own metadata asks for, extras included."""
    try:
        lines = requires("ascnet") or []
    except PackageNotFoundError:
        return {}
    found = [match for line in lines if (match := _REQUIREMENT.fullmatch(line))]
    return {match["name"]: match["range"].strip() for match in found}


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # half of it is there
        return False


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
