"""Take out one guard after the other, and hold that its row's test fails: `python -m tests.faults.breaks`.

A test that has never failed proves little. For every break of `a.toml` to `d.toml` the sources are copied,
the guard is taken out of the copy, and the tests that the break names run there in a process of their own.
Each must fail, and by an assertion: an error while a test is collected or set up, or the limit of this
program, counts as not seen. The same tests must pass in a copy that is whole. The working tree is left alone.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.breaks.table import ROOT, Break, breaks

PACKAGES = ("weights", "extractors", "ascnet_cli")
COPIED = (*PACKAGES, "tests", "examples", "pyproject.toml", "README.md")
LIMIT_S = 240.0  # of one break's tests
HANG_S = 90  # of one test that says nothing of it: what only hangs is ended by pytest, and said to have hung


@dataclass(frozen=True)
class Ran:
    """What pytest made of some nodes.

    Attributes:
        code: of its process; None: it was ended by the limit here.
        failed: how each test that failed in its own lines ended, by node.
        other: nodes that were skipped, or failed before or after the test itself.
        passed: nodes that passed.
        text: what it printed.
    """

    code: int | None
    failed: dict[str, str]
    other: dict[str, str]
    passed: frozenset[str]
    text: str


@dataclass(frozen=True)
class Outcome:
    """What came of one break: why it was not seen, if it was not, and after how long."""

    what: Break
    why_not: str
    seconds: float


def copy_sources(to: Path) -> None:
    """Copy what git tracks, or would if it were added, of the packages and the tests."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *COPIED]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in sorted(set(filter(None, listed.split("\0")))):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())


def linked(tree: Path, to: Path) -> Path:
    """Another tree of the same files: links, so that a hundred of them take no room."""
    for folder, _, names in os.walk(tree):
        place = to / Path(folder).relative_to(tree)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(Path(folder) / name, place / name)
    return to


def environment(tree: Path) -> dict[str, str]:
    """One thread, and this tree's sources before all others.

    No bytecode is written: it would be taken for that of the whole file, where a broken one has its size and
    second.
    """
    ours = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **ours}


def check_imports(tree: Path) -> None:
    """Hold that it is the copy that a process imports.

    Raises:
        RuntimeError: it is not.
    """
    program = "import {0}; print(*(m.__file__ for m in ({0})), sep='\\n')".format(", ".join(PACKAGES))
    asked = [sys.executable, "-c", program]
    ran = subprocess.run(asked, cwd=tree, env=environment(tree), capture_output=True, text=True, check=True)
    for line in ran.stdout.splitlines():
        if not Path(line).is_relative_to(tree):
            raise RuntimeError(f"{line} was imported in place of the copy in {tree}")


def run_tests(tree: Path, nodes: Sequence[str], limit_s: float) -> Ran:
    """Run nodes in a tree.

    Args:
        tree: a copy of the sources.
        nodes: as pytest names them.
        limit_s: seconds after which all that was started is killed.
    """
    report = tree / "report.xml"
    options = ("-q", "-m", "", "-p", "no:cacheprovider", f"--timeout={HANG_S}", f"--junitxml={report}")
    base = tree.with_name(f"{tree.name}-tmp")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, f"--basetemp={base}", *nodes],
        cwd=tree,
        env=environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    code: int | None
    try:
        text, _ = process.communicate(timeout=limit_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        code = None
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
    return read_report(report, code, text)


def read_report(report: Path, code: int | None, text: str) -> Ran:
    """What a report of pytest's says, by node."""
    failed: dict[str, str] = {}
    other: dict[str, str] = {}
    passed: set[str] = set()
    cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
    for case in cases:
        node = f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}"
        ends = {child.tag: child.get("message") or "" for child in case}
        if "error" in ends or "skipped" in ends:
            other[node] = ends.get("error") or ends.get("skipped", "")
        elif "failure" in ends:
            failed[node] = ends["failure"]
        else:
            passed.add(node)
    return Ran(code, failed, other, frozenset(passed), text)


