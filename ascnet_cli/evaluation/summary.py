"""An evaluation as one object for JSON: what `ascnet evaluate --json` prints and a run's test.json holds."""

from __future__ import annotations

from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.diagnosis import Diagnosis
from ascnet_cli.evaluation.protocols import Case


def summary(case: Case, result: EvaluationResult, diagnosis: Diagnosis | None = None) -> dict[str, object]:
    """The object; `diagnosis` is in it only where it was asked for."""
    document: dict[str, object] = {
        "protocol": case.protocol.name,
        "tiou": list(result.tious),
        "map": list(result.map),
        "average": result.average,
        "per_class": {label: list(values) for label, values in result.per_class.items()},
        "videos_evaluated": result.n_videos,
        "unknown_labels": list(case.unknown_labels),
        "unknown_videos": list(case.unknown_videos),
    }
    if diagnosis is not None:
        document["diagnosis"] = {
            "tiou": diagnosis.tiou,
            "predictions": {kind: list(counts) for kind, counts in diagnosis.counts.items()},
            "gains": dict(diagnosis.gains),
            "recall": [
                {
                    "from_s": length.from_s,
                    "to_s": None if length is diagnosis.lengths[-1] else length.to_s,
                    "instances": length.n_instances,
                    "recall": list(length.recall) or None,
                }
                for length in diagnosis.lengths
            ],
        }
    return document
