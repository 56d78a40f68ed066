"""Pages around charts: one file with everything in it, which asks for nothing from anywhere.

Templates, the style sheet and the script lie beside this file. Jinja2 escapes every value; what may be
markup is what `picture` made. The content security policy allows the style sheet and the script of the page
by their hashes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ascnet_cli.outputs.activitynet import generator_version
from ascnet_cli.outputs.charts.drawing import Drawing
from ascnet_cli.outputs.charts.svg import clean, to_svg
from ascnet_cli.outputs.policy import policy
from weights.atomic import replacing

_TEMPLATES = files(__package__) / "templates"


def picture(drawing: Drawing) -> Markup:
    """A drawing for a template: SVG in which everything is escaped already."""
    return Markup(to_svg(drawing, alone=False))  # noqa: S704 - `to_svg` escapes all that it is given


def render(template: str, values: Mapping[str, Any]) -> str:
    """A page as text.

    Args:
        template: its name among the templates.
        values: what it asks for; text is escaped.
    """
    style, script = _resource("page.css"), _resource("page.js")
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy(script, style),
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - a file of this package
            version=generator_version(),
            **values,
        )
    )


def write_page(path: Path, template: str, values: Mapping[str, Any]) -> Path:
    """A page as a file, whole or not at all.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the path is a folder.
        StorageError: the disk is full or broken.
    """
    text = clean(render(template, values))
    with replacing(path) as file:
        file.write(text.encode())
    return path


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = picture
    return environment


@cache
def _resource(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")
