"""What our own code says of wrong arguments, where no checker of types stands before it.

Under the tests a checker looks at every annotation, and refuses much before the function sees it. What people
run has none, so wrong types and shapes are tried in a process of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = """
import json, sys
setup, calls = json.load(sys.stdin)
names = {}
exec(setup, names)
found = []
for call in calls:
    try:
        eval(call, names)
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
    else:
        found.append("taken")
print(json.dumps(found))
"""


def refusals(setup: str, *calls: str) -> list[str]:
    """How each call ends: "TypeOfError: message", or "taken".

    Args:
        setup: Python to run first.
        calls: expressions, each tried by itself.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps([setup, calls]),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Sequence[str] = json.loads(done.stdout)
    return list(found)