def cases_of(node: str, found: Iterable[str]) -> list[str]:
    """The cases that a node without brackets stands for, or the one that it names."""
    return [case for case in found if case == node or case.startswith(f"{node}[")]


def why_not_seen(what: Break, ran: Ran) -> str:
    """Why a break was not seen by the tests that it names; empty where each of them saw it."""
    last = " ".join(ran.text.splitlines()[-1:])
    if ran.code is None:
        return f"ended by this program after {LIMIT_S:g} s: {last}"
    for node, message in ran.other.items():
        return f"{node} did not come to its end: {first_line(message)}"
    if ran.code != 1 and not (ran.code == 0 and ran.passed):
        return f"pytest ended with {ran.code}: {last}"
    for node in what.tests:
        cases = cases_of(node, ran.failed)
        if not cases:
            return f"GREEN: {node}"
        if not any(what.seen_in(ran.failed[case]) for case in cases):
            return f"{node} ended otherwise: {first_line(ran.failed[cases[0]])}"
    return ""


def first_line(message: str) -> str:
    return message.strip().partition("\n")[0][:160]


def try_break(what: Break, number: int, whole: Path, work: Path) -> Outcome:
    """Run a break's tests in a tree of its own from which the guard is gone."""
    started = time.monotonic()
    tree = linked(whole, work / f"break-{number}")
    what.apply(tree)
    ran = run_tests(tree, what.tests, LIMIT_S)
    return Outcome(what, why_not_seen(what, ran), time.monotonic() - started)


def fail_unbroken(asked: Sequence[Break], whole: Path, work: Path) -> list[str]:
    """Nodes that do not pass where nothing is broken, each with why."""
    nodes = sorted({node for one in asked for node in one.tests})
    tree = linked(whole, work / "unbroken")
    ran = run_tests(tree, nodes, LIMIT_S * len(nodes))
    bad = {**ran.failed, **ran.other}
    missing = {
        node: f"did not run: pytest ended with {ran.code}"
        for node in nodes
        if not cases_of(node, ran.passed) and not cases_of(node, bad)
    }
    return [f"{node}: {first_line(message)}" for node, message in {**bad, **missing}.items()]


def main() -> int:
    """Try the breaks that were asked for.

    Returns:
        1 where one was not seen, or a test does not pass without it.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults.breaks", description="Break, and see red.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="such as A05; A: all of A; none: all rows")
    parser.add_argument("--jobs", type=int, default=1, help="breaks at a time (1)")
    options = parser.parse_args()
    asked = [one for one in breaks() if not options.rows or one.row.startswith(tuple(options.rows))]
    unknown = [row for row in options.rows if not re.fullmatch("[A-D][0-9]{0,2}", row)]
    if unknown or not asked:
        parser.error(f"no break of {' '.join(unknown or options.rows)}")
    started = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ascnet-breaks-") as name:
        work = Path(name).resolve()
        whole = work / "whole"
        copy_sources(whole)
        check_imports(whole)
        unbroken = fail_unbroken(asked, whole, work)
        say(f"unbroken: {len(unbroken)} do not pass; {time.monotonic() - started:.0f} s")
        with ThreadPoolExecutor(options.jobs) as pool:
            numbered = enumerate(asked)
            for outcome in pool.map(lambda one: try_break(one[1], one[0], whole, work), numbered):
                outcomes.append(outcome)
                state = "NOT SEEN" if outcome.why_not else "red"
                say(f"{outcome.what.row}  {state:8}  {outcome.seconds:4.0f} s  {outcome.what.what}")
    missed = [outcome for outcome in outcomes if outcome.why_not]
    rows = len({outcome.what.row for outcome in outcomes})
    seconds = time.monotonic() - started
    say(f"{len(outcomes) - len(missed)} of {len(outcomes)} breaks seen, {rows} rows, {seconds:.0f} s")
    for outcome in missed:
        say(f"not seen: {outcome.what.row} {outcome.what.what}: {outcome.why_not}")
    for line in unbroken:
        say(f"does not pass unbroken: {line}")
    return 1 if missed or unbroken else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
