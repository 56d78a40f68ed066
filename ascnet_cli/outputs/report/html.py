"""From values to the text of a page: templates and the data block."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ascnet_cli.outputs.policy import policy

if TYPE_CHECKING:
    from jinja2 import Environment

# Written so, they can neither end the block of data nor begin anything in it (`<script`, `<!--`), and the
# two line separators cannot end a line of script. All other characters beyond ASCII are escaped as well.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def asset(name: str) -> str:
    """One of the files in `assets/`, as text."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def data_block(values: object) -> str:
    """JSON that may stand inside a `<script type="application/json">`: pure ASCII, without `<`, `>`, `&`.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def render(
    template: str,
    *,
    scripts: Sequence[str],
    styles: Sequence[str],
    media: str,
    data: object,
    **values: object,
) -> str:
    """The text of a page.

    Args:
        template: name of the template in `assets/`.
        scripts: names of its scripts in `assets/`, joined into one.
        styles: likewise.
        media: the directives of the policy that let the page's video in.
        data: what the script finds in the element `data`.
        values: for the template; escaped there.
    """
    from markupsafe import Markup

    script = "\n" + "\n".join(asset(name) for name in scripts)
    style = "\n" + "\n".join(asset(name) for name in styles)
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy(script, style, "img-src data:", media),
            # Our own files, and JSON that cannot end its block: the only texts that are not escaped.
            script=Markup(script),  # noqa: S704
            style=Markup(style),  # noqa: S704
            data=Markup(data_block(data)),  # noqa: S704
            **values,
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
