"""What `ascnet doctor` says of a situation, and what `ascnet detect` does in it: both, as installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.synthetic import make_video

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow

NO_H264 = """
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder

class Without(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        if name != "av":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        self.real, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.real.exec_module(module)
        real, opened = module.codec.Codec, module.open
        def codec(name, mode="r"):
            if name == "h264" and mode == "r":
                raise module.codec.codec.UnknownCodecError(name)
            return real(name, mode)
        def opening(file, mode="r", **options):
            if mode == "r":
                raise module.error.DecoderNotFoundError(1, "Decoder not found", str(file))
            return opened(file, mode, **options)
        module.codec.Codec, module.open = codec, opening

sys.meta_path.insert(0, Without())
"""
NO_TMP = "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"


def stubs(*modules):
    """Modules that cannot be imported, as after half an installation."""
    return {f"{name}.py": f"raise ImportError('no {name} here')\n" for name in modules}


def ran(arguments, folder, work, **changes):
    paths = [str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "ascnet_cli", *arguments],
        cwd=work,
        env={**os.environ, "OMP_NUM_THREADS": "1", **changes, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize(
    ("files", "changes", "works"),
    [
        pytest.param({}, {}, True, id="as it is"),
        pytest.param(stubs("av"), {}, False, id="no av"),
        pytest.param(stubs("torch"), {}, False, id="no torch"),
        pytest.param(stubs("safetensors"), {}, False, id="no safetensors"),
        pytest.param(stubs("cv2", "decord", "numba", "openvino", "pebble"), {}, True, id="no others"),
        pytest.param({"sitecustomize.py": NO_H264}, {}, False, id="no H.264"),
        pytest.param({"sitecustomize.py": NO_TMP}, {}, True, id="no temporary folder"),
        pytest.param({}, {"ASCNET_DATA": "x" * 5000, "ASCNET_WEIGHTS": "~nobody-x/y"}, True, id="odd places"),
    ],
)
def test_doctor_says_what_detect_does(tmp_path, files, changes, works):
    folder, work = tmp_path / "stubs", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    video = make_video(tmp_path / "v.mp4", n_frames=25)
    detect = ran(["detect", video], folder, work, **changes)
    assert (detect.returncode == 0) is works, detect.stderr
    doctor = ran(["doctor", "--json"], folder, work, **changes)
    told = json.loads(doctor.stdout)
    assert (told["works"], told["exit_code"]) == (works, doctor.returncode)
    assert (doctor.returncode == 0) is works
    assert list(work.iterdir()) == []
    assert "Traceback" not in doctor.stderr


def test_a_folder_and_a_screen_that_take_little(tmp_path):
    """Nobody can write into /proc; segments are shown there all the same."""
    video = make_video(tmp_path / "v.mp4", n_frames=25)
    assert ran(["detect", video], tmp_path, "/proc").returncode == 0
    shown = ran(["doctor"], tmp_path, "/proc", LC_ALL="C", PYTHONUTF8="0", COLUMNS="10", NO_COLOR="1")
    assert shown.returncode == 0, shown.stdout
    assert "`ascnet detect` will work here (1 warning)" in " ".join(shown.stdout.split())
    assert "\x1b" not in shown.stdout
