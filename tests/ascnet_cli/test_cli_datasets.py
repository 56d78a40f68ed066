"""`ascnet datasets`."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ascnet_cli.datasets.features import write_grid
from extractors.snippets import SNIPPETS
from tests.cli_tools import ascnet

LABELS = "video,label,subset\na,run,train\nb,run,test\nc,hop,train\n"


@pytest.fixture
def folder(tmp_path):
    """A data set of one's own: c has no features, b's are far too short."""
    own = tmp_path / "own"
    (own / "features").mkdir(parents=True)
    (own / "labels.csv").write_text(LABELS)
    database = {
        name: {"duration": 64.0, "annotations": [{"label": "run", "segment": [1, 2]}]} for name in "ab"
    }
    (own / "annotations.json").write_text(json.dumps({"database": database}))
    for name, n_rows in (("a", 100), ("b", 50), ("d", 3), ("e", 3)):
        np.save(own / "features" / f"{name}.npy", np.zeros((n_rows, 4), np.float32))
    write_grid(own / "features", SNIPPETS)
    return own


def complete(folder):
    for name in "bc":
        np.save(folder / "features" / f"{name}.npy", np.zeros((100, 4), np.float32))


def test_check_says_what_is_there_and_what_is_not(folder):
    ran = ascnet("datasets", "check", folder)
    assert ran.code == 5
    lines = ran.out.splitlines()
    assert lines[0] == "own: 3 videos, 2 classes"
    assert "features: 2 of 3 videos, layout plain, 4 numbers a row" in lines
    assert lines[lines.index("missing: 1") + 1] == "  c"
    assert lines[lines.index("of the wrong length: 1") + 1] == "  b: 50 rows, 64.0 s need 100"
    error, hint = ran.errors
    assert error == f"error: {folder} is not complete"
    assert hint.startswith("hint: ")


def test_check_of_what_is_complete(folder):
    complete(folder)
    ran = ascnet("datasets", "check", folder)
    assert (ran.code, ran.err) == (0, "")
    assert "of unknown duration: 1" in ran.out


def test_check_as_json(folder):
    ran = ascnet("datasets", "check", folder, "--json")
    assert ran.code == 5
    assert ran.json["good"] is False
    assert ran.json["features"]["missing"] == ["c"]
    assert ran.json["features"]["wrong_length"][0]["video"] == "b"
    complete(folder)
    ran = ascnet("datasets", "check", folder, "--json")
    assert ran.code == 0
    assert (ran.json["good"], ran.json["features"]["next_step"]) == (True, None)


def test_check_with_features_elsewhere(folder, tmp_path):
    complete(folder)
    (folder / "features").rename(tmp_path / "elsewhere")
    ran = ascnet("datasets", "check", folder)
    assert ran.code == 5
    assert "features: 0 of 3 videos" in ran.out
    assert "no features" in ran.err
    assert ascnet("datasets", "check", folder, "--features", tmp_path / "elsewhere").code == 0


def test_check_of_an_annotation_file(folder):
    ran = ascnet("datasets", "check", folder / "annotations.json")
    assert ran.code == 5  # b is still too short; c is not in this file
    assert "features: 2 of 2 videos" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check", "thumos41"], 2, "did you mean thumos14?"),
        (["check", "thumos14"], 5, "thumos14 is not at"),
        (["check", "."], 5, "neither labels.csv nor annotations.json"),
        (["prepare", "none"], 5, "not a folder"),
        (["prepare", ".", "--fps", "25"], 2, "belong together"),
        (["prepare", ".", "--window", "25"], 2, "belong together"),
        (["prepare", ".", "--fps", "0", "--stride", "16"], 2, "--fps"),
    ],
)
def test_what_is_refused(arguments, code, said):
    ran = ascnet("datasets", *arguments)
    assert ran.code == code
    assert ran.out == ""
    assert said in ran.err
    assert len(ran.errors) == 2


def test_prepare_records_when_features_are(folder):
    complete(folder)
    grid = folder / "features" / "grid.json"
    grid.unlink()
    ran = ascnet("datasets", "check", folder)
    assert ran.code == 5
    assert "--fps 25 --stride 16" in ran.err
    assert ascnet("datasets", "prepare", folder / "features").code == 2
    ran = ascnet(
        "datasets", "prepare", folder / "features", "--fps", "25", "--stride", "16", "--offset", "1.5"
    )
    assert ran.code == 0
    assert str(grid) in ran.out
    assert json.loads(grid.read_text()) == {
        "stride_frames": 16,
        "window_frames": 16,
        "fps": 25,
        "lag_frames": 1.5,
    }
    assert ascnet("datasets", "check", folder).code == 0


def test_prepare_of_wtalcs_arrays(data_folder, tmp_path):
    arrays = data_folder / "annotations" / "thumos14" / "wtalc_reduced"
    ran = ascnet("datasets", "prepare", arrays, "--out", tmp_path / "thumos14", "--json")
    assert ran.code == 0
    assert ran.json == [{"path": str(tmp_path / "thumos14" / "annotations.json"), "what": "annotations"}]
    ran = ascnet("datasets", "check", "thumos14", "--data", tmp_path / "thumos14")
    assert ran.code == 5
    assert "test: 210 videos, 3311 instances" in ran.out


def test_list(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCNET_DATA", str(tmp_path))
    ran = ascnet("datasets", "list")
    assert ran.code == 0
    assert ran.out.count("not here") == 2
    rows = ascnet("datasets", "list", "--json").json
    assert [row["name"] for row in rows] == ["thumos14", "activitynet13", "mocap"]
    assert rows[0]["folder"] == str(tmp_path / "thumos14")
    assert "is not at" in rows[0]["problem"]


def test_list_of_what_is_here(data_folder, tmp_path, monkeypatch):
    (tmp_path / "thumos14").symlink_to(data_folder / "annotations" / "thumos14")
    monkeypatch.setenv("ASCNET_DATA", str(tmp_path))
    rows = ascnet("datasets", "list", "--json").json
    assert [row["videos"] for row in rows] == [410, None, 72]


@pytest.mark.parametrize("command", [["datasets", "--help"], ["datasets", "check", "."]])
def test_neither_torch_nor_a_decoder_is_loaded(command):
    program = (
        "import sys\n"
        "from ascnet_cli.cli.app import main\n"
        f"sys.argv = ['ascnet', *{command!r}]\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print(sorted({'torch', 'av', 'cv2'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "[]"
