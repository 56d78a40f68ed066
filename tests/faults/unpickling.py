"""What in a program's text could unpickle, by its syntax: however it is spaced, and under any other name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Modules whose readers run what they read.
MODULES = {"marshal", "shelve", "dill", "joblib", "cloudpickle", "_pickle", "pandas"}
# What of pickle itself runs nothing.
HARMLESS = {"dumps", "dump", "UnpicklingError", "PickleError", "PicklingError", "HIGHEST_PROTOCOL"}
_IMPORTERS = ("__import__", "importlib.import_module", "import_module")


def unpickling(text: str, *, may_define: bool = False) -> list[str]:
    """Each place of a program that could unpickle.

    Args:
        text: the program.
        may_define: it may derive an unpickler of its own from pickle's.
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if _foreign(a.name) or (a.name == "pickle" and a.asname)]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{a.name}" for a in node.names if _taken(node.module or "", a.name)]
        elif isinstance(node, ast.Attribute):
            allowed = HARMLESS | ({"Unpickler"} if may_define else set())
            of_pickle = isinstance(node.value, ast.Name) and node.value.id == "pickle"
            if (of_pickle and node.attr not in allowed) or node.attr == "read_pickle":
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call):
            found += _called(node)
    return found


def _foreign(module: str) -> bool:
    return module.partition(".")[0] in MODULES


def _taken(module: str, name: str) -> bool:
    """Whether `from MODULE import NAME` brings a reader, under whatever name."""
    if module == "pickle":
        return name not in HARMLESS
    return _foreign(module) or (module in ("torch", "numpy") and name == "load")


def _called(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    told = {word.arg: ast.unparse(word.value) for word in node.keywords}
    by_place = name in ("np.load", "numpy.load") and len(node.args) > 2  # the third is `allow_pickle`
    if (
        by_place
        or told.get("allow_pickle", "False") != "False"
        or told.get("weights_only", "True") != "True"
        or (name == "torch.load" and "weights_only" not in told)
    ):
        yield ast.unparse(node)
    if name in _IMPORTERS:
        module = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if not isinstance(module, str) or _foreign(module) or module == "pickle":
            yield ast.unparse(node)
