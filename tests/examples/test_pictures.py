"""The pictures of the README: what they need, and how large they may be."""

import stat

import numpy as np
import pytest
from PIL import Image

from ascnet_cli.errors import OptionError, OutputError
from examples import pictures
from tests.synthetic import make_video


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_without_a_browser_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr("sys.argv", ["pictures"])
    with pytest.raises(OptionError, match="Chromium"):
        pictures.find_chromium()
    assert pictures.main() == 2
    assert "hint: apt-get install chromium" in capsys.readouterr().err


def test_the_browser_may_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", script(tmp_path / "chrome", "true"))
    assert pictures.find_chromium() == str(tmp_path / "chrome")


def test_a_browser_that_takes_no_picture(tmp_path):
    browser = script(tmp_path / "chrome", "echo cannot start >&2; exit 1")
    with pytest.raises(OutputError, match="cannot start"):
        pictures.write_screenshot(tmp_path / "page.html", tmp_path / "a.png", tmp_path, browser)
    assert not (tmp_path / "a.png").exists()


def test_a_picture_of_few_colours(tmp_path):
    Image.new("RGB", (40, 30), "#0072b2").save(tmp_path / "ready.png")
    copy = f'for last; do case "$last" in --screenshot=*) cp {tmp_path}/ready.png "${{last#*=}}";; esac; done'
    browser = script(tmp_path / "chrome", copy)
    pictures.write_screenshot(tmp_path / "page.html", tmp_path / "a.png", tmp_path, browser)
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.size, picture.mode) == ((40, 30), "P")
        assert picture.convert("RGB").getpixel((5, 5)) == (0, 0x72, 0xB2)


def noisy_video(path, n_frames=50):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(n_frames)]
    return make_video(path, n_frames=n_frames, fps=5, size=(128, 96), pictures=frames)


def test_the_moving_picture_is_a_stretch_at_a_steady_rate(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_FROM_S", 2.0)
    monkeypatch.setattr(pictures, "_TO_S", 4.0)
    monkeypatch.setattr(pictures, "_RATE_HZ", 2)
    monkeypatch.setattr(pictures, "_WIDTH_PX", 64)
    path = pictures.write_moving(noisy_video(tmp_path / "v.mp4"), tmp_path / "a.webp")
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.size) == (4, (64, 48))


def test_a_moving_picture_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_BYTES", 100)
    monkeypatch.setattr(pictures, "_TO_S", 2.5)
    with pytest.raises(OutputError, match="larger than 100 bytes"):
        pictures.write_moving(noisy_video(tmp_path / "v.mp4", 20), tmp_path / "a.webp")


def test_the_pictures_that_ship_are_small():
    shipped = list((pictures._HERE / "pictures").iterdir())
    assert {path.name for path in shipped} == {"annotated.webp", "report.png"}
    assert sum(path.stat().st_size for path in shipped) < 1_000_000
