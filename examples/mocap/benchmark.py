"""Make the `mocap` data set: untrimmed videos of a figure whose actions nobody has to annotate.

    python -m examples.mocap.benchmark --out mocap --workers 2
    python -m examples.mocap.benchmark --out mocap --features snippet

48 training and 24 test videos of 20 to 32 seconds. In each, one or two of ten actions happen several
times; between them the figure walks, runs, stands, or lies down and gets up again, none of it labelled.
Clothes, place, light, camera, speeds and directions are drawn anew for each video. The same seed gives the
same videos; what is there already is not made again, so a run that was stopped goes on.

Into the folder go `videos/` and `annotations.json`, in ActivityNet's format: a folder as
`ascnet train --dataset FOLDER` and `ascnet evaluate --dataset FOLDER` take it. With `--features` the videos
are made if need be, and I3D RGB features of each go into `features/` (of isolated snippets) or `dense/`, in
half precision: those in `examples/mocap/data` are the former.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .look import random_look
from .render import make_video, truth_of
from .timeline import Act

ACTIONS = (
    "backflip", "cartwheel", "crawl", "dance_a", "dance_b", "jump", "kick", "punch", "roll", "spinkick",
)  # fmt: skip
SUBSETS = {"training": 48, "testing": 24}
SHORTEST_S, LONGEST_S = 20.0, 32.0
FEATURE_FOLDERS = {"snippet": "features", "dense": "dense"}
SEED = 1  # of the data set; looks and timelines of one video come from this and its number

_ACTION_S = (1.6, 6.0)  # an instance lasts about so long
_TRIES = 50  # what no longer fits before the end is drawn again so often


@dataclass(frozen=True, slots=True)
class Plan:
    """A video to be made.

    Attributes:
        name: of its file.
        subset: `training` or `testing`.
        timeline: what happens.
        look_seed: of its clothes, place and camera.
    """

    name: str
    subset: str
    timeline: tuple[Act, ...]
    look_seed: int


def plan_all(duration_of: Callable[[str], float], seed: int = SEED) -> list[Plan]:
    """Every video of the data set; no two share a look or a timeline.

    Args:
        duration_of: from a motion's name to its seconds at speed 1; "stand" is 2 s.
        seed: of the data set.
    """
    plans: list[Plan] = []
    for subset, n_videos in SUBSETS.items():
        rng = np.random.default_rng([seed, len(plans)])
        for classes in _dealt(n_videos, rng):
            number = len(plans)
            timeline = plan_timeline(classes, duration_of, np.random.default_rng([seed, 2, number]))
            plans.append(Plan(f"mocap-{number:03d}.mp4", subset, timeline, 1000 * seed + number))
    return plans


def plan_one(classes: Sequence[str], seed: int) -> tuple[Act, ...]:
    """A timeline like those of the data set, for a video that is not in it.

    Raises:
        ValueError: a class is none of the data set's.
    """
    unknown = set(classes) - set(ACTIONS)
    if unknown:
        raise ValueError(f"no classes of mocap: {', '.join(sorted(unknown))}")
    return plan_timeline(classes, _duration_of(), np.random.default_rng([seed, 3]))


def _dealt(n_videos: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """The classes of each video, one or two in turn, all classes equally often."""
    deck: list[str] = []
    hands: list[tuple[str, ...]] = []
    for number in range(n_videos):
        hand: list[str] = []
        while len(hand) < 1 + number % 2:
            if not deck:
                deck = [str(name) for name in rng.permutation(ACTIONS)]
            # A class that this video has already waits for the next one.
            place = next((i for i, name in enumerate(deck) if name not in hand), None)
            if place is None:
                deck += [str(name) for name in rng.permutation(ACTIONS)]
                continue
            hand.append(deck.pop(place))
        hands.append(tuple(hand))
    return hands


def plan_timeline(
    classes: Sequence[str], duration_of: Callable[[str], float], rng: np.random.Generator
) -> tuple[Act, ...]:
    """Actions of some classes, each at least once, with unlabelled acts before, between and after them.

    Args:
        classes: what happens.
        duration_of: see `plan_all`.
        rng: draws everything.
    """

    def seconds(acts: Sequence[Act]) -> float:
        return sum(act.repeats * duration_of(act.motion) / act.speed for act in acts)

    goal_s = rng.uniform(SHORTEST_S, LONGEST_S - 0.5)
    acts = _interlude(rng)
    waiting = [str(name) for name in rng.permutation(list(classes))]
    for _ in range(_TRIES):
        name = waiting[0] if waiting else str(rng.choice(list(classes)))
        new = [_action(name, duration_of(name), rng), *_interlude(rng)]
        if seconds(acts) + seconds(new) <= goal_s:
            acts += new
            waiting = waiting[1:]
    rest_s = goal_s - seconds(acts)
    if rest_s > 0.4:  # stand until the end
        acts.append(Act("stand", speed=duration_of("stand") / rest_s))
    return tuple(acts)


def _action(name: str, once_s: float, rng: np.random.Generator) -> Act:
    speed = float(rng.uniform(0.85, 1.15))
    repeats = max(1, round(float(rng.uniform(*_ACTION_S)) * speed / once_s))
    return Act(
        name,
        repeats=repeats,
        label=name,
        facing_deg=float(rng.uniform(-180, 180)),
        speed=speed,
        mirrored=bool(rng.random() < 0.5),
    )


def _interlude(rng: np.random.Generator) -> list[Act]:
    """Some seconds of what is not labelled."""
    kind = str(rng.choice(["walk", "run", "stand", "lie"], p=[0.45, 0.2, 0.25, 0.1]))
    facing_deg, mirrored = float(rng.uniform(-180, 180)), bool(rng.random() < 0.5)
    speed = float(rng.uniform(0.85, 1.15))
    if kind == "lie":
        name = str(rng.choice(["getup_facedown", "getup_faceup"]))
        down = Act(name, facing_deg=facing_deg, speed=1.3 * speed, mirrored=mirrored, backwards=True)
        return [down, Act(name, speed=1.3 * speed, mirrored=mirrored)]
    repeats = int(rng.integers(*{"walk": (1, 4), "run": (2, 5), "stand": (1, 2)}[kind]))
    return [Act(kind, repeats, facing_deg=facing_deg, speed=speed, mirrored=mirrored)]


def make(plan: Plan, videos: Path, truths: Path) -> dict[str, object]:
    """Write one video and what is true of it, unless both are there.

    Args:
        plan: what to make.
        videos: folder for the video.
        truths: folder for its truth; a run that is taken up again reads it there.

    Returns:
        The video's entry in ActivityNet's database.
    """
    video, truth = videos / plan.name, truths / f"{plan.name}.json"
    if video.is_file() and truth.is_file():
        entry: dict[str, object] = json.loads(truth.read_text(encoding="utf-8"))
        return entry
    performance = make_video(plan.timeline, random_look(plan.look_seed), video)
    entry = truth_of(performance, plan.subset)
    partial = truth.with_name(f".{truth.name}.partial")
    partial.write_text(json.dumps(entry), encoding="utf-8")
    partial.replace(truth)
    return entry


def extract(folder: Path, context: str) -> Path:
    """Extract features of every video that has none yet.

    Args:
        folder: of the data set.
        context: `snippet` or `dense`.

    Returns:
        The folder of features.
    """
    from extractors.device import resolve_device
    from extractors.features import Extractor
    from extractors.recipe import FeatureRecipe
    from extractors.store import fingerprint, save_features, up_to_date
    from weights.store import load

    loaded = load("i3d-rgb-kinetics400")
    recipe = FeatureRecipe({"rgb": loaded.sha256}, context=context)
    extractor = Extractor(recipe, {"rgb": loaded.tensors}, device=resolve_device("auto"))
    out = folder / FEATURE_FOLDERS[context]
    videos = sorted((folder / "videos").glob("*.mp4"))
    for number, video in enumerate(videos, 1):
        source = fingerprint(video)
        if up_to_date(out, video.name, recipe.digest(), source) is None:
            save_features(out, video.name, extractor.extract(video), source, dtype="float16")
            print(f"features {number} of {len(videos)}: {video.name}", file=sys.stderr, flush=True)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        The exit code: 0, or 2 when the optional dependencies are missing or the arguments are wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.mocap.benchmark", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True, help="the folder of the data set")
    parser.add_argument("--workers", type=int, default=1, help="videos at a time")
    parser.add_argument(
        "--features", choices=FEATURE_FOLDERS, action="append", default=[], help="extract these, too"
    )
    options = parser.parse_args(argv)
    if importlib.util.find_spec("pybullet") is None:
        print("error: pybullet, which draws the figure, is not installed", file=sys.stderr)
        print("hint: pip install -e '.[mocap]'", file=sys.stderr)
        return 2
    plans = plan_all(_duration_of())
    videos, truth = options.out / "videos", options.out / "truth"
    for folder in (videos, truth):
        folder.mkdir(parents=True, exist_ok=True)
    database = {}
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(make, plan, videos, truth) for plan in plans]
        for number, (plan, job) in enumerate(zip(plans, jobs, strict=True), 1):
            database[plan.name] = job.result()
            print(f"{number} of {len(plans)}: {plan.name}", file=sys.stderr, flush=True)
    document = {"version": "mocap 1", "taxonomy": [], "database": database}
    out = options.out / "annotations.json"
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(out)
    print(out)
    for context in options.features:
        print(extract(options.out, context))
    return 0


def _duration_of() -> Callable[[str], float]:
    from . import motions
    from .scene import MOTIONS

    names = (*ACTIONS, "walk", "run", "getup_facedown", "getup_faceup")
    durations = {name: motions.load(name, MOTIONS).duration_s for name in names}
    return {**durations, "stand": 2.0}.__getitem__


if __name__ == "__main__":
    sys.exit(main())
