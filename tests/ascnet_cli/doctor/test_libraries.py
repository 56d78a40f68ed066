"""Versions, and whether they are those that were tried together."""

import platform

import pytest

from ascnet_cli.doctor import libraries
from ascnet_cli.doctor.libraries import is_within, look_at_libraries


@pytest.mark.parametrize(
    ("found", "wanted", "holds"),
    [
        ("2.4.6", ">=2.4,<2.5", True),
        ("2.5.0", ">=2.4,<2.5", False),
        ("2.4", "<2.5,>=2.4.0", True),
        ("0.6.0", "==0.6", True),
        ("0.6.1", "==0.6", False),
        ("2.14.1+cu130", ">=2.14.1", True),
        ("2.14.0", ">2.14", False),
        ("3.0", "<=3", True),
        ("1.0", "", True),
        ("nightly", ">=1", False),
    ],
)
def test_ranges(found, wanted, holds):
    assert is_within(found, wanted) is holds


def test_what_is_installed_here_is_what_was_tried():
    finding = look_at_libraries()
    assert (finding.state, finding.exit_code) == ("ok", 0), finding
    assert finding.facts["versions"]["python"] == platform.python_version()
    assert finding.facts["ranges"]["numpy"]
    assert "torch" in finding.text
    assert "ascnet" in finding.text


def test_a_library_that_is_missing(monkeypatch):
    installed = libraries._version
    monkeypatch.setattr(libraries, "_version", lambda name: None if name == "av" else installed(name))
    finding = look_at_libraries()
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert finding.hint.startswith("av: ")
    assert "av (not installed)" in finding.text


def test_an_optional_library_that_is_missing_is_no_matter(monkeypatch):
    installed = libraries._version
    monkeypatch.setattr(libraries, "_version", lambda name: None if name == "ray" else installed(name))
    finding = look_at_libraries()
    assert finding.state == "ok"
    assert finding.facts["versions"]["ray"] is None
    assert "ray" not in finding.text


def test_a_library_of_another_version_is_a_warning(monkeypatch):
    installed = libraries._version
    monkeypatch.setattr(libraries, "_version", lambda name: "9.0" if name == "numpy" else installed(name))
    finding = look_at_libraries()
    assert finding.state == "warning"
    assert "numpy 9.0 is not within" in finding.hint


def test_an_ascnet_that_is_not_installed_has_no_ranges(monkeypatch):
    def missing(_name):
        raise libraries.PackageNotFoundError

    monkeypatch.setattr(libraries, "requires", missing)
    assert look_at_libraries().facts["ranges"] == {}
