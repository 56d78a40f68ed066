"""The generator of the benchmark `ucf8`."""

import json
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from ascnet_cli.datasets.annotations import ground_truth
from ascnet_cli.datasets.catalog import load_annotations
from ascnet_cli.datasets.features import FeatureFolder
from extractors.snippets import SNIPPETS
from tests.bench import ucf8

N_TRAIN, N_TEST = 200, 100


def clip_index():
    """Labels and sides of clips: 12 a class for training, 6 for testing."""
    classes = [*ucf8.ACTIONS, *ucf8.BACKGROUND]
    labels = [name for name in classes for _ in range(18)]
    return labels, [side for _ in classes for side in ["train"] * 12 + ["test"] * 6]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder like that of the real features; row r of clip c is [c, r, ...]."""
    folder = tmp_path_factory.mktemp("clips")
    labels, sides = clip_index()
    values = np.zeros((len(labels), ucf8.CLIP_ROWS, 4), dtype=np.float16)
    values[..., 0] = np.arange(len(labels))[:, None]
    values[..., 1] = np.arange(ucf8.CLIP_ROWS)
    np.save(folder / "vgg16fc6_pca1024.npy", values)
    np.savez(folder / "labels.npz", label=np.array(labels), split=np.array(sides))
    return folder


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("ucf8")
    ucf8.make(out, seed=1, source=source)
    return out


def test_timelines_are_as_described():
    plans = ucf8.plan(*clip_index(), seed=3)
    assert Counter(side for side, _ in plans.values()) == {"train": N_TRAIN, "test": N_TEST}
    for side, pieces in plans.values():
        assert 40 <= sum(piece.n_rows for piece in pieces) <= 120
        actions = [piece.label for piece in pieces if piece.label is not None]
        assert len(actions) >= 2
        assert len(set(actions)) <= 2
        # Between two instances there is always background, of two rows or more.
        gap = None
        for piece in pieces:
            if piece.label is None:
                gap = None if gap is None else gap + piece.n_rows
            else:
                assert gap is None or gap >= 2
                gap = 0
            assert 0 <= piece.first <= piece.first + piece.n_rows <= ucf8.CLIP_ROWS
            assert clip_index()[1][piece.clip] == side


def test_a_clip_shows_what_its_label_says_and_unlabelled_ones_are_background():
    labels, _ = clip_index()
    for _, pieces in ucf8.plan(*clip_index(), seed=4).values():
        for piece in pieces:
            assert labels[piece.clip] in (ucf8.BACKGROUND if piece.label is None else [piece.label])


def test_clips_come_again_only_when_all_others_have_been_used():
    used = defaultdict(Counter)
    labels, sides = clip_index()
    for side, pieces in ucf8.plan(labels, sides, seed=5).values():
        for piece in pieces:
            used[side, labels[piece.clip]][piece.clip] += 1
    for (side, _), counts in used.items():
        assert len(counts) == (12 if side == "train" else 6)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_seed_decides_everything():
    assert ucf8.plan(*clip_index(), seed=1) == ucf8.plan(*clip_index(), seed=1)
    assert ucf8.plan(*clip_index(), seed=1) != ucf8.plan(*clip_index(), seed=2)


def test_the_folder_is_read_as_a_data_set_and_its_truth_is_that_of_its_rows(made):
    annotations = load_annotations(str(made))
    assert annotations.classes == ucf8.ACTIONS
    assert not annotations.findings
    assert len(annotations.training()) == N_TRAIN
    assert len(annotations.judged()) == N_TEST
    labels, sides = clip_index()
    folder = FeatureFolder(made / "features")
    assert folder.layout == "plain"
    truth = ground_truth(annotations.videos)
    for video in annotations.videos:
        file = folder.find(video.video)
        assert file.grid == SNIPPETS
        values = file.load()
        assert video.duration_s == pytest.approx(len(values) * 0.64, abs=1e-9)
        assert {sides[int(clip)] for clip in values[:, 0]} == {video.subset}
        for row, clip in enumerate(values[:, 0].astype(int)):
            middle_s = (row + 0.5) * 0.64
            now = {label for label, s in truth[video.video] if s.start_s <= middle_s < s.end_s}
            assert now == ({labels[clip]} & set(ucf8.ACTIONS))


def test_gaps_hold_all_rows_that_there_are():
    for seed in range(50):
        gaps = ucf8._gaps(30, 4, random.Random(seed))  # noqa: S311
        assert sum(gaps) == 30
        assert len(gaps) == 5
        assert min(gaps) >= 0
        assert min(gaps[1:-1]) >= ucf8.SHORTEST_GAP


def test_the_same_command_writes_the_same_bytes(made, source, tmp_path):
    ucf8.make(tmp_path, seed=1, source=source)
    names = sorted(p.relative_to(made) for p in made.rglob("*") if p.is_file())
    assert len(names) == 302
    assert all((made / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_the_real_source_makes_real_timelines(data_folder, tmp_path):
    ucf8.make(tmp_path, seed=1, source=data_folder / "features" / "ucf101_8cls_vgg16")
    database = json.loads((tmp_path / "annotations.json").read_text())["database"]
    assert len(database) == N_TRAIN + N_TEST
    values = np.load(tmp_path / "features" / "test_000.npy")
    assert values.shape[1] == 1024
    assert values.dtype == np.float16
