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


@pytest.fixture
def without(monkeypatch):
    """Take packages away: their metadata, their modules, or both."""
    installed, found = libraries._version, libraries.find_spec

    def take(package, module=None):
        monkeypatch.setattr(libraries, "_version", lambda name: None if name == package else installed(name))
        monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == module else found(name))

    return take


@pytest.mark.parametrize("name", ["torch", "av", "numpy", "safetensors", "jaxtyping", "rich"])
def test_a_library_that_detect_needs_is_missing(without, name):
    without(name, name)
    finding = look_at_libraries()
    assert (finding.state, finding.exit_code) == ("problem", 1)
    assert finding.hint.startswith(f"{name}: ")
    if name == "av":
        assert "av (not installed)" in finding.text


@pytest.mark.parametrize(
    ("package", "module", "use"),
    [
        ("torchvision", "torchvision", "--flow raft"),
        ("opencv-contrib-python-headless", "cv2", "ascnet extract"),
        ("numba", "numba", "--flow tvl1"),
        ("pebble", "pebble", "ascnet extract"),
        ("pillow", "PIL", "--video"),
        ("jinja2", "jinja2", "--report"),
    ],
)
def test_a_library_that_detect_does_without_is_missing(without, package, module, use):
    without(package, module)
    finding = look_at_libraries()
    assert (finding.state, finding.exit_code) == ("warning", 0)
    assert finding.hint.startswith(f"without {package}, ")
    assert use in finding.hint


@pytest.mark.parametrize("package", ["av", "numba"])
def test_a_library_without_metadata_works_all_the_same(without, package):
    without(package)
    finding = look_at_libraries()
    assert (finding.state, finding.exit_code) == ("ok", 0)
    assert finding.facts["versions"][package] is None


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
