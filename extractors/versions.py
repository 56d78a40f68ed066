"""Versions of what took part in making features: for a person who compares two files, never part of a recipe.

Rounding may differ between two versions of a library without either being wrong; the recipe would then call
the same features different.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# A library of each kind that is loaded for features: what decodes, what computes flow, what runs the network.
_PACKAGES = ("ascnet", "av", "decord", "numpy", "opencv-contrib-python-headless", "openvino", "torch")


@cache
def library_versions() -> dict[str, str]:
    """Installed packages that may change the last digits of features, with their versions."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an optional one
    return found
