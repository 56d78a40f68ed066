"""Known vulnerabilities of the packages that ascnet brings along: `make audit`.

pip-audit asks a public service, so this needs the network and is no part of the tests. It ends without a
finding where the service does not know a package, or knows nothing at all; so a release is asked for first
that has been vulnerable for years, and a package that could not be looked up is a finding too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# CVE-2014-1402 and CVE-2019-8341, among others.
KNOWN = "jinja2==2.4.1"
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Finding:
    """What was said of one package; `vulnerabilities` is empty where it could not be looked up."""

    package: str
    vulnerabilities: tuple[str, ...]
    skipped: str = ""

    def __str__(self) -> str:
        return f"{self.package}: {', '.join(self.vulnerabilities) or f'not looked up: {self.skipped}'}"


class AuditError(Exception):
    """The audit could not be made, which is not the same as nothing found."""


def brought(root: str = "ascnet") -> tuple[str, ...]:
    """`name==version` of all that `root` needs, with every extra of its own that is installed here.

    The installers that an environment comes with (pip, setuptools) are in it only where something needs them.
    """
    own_extras = metadata.distribution(root).metadata.get_all("Provides-Extra") or []
    waiting = [(root, frozenset(own_extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    versions: dict[str, str] = {}
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # an extra that is not installed, or another platform's
            continue
        versions[canonicalize_name(name)] = found.version
        for line in found.requires or []:
            needed = Requirement(line)
            markers = [{"extra": extra} for extra in ("", *extras)]
            if needed.marker is None or any(needed.marker.evaluate(marker) for marker in markers):
                waiting.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    del versions[canonicalize_name(root)]
    return tuple(f"{name}=={version.partition('+')[0]}" for name, version in sorted(versions.items()))


def audited(pip_audit: str, packages: Sequence[str], options: Sequence[str]) -> tuple[Finding, ...]:
    """What pip-audit says of `packages`.

    Raises:
        AuditError: it ended without an answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "packages.txt"
        listed.write_text("".join(f"{package}\n" for package in packages))
        done = subprocess.run(
            [pip_audit, "--requirement", listed, "--no-deps", "--disable-pip", "--format", "json",
             "--progress-spinner", "off", *options],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise AuditError(f"pip-audit ended with {done.returncode}: {done.stderr.strip()[-400:]}") from None
    if len(answers) != len(packages):
        raise AuditError(f"pip-audit was asked for {len(packages)} packages and spoke of {len(answers)}")
    findings = []
    for answer in answers:
        vulnerabilities = tuple(found["id"] for found in answer.get("vulns", ()))
        skipped = answer.get("skip_reason", "")
        if vulnerabilities or skipped:
            package = f"{answer['name']} {answer.get('version', '')}".strip()
            findings.append(Finding(package, vulnerabilities, skipped))
    return tuple(findings)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: nothing is known of any package; 1: something is, or a package was not looked up; 2: no audit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pip-audit", default="pip-audit", help="the program")
    parser.add_argument("options", nargs="*", help="for pip-audit, after --")
    asked = parser.parse_args(arguments)
    try:
        if not any(finding.vulnerabilities for finding in audited(asked.pip_audit, [KNOWN], asked.options)):
            raise AuditError(
                f"the service knows nothing of {KNOWN}, which is vulnerable: nothing was audited"
            )
        packages = brought()
        findings = audited(asked.pip_audit, packages, asked.options)
    except (AuditError, OSError, subprocess.TimeoutExpired) as error:
        print(f"no audit: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for finding in findings:
        print(finding)  # noqa: T201
    print(f"{len(packages)} packages, {len(findings)} with a finding")  # noqa: T201
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
