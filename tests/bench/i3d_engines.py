"""The engines of I3D RGB on the processor: how fast, and how near to float32 on PyTorch.

    python -m tests.bench.i3d_engines speed [--rounds 5] [--busy]
    python -m tests.bench.i3d_engines accuracy [--snippets 500] [--engine openvino-int8]
    python -m tests.bench.i3d_engines map [--mocap FOLDER] [--kinetics FOLDER] [--engine openvino-int8]

`speed`: isolated snippets with the trained weights, all engines in turns in one run. Ratios are to the graph
written out plainly, in the default layout at batch 1 (medians of the rounds); the peak is the best float32
rate between the rounds (see `tests.bench.i3d_speed`). `--busy` counts the processor's time, not the wall's,
and is to be run with one thread: for a machine that others use. `accuracy`: cosine of each feature to that of
PyTorch, on real snippets taken evenly from the development data and the example clips. `map`: mean average
precision with features of each engine, of the model `mocap` on its test videos (FOLDER is what
`examples.mocap.benchmark` makes; kept features are used where they are right) and of `kinetics400` on the
timelines of `tests.bench.kinetics_settings` (made in FOLDER).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from ascnet_cli.config_kinetics import KINETICS400
from ascnet_cli.detector import load_detector
from ascnet_cli.evaluation.detection import evaluate
from ascnet_cli.segments import Detection, Segment
from extractors.backbones import Backbone
from extractors.calibrate import snippets_of
from extractors.engines import with_engine
from extractors.features import Extractor
from extractors.lanes import LaneClips, Lanes
from extractors.recipe import FeatureRecipe
from extractors.store import fingerprint, load_features, up_to_date
from extractors.video import find_videos
from weights.store import load

ENGINES = ("torch", "openvino", "openvino-int8")
WEIGHTS = "i3d-rgb-kinetics400"
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
SNIPPET_GFLOP = 55.6


def make_extractor(engine: str, context: str = "snippet") -> Extractor:
    loaded = load(WEIGHTS)
    recipe = with_engine(FeatureRecipe({"rgb": loaded.sha256}, context=context), engine)
    return Extractor(recipe, {"rgb": dict(loaded.tensors)}, device=torch.device("cpu"))


def backbone_of(engine: str) -> Backbone:
    return make_extractor(engine)._backbones["rgb"]


def rows_of(backbone: Backbone, clips: list[np.ndarray]) -> np.ndarray:
    """As the extractor computes them: in lanes."""
    with Lanes() as lanes:
        runner = LaneClips(backbone, lanes)
        return np.stack([row.result() for row in [runner.submit(clip) for clip in clips]])


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)


@torch.inference_mode()
def speed(rounds: int, clock: Callable[[], float]) -> None:
    """Print rates and ratios."""
    from tests.bench.i3d_speed import peak_gflops
    from tests.extractors.test_i3d import reference

    tensors = load(WEIGHTS).tensors
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (16, 224, 224, 3), dtype=np.uint8) for _ in range(4)]
    plain = torch.rand(1, 3, 16, 224, 224) * 2 - 1

    def eager() -> int:
        reference(tensors, plain)
        return 1

    def lanes_of(engine: str) -> Callable[[], int]:
        backbone = backbone_of(engine)

        def run() -> int:
            return len(rows_of(backbone, clips))

        return run

    ways = {"plain eager": eager, **{engine: lanes_of(engine) for engine in ENGINES}}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    peaks = []
    for index in range(rounds + 1):
        peaks.append(peak_gflops(clock))
        for name, run in ways.items():
            started = clock()
            n_done = run()
            if index:
                rates[name].append(n_done / (clock() - started))
    print(f"{torch.get_num_threads()} threads, peak {max(peaks):.0f} GFLOP/s")
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, rates["plain eager"], strict=True))
        rate = statistics.median(found)
        share = rate * SNIPPET_GFLOP / max(peaks)
        print(f"{name:16s} {rate:5.2f} snippets/s  {ratio:4.2f}x plain eager  {share:4.0%} of the fp32 peak")


def real_snippets(n: int) -> Iterator[np.ndarray]:
    """Evenly from each of the files, 8-bit."""
    videos = [*find_videos(DATA), *sorted((ROOT / "examples" / "mocap").glob("*.mp4"))]
    share = -(-n // len(videos)) + 2  # some are short
    found = []
    for video in videos:
        try:
            clips = snippets_of([video], share)
        except Exception as error:  # noqa: BLE001 - some are there because they cannot be read
            print(f"{video.name}: {error}")
            continue
        scaled = ((clips + 1) * 127.5).round().to(torch.uint8)
        found += [clip.permute(1, 2, 3, 0).contiguous().numpy() for clip in scaled]
    for index in range(n):
        yield found[index * len(found) // n]


def accuracy(n: int, engines: list[str]) -> None:
    """Print the worst and the median cosine."""
    clips = list(real_snippets(n))
    wanted = rows_of(backbone_of("torch"), clips)
    for engine in engines:
        found = cosines(rows_of(backbone_of(engine), clips), wanted)
        print(
            f"{engine}: {len(clips)} snippets, cosine worst {found.min():.5f}, 1st percentile"
            f" {np.percentile(found, 1):.5f}, median {np.median(found):.5f}",
            flush=True,
        )


def _map_line(what: str, truth: dict, found: dict[str, tuple[Detection, ...]], tiou: list[float]) -> None:
    result = evaluate(truth, found, tiou)
    shown = " ".join(f"@{t:g} {m:.4f}" for t, m in zip(tiou, result.map, strict=True))
    print(f"{what}: {shown}, mean {np.mean(result.map):.4f}", flush=True)


def mocap_map(folder: Path, engine: str) -> None:
    """Mean average precision of the model `mocap` on its test videos."""
    import json

    database = json.loads((folder / "annotations.json").read_text())["database"]
    tests = {name: entry for name, entry in database.items() if entry["subset"] == "testing"}
    detector = load_detector("mocap", device="cpu", engine=engine)
    paths = {name: next((folder / "videos").glob(f"{Path(name).stem}.*")) for name in tests}
    found, truth = {}, {}
    for name, path in paths.items():
        kept = up_to_date(
            folder / "features", path.name, detector.extractor.recipe.digest(), fingerprint(path)
        )
        features = load_features(kept) if kept else detector.extractor.extract(path)
        found[name] = detector.segments(features.values, features.grid, features.duration_s)
        labels = tests[name]["annotations"]
        truth[name] = [(a["label"], Segment(*map(float, a["segment"]))) for a in labels]
    _map_line(f"mocap, {engine}, {len(tests)} videos", truth, found, [0.1, 0.3, 0.5, 0.7])


def kinetics_map(folder: Path, engine: str) -> None:
    """Mean average precision of the default model on stitched timelines."""
    from ascnet_cli.model.kinetics import KineticsModel
    from tests.bench.kinetics_settings import prepare, segments

    videos = list(prepare(folder, engine))
    model = load_detector(device="cpu").model
    if not isinstance(model, KineticsModel):
        raise TypeError("the default model is another one")
    found = {name: segments(model, stored, KINETICS400, None) for name, stored, _ in videos}
    truth = {name: true for name, _, true in videos}
    _map_line(f"kinetics400, {engine}, {len(videos)} videos", truth, found, [0.1, 0.3, 0.5, 0.7])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=("speed", "accuracy", "map"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--snippets", type=int, default=500)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--mocap", type=Path)
    parser.add_argument("--kinetics", type=Path)
    options = parser.parse_args()
    if options.what == "speed":
        speed(options.rounds, time.process_time if options.busy else time.perf_counter)
    elif options.what == "accuracy":
        accuracy(options.snippets, options.engine or ["openvino", "openvino-int8"])
    else:
        for engine in options.engine or ["torch", "openvino-int8"]:
            if options.mocap:
                mocap_map(options.mocap, engine)
            if options.kinetics:
                kinetics_map(options.kinetics, engine)


if __name__ == "__main__":
    main()
