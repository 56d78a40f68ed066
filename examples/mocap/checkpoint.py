"""Take the best of several trainings on `mocap` as the model that comes with ascnet.

    ascnet train --dataset mocap --seeds 0-4 --out runs/mocap
    python -m examples.mocap.checkpoint runs/mocap --out weights/ascnet_mocap.safetensors

The best is the one with the highest mean average precision of video labels on held-out training videos, of
equal ones the lowest seed; the test decides nothing. Its numbers are stored in half precision and
without what training alone reads, and its model card is written beside it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ascnet_cli.model.checkpoint import load_checkpoint, save_checkpoint
from ascnet_cli.training.model_card import LICENCE

LICENCE_HERE = (
    "Apache-2.0, as ascnet. The motions behind the training videos are MIT (DeepMimic, by way of pybullet)."
)


def best_seed(runs: Path) -> Path:
    """The folder of the best run by validation.

    Raises:
        FileNotFoundError: there is no finished run.
    """
    # A run writes its card when it is finished.
    finished = [card.parent for card in runs.glob("seed-*/MODEL_CARD.md")]
    folders = sorted(finished, key=lambda folder: int(folder.name.removeprefix("seed-")))
    scored = [
        (load_checkpoint(folder / "best.safetensors").extra["validation_map"], folder) for folder in folders
    ]
    if not scored:
        raise FileNotFoundError(f"no runs in {runs}")
    return max(scored, key=lambda pair: pair[0])[1]  # of equal ones the first


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.mocap.checkpoint", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", type=Path, help="the folder of `ascnet train --seeds`")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    options = parser.parse_args(argv)
    chosen = best_seed(options.runs)
    whole = load_checkpoint(chosen / "best.safetensors")
    sha256 = save_checkpoint(
        options.out,
        whole.model,
        labels=whole.labels,
        recipe=whole.recipe,
        localization=whole.localization,
        extra={**whole.extra, "made_from": whole.sha256},
        compact=True,
    )
    card = (chosen / "MODEL_CARD.md").read_text(encoding="utf-8").replace(whole.sha256, sha256)
    card = card.replace(
        "`best.safetensors`",
        f"`{options.out.name}` (half precision, without the queries that training alone reads)",
    )
    options.out.with_suffix(".md").write_text(card.replace(LICENCE, LICENCE_HERE), encoding="utf-8")
    print(json.dumps({"run": str(chosen), "sha256": sha256, "bytes": options.out.stat().st_size}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
