"""Which codecs are said to be here."""

import pytest

from ascnet_cli.doctor import codecs
from ascnet_cli.doctor.codecs import look_at_codecs


def test_the_wheel_has_them_all():
    finding = look_at_codecs()
    assert finding.state == "ok"
    assert all(finding.facts["decoders"].values())
    assert set(finding.facts["decoders"]) == {"h264", "hevc", "vp9", "av1", "mpeg4"}
    assert finding.facts["encoders"] == {"libx264": True}


@pytest.mark.parametrize(
    ("missing", "state", "code"),
    [("h264", "problem", 1), ("hevc", "warning", 0), ("libx264", "warning", 0)],
)
def test_what_is_missing_is_named(monkeypatch, missing, state, code):
    monkeypatch.setattr(codecs, "_has", lambda name, _mode: name != missing)
    finding = look_at_codecs()
    assert (finding.state, finding.exit_code) == (state, code)
    assert missing in finding.hint


def test_a_name_that_ffmpeg_does_not_know():
    assert not codecs._has("no such codec", "r")
    assert not codecs._has("libx264", "r")
