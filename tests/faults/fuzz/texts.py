"""Damaged files of every kind that is not a video, read by whatever reads them: errors of our tree, or right.

    python -m tests.faults.fuzz.texts --examples 5000 [--only NAME]

Each target is run in a child process with a bound on its memory, and each file has ten seconds. What may
come of a file is an error of the tree (`weights.errors.AscnetError`) or content that holds what its target
says it must: for files with a checksum that is the very content that was written.
"""

from __future__ import annotations

import argparse
import io
import math
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.fuzz import text_damage as damage
from tests.faults.fuzz import text_seeds as seeds
from weights.errors import AscnetError

MEMORY_BYTES = 1 << 30  # that a reader may take over what the process has already, for files under 10 MB
TIME_S = 10

Damage = Callable[[Any, bytes], bytes]


@dataclass(frozen=True)
class Target:
    """A reader, and a way to damage what it reads.

    Attributes:
        make: writes whole files into a folder; the file that is damaged.
        read: reads the folder, and holds that what comes of it is right.
        damages: ways to damage the file.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path, Path], None]
    damages: tuple[Damage, ...]


def _written(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _hold(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _annotations(path: Path, folder: Path) -> None:
    from ascnet_cli.datasets.activitynet_json import read_activitynet

    _sound(read_activitynet(path))


def _sound(found: Any) -> None:
    for video in found.videos:
        _hold(video.duration_s is None or 0 < video.duration_s < math.inf, "duration")
        for instance in video.instances:
            _hold(0 <= instance.segment.start_s < instance.segment.end_s < math.inf, "segment")
            _hold(math.isfinite(instance.segment.duration_s), "length")
    _hold(all(isinstance(line, str) for line in found.report()), "report")


def _thumos(path: Path, folder: Path) -> None:
    from ascnet_cli.datasets.thumos14 import read_thumos14

    _sound(read_thumos14(folder))


def _labels(path: Path, folder: Path) -> None:
    from ascnet_cli.datasets.folder import read_folder

    _sound(read_folder(folder))


def _predictions(path: Path, folder: Path) -> None:
    """Read, judged by two protocols, and written again."""
    from ascnet_cli.evaluation.protocols import prepare, protocol_named
    from ascnet_cli.outputs.files import read_file
    from ascnet_cli.segments import Segment

    truth = {"a": [("run", Segment(1.0, 4.5)), ("jump", Segment(5.0, 9.25))]}
    found = read_file(path)
    for name in ("custom", "wtalc"):
        result = prepare(protocol_named(name), truth, found, ignore_unknown=True).evaluate()
        _hold(all(0 <= value <= 1 for value in (*result.map, result.average)), f"mAP {result.map}")


def _segments(path: Path, folder: Path) -> None:
    """Read, looked at for whose it is, and written again in every format that can hold it."""
    from ascnet_cli.outputs.files import FORMATS, WriteOptions, check_replaceable, read_file
    from ascnet_cli.outputs.media import Media
    from ascnet_cli.segments import VideoDetections
    from weights.errors import OutputError

    with suppress(OutputError):
        check_replaceable(path)
    found = read_file(path)
    options = WriteOptions(media={video: Media(None, 25.0) for video in found})
    for form in FORMATS.values():
        if not form.one_video or len(found) == 1:
            results = [VideoDetections(video, 30.0, detections) for video, detections in found.items()]
            form.write(results, io.StringIO(newline=""), options)


def _segments_file(format: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from ascnet_cli.outputs.files import FORMATS, WriteOptions, write_file
        from ascnet_cli.outputs.media import Media
        from ascnet_cli.segments import Detection, Segment, VideoDetections

        found = (Detection("run", Segment(1.0, 4.5), 0.9), Detection("jump", Segment(2.0, 9.25), 0.5))
        path = folder / f"a.mp4{FORMATS[format].ending}"
        options = WriteOptions(media={"a.mp4": Media(None, 25.0)})
        write_file([VideoDetections("a.mp4", 30.0, found)], path, options=options)
        return path

    return make


def _assignments(path: Path, folder: Path) -> None:
    """`--set` as a person types it, and the settings that come of it written and read again."""
    from ascnet_cli.training.run_folder import toml_text
    from ascnet_cli.training.settings import DataShape, parse_overrides, resolve, settings_of

    texts = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    shape = DataShape(n_classes=3, in_dim=4, longest=20, n_videos=9)
    found = resolve("fixed", shape, dataset="own", overrides=parse_overrides([t for t in texts if t]))
    tables = {**found.tables(), "localization": found.localization.to_dict()}
    _hold(settings_of(tomllib.loads(toml_text(tables))) == found, "settings come back")


def _config(path: Path, folder: Path) -> None:
    from ascnet_cli.cli.train import _begun_with
    from ascnet_cli.training.run_folder import RunFolder

    settings = _begun_with(folder)
    _hold(settings is not None, "there is a config")
    RunFolder(folder).settings()
    for table in settings.tables().values() if settings else ():
        for name, value in table.items():
            _hold(not (isinstance(value, float) and not math.isfinite(value)), f"{name} = {value}")


def _features(path: Path, folder: Path) -> None:
    from ascnet_cli.datasets.features import FeatureFolder
    from extractors.store import load_features

    problems: list[AscnetError] = []
    try:
        stored = load_features(folder / "v.mp4.npy")
        _hold(np.array_equal(stored.values, seeds.FEATURES), "numbers of detect")
        _hold(0 < stored.duration_s < math.inf and math.isfinite(stored.grid.step_s), "times of detect")
    except AscnetError as error:
        problems.append(error)
    found = FeatureFolder(folder).find("v.mp4")
    if found is not None:
        _hold(0 < found.end_s < math.inf, "end of training")
        _hold(np.array_equal(found.load(), seeds.FEATURES), "numbers of training")
    if problems:
        raise problems[0]


def _bare_array(path: Path, folder: Path) -> None:
    """An array without a sidecar, as others publish them."""
    from ascnet_cli.datasets.features import FeatureFolder

    found = FeatureFolder(folder).find("v")
    if found is not None:
        values = found.load()
        _hold(values.ndim == 2 and values.dtype == np.float32 and np.isfinite(values).all(), "numbers")


@cache
def _converted() -> tuple[bytes, dict[str, np.ndarray]]:
    """A converted I3D, and its tensors; within `tiny_i3d`."""
    from weights.convert import convert
    from weights.files import parse_safetensors

    with tempfile.TemporaryDirectory() as folder:
        source = seeds.torch_file(Path(folder) / "a.pt", zipped=True)
        data = convert(source, Path(folder) / "a.safetensors").path.read_bytes()
    return data, parse_safetensors(data, "seed")[0]


def _i3d_file(folder: Path) -> Path:
    path = folder / "i3d.safetensors"
    path.write_bytes(_converted()[0])
    return path


def _load_i3d(path: Path, folder: Path) -> None:
    from weights.store import load

    loaded = load(path)
    wanted = _converted()[1]
    _hold(loaded.architecture == "i3d" and loaded.tensors.keys() == wanted.keys(), "names")
    for name, tensor in loaded.tensors.items():
        _hold(np.array_equal(tensor.numpy(), wanted[name]), name)


def _convert(path: Path, folder: Path) -> None:
    """What is converted at all can be loaded, and is all finite; what is not leaves no file."""
    from weights.convert import convert
    from weights.store import load

    out = folder / "out.safetensors"
    out.unlink(missing_ok=True)
    try:
        convert(path, out)
    except AscnetError:
        _hold(not out.exists(), "a file in spite of an error")
        raise
    load(out)


def _detector_file(path: Path, folder: Path) -> None:
    from ascnet_cli.model.checkpoint import load_checkpoint

    _hold(load_checkpoint(path).labels == ("run", "jump", "fly"), "labels")


def _redigested(draw: Any, data: bytes) -> bytes:
    """An ASC-Net checkpoint whose content is another one and whose digest fits it: as by a program."""
    import json

    import safetensors.torch

    from ascnet_cli.model.checkpoint import _canonical, _digest

    state = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content = damage.tree_of(draw, json.loads(header["__metadata__"]["ascnet"]))
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(state)))
        state[name] = draw(
            st.sampled_from(
                [state[name][:1], state[name].double(), state[name] * math.nan, state[name].half()]
            )
        ).contiguous()
    try:
        content["digest"] = _digest(content, state)
        return safetensors.torch.save(state, {"ascnet": _canonical(content)})
    except (ValueError, TypeError):  # no document that anything could have written
        return data


def _use_detector(path: Path, folder: Path) -> None:
    """Any whole checkpoint is one that can be used: its network runs, and its thresholds are some."""
    from ascnet_cli.detector import localization_of
    from ascnet_cli.model.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    localization_of(loaded, path)
    width = loaded.config.in_dim
    scores = loaded.model.score(np.zeros((5, width), np.float32), loaded.labels)
    _hold(scores.cas.shape[1] == len(loaded.labels), "classes")


def _state(path: Path, folder: Path) -> None:
    import torch

    from ascnet_cli.training.checkpoint import load_state

    loaded = load_state(folder, 7, torch.device("cpu"))
    _hold(loaded.step == 7, "step")
    wanted = _first_state()
    for i, values in loaded.optimiser["state"].items():
        for name, tensor in values.items():
            _hold(torch.equal(tensor, wanted.optimiser["state"][i][name]), f"optimiser {i} {name}")


@cache
def _first_state() -> Any:
    import torch

    from ascnet_cli.training.checkpoint import load_state

    with tempfile.TemporaryDirectory() as folder:
        seeds.training_state(Path(folder))
        return load_state(Path(folder), 7, torch.device("cpu"))


def _bare(folder: Path) -> Path:
    (folder / "grid.json").write_text('{"stride_frames": 16, "window_frames": 16}')
    (folder / "v.npy").write_bytes(seeds.npy_bytes(seeds.FEATURES))
    return folder / "v.npy"


_ASSIGNMENTS = b"""model.selector=none
loss.weight_nce=0.5
training.updates=300
training.learning_rate=1e-3
localization.alphas=0.1,0.2
localization.upsample=4
model.subtract_mean=false
training.snippets=40"""

_BY_FORM: dict[str, tuple[Damage, ...]] = {"json": (damage.json_of,), "label-studio": (damage.json_of,)}

TARGETS: dict[str, Target] = {
    "annotations": Target(
        _written("ann.json", seeds.as_json(seeds.ANNOTATIONS)),
        _annotations,
        (damage.json_of, damage.bytes_of),
    ),
    "thumos": Target(seeds.thumos_folder, _thumos, (damage.lines_of, damage.bytes_of)),
    "labels": Target(
        _written("labels.csv", seeds.LABELS.encode()), _labels, (damage.lines_of, damage.bytes_of)
    ),
    "predictions-csv": Target(
        _written("p.csv", seeds.PREDICTIONS_CSV.encode()), _predictions, (damage.lines_of, damage.bytes_of)
    ),
    "predictions-json": Target(
        _written("p.json", seeds.as_json(seeds.PREDICTIONS_JSON)),
        _predictions,
        (damage.json_of, damage.bytes_of),
    ),
    **{
        format: Target(
            _segments_file(format), _segments,
            (damage.digits_of, damage.lines_of, damage.bytes_of, *_BY_FORM.get(format, ())),
        )
        for format in ("csv", "json", "srt", "vtt", "eaf", "label-studio", "chapters")
    },
    "assignments": Target(
        _written("set.txt", _ASSIGNMENTS), _assignments, (damage.lines_of, damage.bytes_of)
    ),
    "config": Target(seeds.config_toml, _config, (damage.lines_of, damage.bytes_of)),
    "features": Target(lambda f: seeds.feature_pair(f)[0], _features, (damage.bytes_of,)),
    "sidecar": Target(
        lambda f: seeds.feature_pair(f)[1], _features, (damage.json_of, damage.bytes_of)
    ),
    "array": Target(_bare, _bare_array, (damage.bytes_of, damage.lines_of)),
    "weights": Target(_i3d_file, _load_i3d, (damage.bytes_of, damage.safetensors_of)),
    "convert-zip": Target(
        lambda f: seeds.torch_file(f / "a.pt", zipped=True), _convert, (damage.bytes_of,)
    ),
    "convert-legacy": Target(
        lambda f: seeds.torch_file(f / "a.pt", zipped=False), _convert, (damage.bytes_of,)
    ),
    "convert-pickle": Target(
        lambda f: seeds.numpy_pickle(f / "a.ckpt"), _convert, (damage.bytes_of,)
    ),
    "convert-bundle": Target(seeds.tensorflow_bundle, _convert, (damage.bytes_of,)),
    "convert-safetensors": Target(_i3d_file, _convert, (damage.bytes_of, damage.safetensors_of)),
    "detector": Target(seeds.trained, _detector_file, (damage.bytes_of, damage.safetensors_of)),
    "detector-made": Target(seeds.trained, _use_detector, (_redigested,)),
    "state": Target(seeds.training_state, _state, (damage.bytes_of,)),
}  # fmt: skip


def run(name: str, examples: int, *, alarm: bool = False) -> None:
    """Damage a target's file so many times; raises what must not be raised."""
    target = TARGETS[name]
    with seeds.tiny_i3d(), tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = target.make(folder)
        whole = path.read_bytes()
        target.read(path, folder)  # the file as it is has nothing wrong

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples < 1000,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def damaged(data: st.DataObject) -> None:
            way = data.draw(st.sampled_from(target.damages))
            path.write_bytes(way(data.draw, whole))
            with _within(TIME_S if alarm else 0):
                try:
                    target.read(path, folder)
                except AscnetError as error:
                    _hold(str(error), "an error without a message")

        damaged()


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    """A block that may not take longer."""
    if not seconds:
        yield
        return

    def too_long(_number: int, _frame: object) -> None:
        raise TimeoutError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _bounded(name: str, examples: int) -> None:
    """For a process of its own: the memory that a reader may take is limited."""
    import torch

    torch.set_num_threads(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    run(name, examples, alarm=True)


def main() -> int:
    """Every target in a child of its own; how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=1000, metavar="N", help="files of each kind")
    parser.add_argument("--only", choices=TARGETS, action="append", metavar="NAME", help="these kinds alone")
    asked = parser.parse_args()
    failed = 0
    for name in asked.only or TARGETS:
        child = multiprocessing.get_context("fork").Process(target=_bounded, args=(name, asked.examples))
        child.start()
        child.join()
        failed += child.exitcode != 0
        sys.stdout.write(f"{name}: {'ok' if child.exitcode == 0 else f'FAILED ({child.exitcode})'}\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
