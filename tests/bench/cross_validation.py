r"""Which settings suit a data set, told by its training videos alone: cross-validation of localization.

    python -m tests.bench.cross_validation --dataset mocap --features examples/mocap/data/features \
        --try training.updates=200 --try "training.updates=400;loss.weight_nce=0"

The training videos are dealt into folds; each fold in turn is judged by a network that learned from the
others' video labels. This looks at when things happen in training videos, which training itself never
does; test videos are not opened. Constants that ascnet takes for data sets of one's own were chosen
with it.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import torch

from ascnet_cli.datasets.features import FeatureFolder
from ascnet_cli.training.data import TrainingData, load_data
from ascnet_cli.training.run import train_and_test
from ascnet_cli.training.seeds import Spread
from ascnet_cli.training.settings import parse_overrides, resolve


def folds_of(data: TrainingData, features: Path, n_folds: int) -> list[TrainingData]:
    """The training videos alone, a fold of them as test videos each time."""
    names = np.array(data.videos.names)
    order = np.random.default_rng(0).permutation(len(names))
    folder = FeatureFolder(features)
    folds = []
    for number in range(n_folds):
        judged = set(names[order[number::n_folds]])
        videos = [
            dataclasses.replace(video, subset="test" if video.video in judged else "train")
            for video in data.annotations.videos
            if video.video in set(names)
        ]
        annotations = dataclasses.replace(data.annotations, videos=tuple(videos))
        rest = [name for name in data.videos.names if name not in judged]
        test = tuple(file for name in sorted(judged) if (file := folder.find(name)) is not None)
        folds.append(
            dataclasses.replace(data, annotations=annotations, videos=data.videos.only(rest), test=test)
        )
    return folds


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--preset", default="fixed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--try", dest="rows", action="append", default=[], help="settings, separated by ;")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    data = load_data(options.dataset, features=options.features)
    folds = folds_of(data, options.features, options.folds)
    for row in options.rows or [""]:
        overrides = parse_overrides([text for text in row.split(";") if text])
        results = []
        for fold in folds:
            settings = resolve(options.preset, fold.shape, dataset=options.dataset, overrides=overrides)
            for seed in range(options.seeds):
                with tempfile.TemporaryDirectory() as run:
                    found = train_and_test(fold, settings.with_seed(seed), Path(run))
                results.append((found.test.result.average, found.test.result.map[4], found.training.best))
        averages, at_half = Spread.of([r[0] for r in results]), Spread.of([r[1] for r in results])
        steps = [best.step for *_, best in results if best]
        maps = [best.map for *_, best in results if best]
        print(
            f"{averages.mean:.3f} +- {averages.std:.3f}  @0.5 {at_half.mean:.3f}  steps {steps}"
            f"  validation {np.mean(maps):.2f}  {row or 'as it is'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
