"""The audit of packages: an audit that could not be made must not look like one that found nothing."""

from __future__ import annotations

import json
import stat
import sys

import pytest

from tests.packages import KNOWN, audited, brought, main

# Stands in for pip-audit: what it answers to each package is in a file of JSON beside it.
_PROGRAM = """#!{python}
import json, pathlib, sys
listed = pathlib.Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().split()
known = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
if known is None:
    sys.exit("no network")
pairs = [package.split("==") for package in listed]
answers = [{{"name": n, "version": v, "vulns": [], **known.get(n + "==" + v, {{}})}} for n, v in pairs]
print(json.dumps({{"dependencies": answers[: known.get("most")]}}))
sys.exit(any(answer["vulns"] for answer in answers))
"""
_FOUND = {"vulns": [{"id": "PYSEC-0000-1"}]}


@pytest.fixture
def program(tmp_path):
    def make(known):
        path = tmp_path / "pip-audit"
        path.write_text(_PROGRAM.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        path.with_suffix(".json").write_text(json.dumps(known))
        return str(path)

    return make


def test_all_that_ascnet_needs_is_listed_once_and_no_installer():
    packages = brought()
    names = [package.partition("==")[0] for package in packages]
    assert {"torch", "av", "decord", "pillow", "jinja2", "ray", "markupsafe"} <= set(
        names
    )  # the last is jinja2's
    assert len(names) == len(set(names))
    assert not {"ascnet", "pip"} & set(names)
    assert not any("+" in package for package in packages)


def test_nothing_known_of_anything(program, capsys):
    assert main(["--pip-audit", program({KNOWN: _FOUND})]) == 0
    assert capsys.readouterr().out.endswith(" packages, 0 with a finding\n")


def test_a_vulnerable_package_is_named(program, capsys):
    package = next(package for package in brought() if package.startswith("pillow=="))
    assert main(["--pip-audit", program({KNOWN: _FOUND, package: _FOUND})]) == 1
    assert f"{package.replace('==', ' ')}: PYSEC-0000-1" in capsys.readouterr().out


def test_a_package_that_was_not_looked_up_is_a_finding(program, capsys):
    package = next(package for package in brought() if package.startswith("torch=="))
    known = {KNOWN: _FOUND, package: {"skip_reason": "not found"}}
    assert main(["--pip-audit", program(known)]) == 1
    assert f"{package.replace('==', ' ')}: not looked up: not found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("known", "said"),
    [({}, "knows nothing of jinja2==2.4.1"), (None, "ended with 1: no network"), ({"most": 0}, "spoke of 0")],
)
def test_no_audit_is_no_clean_audit(program, capsys, known, said):
    assert main(["--pip-audit", program(known)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err


def test_a_program_that_is_not_there(capsys):
    assert main(["--pip-audit", "/nowhere/pip-audit"]) == 2
    assert "/nowhere/pip-audit" in capsys.readouterr().err


def test_options_reach_it(program):
    with_options = program({KNOWN: _FOUND})
    assert audited(with_options, [KNOWN], ["--service", "osv"])[0].vulnerabilities == ("PYSEC-0000-1",)
