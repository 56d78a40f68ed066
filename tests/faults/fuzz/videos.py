"""Damaged videos by the thousand: `python -m tests.faults.fuzz.videos --files 2000`.

Each goes through the call behind `ascnet detect` in a worker process with a time limit. It must be done, with
features that fit their sidecar, or fail with a reason of our own, leaving nothing. Those that do neither are
kept in `--keep`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.fuzz.mutations import KINDS, SOURCES, Case, case, make_sources
from tests.faults.fuzz.workers import Answer, look_at_all


def fuzz(n_files: int, *, first_seed: int, n_workers: int, folder: Path) -> Iterator[Answer]:
    """What became of damaged videos number `first_seed` and after."""
    (folder / "sources").mkdir(parents=True)
    sources = make_sources(folder / "sources")
    cases: Iterator[Case] = (case(seed, sources) for seed in range(first_seed, first_seed + n_files))
    yield from look_at_all(cases, folder, n_workers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first file")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for files that went wrong")
    options = parser.parse_args()
    started_s = time.monotonic()
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    wrong: list[Answer] = []
    most_mib, longest_s = 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        found = fuzz(options.files, first_seed=options.seed, n_workers=options.workers, folder=Path(name))
        for number, answer in enumerate(found, 1):
            states[answer.state] += 1
            if answer.state == "failed":
                reasons[re.sub(r"\d+", "N", answer.reason)[:90]] += 1
            most_mib, longest_s = max(most_mib, answer.memory_mib), max(longest_s, answer.seconds)
            if answer.problem:
                wrong.append(answer)
                say(f"WRONG {answer.name}: {answer.state}: {answer.problem}")
            if number % 100 == 0:
                say(f"{number}: {dict(states)}, {len(wrong)} wrong, {time.monotonic() - started_s:.0f} s")
        if wrong and options.keep is not None:
            keep(wrong, options.keep, Path(name))
    say(
        f"{sum(states.values())} files of {len(SOURCES)} videos, {len(KINDS)} kinds of damage: {dict(states)}"
    )
    say(f"at most {most_mib} MiB and {longest_s:.1f} s a file; {time.monotonic() - started_s:.0f} s in all")
    for reason, count in reasons.most_common():
        say(f"  {count:5} {reason}")
    say(f"{len(wrong)} went wrong")
    return 1 if wrong else 0


def keep(wrong: list[Answer], target: Path, folder: Path) -> None:
    """Write the files that went wrong anew, by their seeds."""
    target.mkdir(parents=True, exist_ok=True)
    sources = {path.name: path.read_bytes() for path in (folder / "sources").iterdir()}
    for answer in wrong:
        made = case(int(answer.name.split("-")[0]), sources)
        (target / made.name).write_bytes(made.data)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
