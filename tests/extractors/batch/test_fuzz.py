"""Damaged files by the hundred: each is done or recorded, and the batch goes on."""

import json
import random

import numpy as np
import pytest

from extractors.batch.engine import TimeLimit
from extractors.batch.local import LocalEngine
from extractors.batch.worker import Orders
from extractors.store import load_features
from tests.extraction_tools import PlainSource, extract_all
from tests.synthetic import H264_B, MPEG4, make_video

KINDS = ("flip", "zero", "truncate", "insert")
SOURCES = {"mp4": H264_B, "mkv": H264_B, "avi": MPEG4}


def damaged(data: bytes, kind: str, draw: random.Random) -> bytes:
    position, length = draw.randrange(len(data)), draw.choice((1, 16, 400))
    if kind == "flip":
        changed = bytearray(data)
        for place in range(position, min(position + length, len(data))):
            changed[place] ^= draw.randrange(1, 256)
        return bytes(changed)
    if kind == "zero":
        return data[:position] + bytes(length) + data[position + length :]
    if kind == "truncate":
        return data[:position]
    return data[:position] + draw.randbytes(length) + data[position:]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("n_each", [1, pytest.param(25, marks=pytest.mark.slow)])
def test_every_damaged_file_is_done_or_recorded(tmp_path, n_each):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    draw = random.Random(n_each)  # noqa: S311
    for ending, codec in SOURCES.items():
        data = make_video(tmp_path / f"whole.{ending}", n_frames=40, codec=codec).read_bytes()
        for kind in KINDS:
            for number in range(n_each):
                # Named mp4 whatever it is: what a file is called decides nothing.
                (folder / f"{ending}-{kind}-{number:02}.mp4").write_bytes(damaged(data, kind, draw))
    source = PlainSource()
    limit = TimeLimit(30.0)
    engine = LocalEngine(source, Orders(), n_workers=1, n_threads=1, limit=limit)
    outcomes = extract_all(folder, out, engine)
    assert len(outcomes) == len(SOURCES) * len(KINDS) * n_each
    records = {}
    if (out / "failures.jsonl").exists():
        lines = (out / "failures.jsonl").read_text().splitlines()
        records = {record["video"]: record for record in map(json.loads, lines)}
    for video, outcome in outcomes.items():
        if outcome.state == "done":
            assert np.isfinite(load_features(out / f"{video}.npy").values).all()
            assert video not in records
        else:
            assert records[video]["message"]
            assert records[video]["error_class"]
            assert records[video]["error_class"] not in ("WorkerCrashed", "TimeoutError")
            assert not (out / f"{video}.npy").exists()
    states = [outcome.state for outcome in outcomes.values()]
    assert states.count("done") >= len(states) / 4  # most damage leaves something to be read
