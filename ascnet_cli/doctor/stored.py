"""Weights and models: which are here, and whether they are what they should be."""

from __future__ import annotations

from ascnet_cli.doctor.findings import Finding
from ascnet_cli.errors import AscnetError, WeightsError

# What of `ascnet detect` or `extract` needs a shipped file that the default model does not need.
_USES = {"raft-small": "`--flow raft`", "mocap": "`--model mocap`"}
_SHOWN = 8  # digits of a hash on the screen; --json has all


def look_at_weights() -> Finding:
    """Every known weights file against its hash, as `ascnet weights verify` does it.

    Only the file of the default model is a problem; without the others, something less does not work.
    """
    from ascnet_cli.config_kinetics import KINETICS400
    from weights.integrity import verify
    from weights.registry import entries, weights_folder

    folder, no_folder = "", None
    try:
        folder = str(weights_folder())
    except WeightsError as error:
        no_folder = error
    # Without a place for fetched ones, the shipped ones are there all the same.
    found = [verify(known.name) for known in entries() if known.shipped or folder]
    facts: dict[str, object] = {
        "folder": folder or None,
        "weights": {
            one.name: {"state": one.state, "path": str(one.path), "sha256": one.sha256 or None}
            for one in found
        },
    }
    whole = [f"{one.name} {one.sha256[:_SHOWN]}" for one in found if one.state == "ok"]
    absent = [one.name for one in found if one.state == "absent"]
    text = f"{', '.join(whole) or 'none'} as they should be"
    text += f"; {len(absent)} others can be fetched (`ascnet weights list`)" if absent else ""
    damaged = [one for one in found if one.state == "damaged"]
    if damaged:
        text = "; ".join(one.message for one in damaged)
        hint = " ".join(dict.fromkeys(one.hint for one in damaged))
        if any(one.name == KINETICS400.weights for one in damaged):
            return Finding("weights", "problem", text, hint, WeightsError.exit_code, facts)
        hit = ", ".join(_USES.get(one.name, one.name) for one in damaged)
        return Finding("weights", "warning", text, f"{hit} will not work: {hint}", 0, facts)
    if no_folder is not None:
        return Finding("weights", "warning", f"{text}; {no_folder}", no_folder.hint, 0, facts)
    return Finding("weights", "ok", text, facts=facts)


def look_at_models() -> Finding:
    """The models that come with ascnet, each opened as `ascnet detect --model` opens it."""
    from ascnet_cli.config_kinetics import KINETICS400
    from ascnet_cli.detector import DEFAULT_MODEL, trained_models
    from ascnet_cli.model.checkpoint import load_checkpoint
    from extractors.calibration import find_calibration
    from weights.registry import class_names, entry

    weights = entry(KINETICS400.weights)
    counts: dict[str, int | None] = {DEFAULT_MODEL: len(class_names(weights))}
    lacking: list[str] = []
    for name in trained_models():
        counts[name] = None
        try:
            counts[name] = len(load_checkpoint(entry(name).path).labels)
        except AscnetError as error:
            lacking.append(f"`--model {name}` will not work: {error}; {error.hint}")
        except (OSError, RuntimeError) as error:  # torch's, of the machine and not of the file
            lacking.append(f"`--model {name}` will not work: {type(error).__name__}: {error}")
    facts: dict[str, object] = {"classes": counts, "calibration": None}
    text = ", ".join(f"{name} ({n} classes)" for name, n in counts.items() if n is not None)
    try:
        calibration = find_calibration(weights.sha256)
    except AscnetError as error:
        lacking.append(f"`--engine-i3d openvino-int8` will not work: {error}; {error.hint}")
    else:
        facts["calibration"] = calibration.sha256
        text += f"; 8-bit calibration {calibration.sha256[:_SHOWN]}"
    if lacking:
        return Finding("models", "warning", text, " ".join(lacking), 0, facts)
    return Finding("models", "ok", text, facts=facts)
