"""What a run's folder tells of a training: its curves, settings, places, times and test result."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ascnet_cli.errors import CheckpointError
from ascnet_cli.training.run_folder import RunFolder, Scalar

Curve = tuple[tuple[float, float], ...]

_NO_TERMS = {"event", "time", "step"}


@dataclass(frozen=True, slots=True, eq=False)
class RunHistory:
    """One run.

    Attributes:
        run: its folder.
        settings: every setting, by table and name.
        environment: versions and machine.
        losses: the sum and each term, over steps; not finite where the loss was not.
        validation: mAP of video labels over steps.
        step: updates done.
        n_steps: updates in all.
        elapsed_s: seconds between start and end, without the time between two starts.
        state: how it stands, in words.
        notes: what a person was told.
        test: the object of an evaluation; None where nothing was tested.
    """

    run: Path
    settings: Mapping[str, Mapping[str, Scalar]]
    environment: Mapping[str, object]
    losses: Mapping[str, Curve]
    validation: Curve
    step: int
    n_steps: int
    elapsed_s: float
    state: str
    notes: tuple[str, ...]
    test: Mapping[str, Any] | None

    @property
    def seed(self) -> str:
        """Of everything that is drawn at random."""
        return str(self.settings.get("training", {}).get("seed", "?"))

    @property
    def chosen(self) -> tuple[float, float] | None:
        """Step and mAP of the validation that chose the network, by the rule of `loop.train`."""
        held_out = self.settings.get("data", {}).get("held_out")
        slack = 1 / held_out if isinstance(held_out, int) and held_out else 0.0
        peak, found = -math.inf, None
        for step, value in self.validation:
            peak = max(peak, value)
            if value >= peak - slack:
                found = (step, value)
        return found


def read_history(run: Path) -> RunHistory:
    """What a run's folder tells.

    Raises:
        CheckpointError: the folder holds no run, or its settings or its test result are damaged.
    """
    if not (run / "config.toml").is_file():
        raise CheckpointError(f"{run} holds no run", hint="name the folder that `ascnet train` wrote")
    folder = RunFolder(run)
    events = folder.events()
    steps = [event for event in events if event.get("event") == "step"]
    names = dict.fromkeys(name for event in steps for name in event if name not in _NO_TERMS)
    starts = [event for event in events if event.get("event") == "start"]
    last = events[-1] if events else {}
    return RunHistory(
        run=run,
        settings=folder.settings(),
        environment=folder.environment(),
        losses={name: _curve(steps, name) for name in names},
        validation=_curve([event for event in events if event.get("event") == "validation"], "map"),
        step=max((_whole(event.get("step")) for event in events), default=0),
        n_steps=_whole(starts[-1].get("n_steps")) if starts else 0,
        elapsed_s=_elapsed_s(events),
        state=_state(last),
        notes=tuple(
            dict.fromkeys(str(event.get("text")) for event in events if event.get("event") == "note")
        ),
        test=_test(folder.test),
    )


def seed_folders(folder: Path) -> tuple[Path, ...]:
    """The runs of several seeds in a folder, by seed; none where it is a run itself, or nothing."""
    if (folder / "config.toml").is_file():
        return ()
    found = [path.parent for path in folder.glob("seed-*/config.toml")]
    return tuple(sorted(found, key=lambda path: (len(path.name), path.name)))


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over several curves at the steps that all of them have."""
    if not curves:
        return ()
    values = [dict(curve) for curve in curves]
    shared = sorted(set.intersection(*(set(one) for one in values)))
    return tuple((step, sum(one[step] for one in values) / len(values)) for step in shared)


def _curve(events: Sequence[Mapping[str, object]], name: str) -> Curve:
    """A recorded number over steps; null stands for one that was not finite."""
    points = []
    for event in events:
        step, value = event.get("step"), event.get(name, math.nan)
        if isinstance(step, int) and not isinstance(step, bool):
            number = float(value) if isinstance(value, int | float) else math.nan
            points.append((float(step), number))
    return tuple(points)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _elapsed_s(events: Sequence[Mapping[str, object]]) -> float:
    """Seconds from each start to the last event before the next one."""
    total, begun, last = 0.0, None, None
    for event in events:
        try:
            now = datetime.fromisoformat(str(event.get("time"))).timestamp()
        except ValueError:
            continue
        if event.get("event") == "start":
            total += last - begun if begun is not None and last is not None else 0.0
            begun = now
        last = now
    return total + (last - begun if begun is not None and last is not None else 0.0)


def _state(last: Mapping[str, object]) -> str:
    if not last:
        return "not begun"
    if last.get("event") != "stop":
        return "going on, or killed"
    reason = str(last.get("reason"))
    return reason if reason == "finished" else f"stopped: {reason}"


def _test(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    test: dict[str, Any]
    try:
        content = json.loads(path.read_text("utf-8"))
        test = {
            "tiou": [float(tiou) for tiou in content["tiou"]],
            "map": [float(value) for value in content["map"]],
            "average": float(content["average"]),
            "per_class": {
                str(label): [float(value) for value in values]
                for label, values in content["per_class"].items()
            },
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", hint="remove it, or test again") from error
    lengths = {len(test["tiou"]), len(test["map"]), *map(len, test["per_class"].values())}
    if len(lengths) != 1 or 0 in lengths:
        raise CheckpointError(f"{path} is damaged: its numbers do not fit", hint="remove it, or test again")
    return test
