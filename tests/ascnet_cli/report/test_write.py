"""Files of a report, their names, their data and their policy, without a browser."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import replace
from hashlib import sha256
from html import unescape
from importlib import resources
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.errors import OptionError, OutputError, VideoError
from ascnet_cli.outputs.colours import styles_of
from ascnet_cli.outputs.report import html, media, write_report
from ascnet_cli.outputs.report.html import asset, data_block
from ascnet_cli.outputs.report.media import url_from
from ascnet_cli.outputs.report.page import CURVE_STEPS
from ascnet_cli.outputs.report.write import page_name, pages_folder
from tests.ascnet_cli.report.pages import NASTY, NASTY_VIDEO, TRUTH, curves, found, page, result

# Any bytes but 0 and "/".
FILE_NAMES = st.binary(min_size=1, max_size=12).map(
    lambda name: name.replace(b"\0", b"0").replace(b"/", b":")
)


def data_of(path):
    text = path.read_text(encoding="utf-8")
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(block)


def write_one(tmp_path, **changes):
    path = tmp_path / "report.html"
    assert write_report([page(**changes)], path) == (path,)
    return path


def policy_of(text):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    return dict(part.strip().split(" ", 1) for part in unescape(policy).split(";"))


def test_the_policy_names_the_very_script_and_style_of_the_page(tmp_path):
    text = write_one(tmp_path).read_text(encoding="utf-8")
    policy = policy_of(text)
    for directive, tag in (("script-src", 'script type="module"'), ("style-src", "style")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)
        digest = base64.b64encode(sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["media-src"] == "'none'"
    assert "connect-src" not in policy


def test_a_linked_video_is_let_in_from_where_the_page_is_alone(tmp_path):
    policy = policy_of(write_one(tmp_path, video=tmp_path / "a.mp4").read_text(encoding="utf-8"))
    assert (policy["media-src"], policy["connect-src"]) == ("'self' file: blob:", "'self'")


def test_nothing_of_a_page_comes_from_anywhere_else(tmp_path):
    text = write_one(tmp_path, video=tmp_path / "a.mp4").read_text(encoding="utf-8")
    assert re.findall(r'\b(?:src|href)="([^"#]+)"', text) == ["a.mp4"]
    assert "http" not in text.replace("http-equiv", "").replace('startsWith("http")', "")


@settings(max_examples=50)
@given(st.lists(st.text(alphabet='<>&/!-scriptä\u2028\ud800"\\ ', max_size=12) | st.integers(), max_size=3))
def test_a_block_of_data_is_ascii_that_ends_no_block_and_comes_back(values):
    block = data_block(values)
    assert block.isascii()
    assert not set(block) & set("<>&")
    assert json.loads(block) == values


def test_a_number_that_is_not_finite_is_no_data():
    with pytest.raises(ValueError, match="JSON"):
        data_block([float("nan")])


def test_names_are_escaped_where_the_template_shows_them(tmp_path):
    text = write_one(tmp_path, result=result(NASTY_VIDEO, found((NASTY, 0.5, 1.0, 0.5)))).read_text("utf-8")
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2


@pytest.mark.parametrize("wanted", [None, 'A & "B"'])
def test_a_title_of_ones_own(tmp_path, wanted):
    path = tmp_path / "report.html"
    write_report([page()], path, title=wanted)
    assert f"<title>{'A &amp; &#34;B&#34;' if wanted else 'clip.mp4'}</title>" in path.read_text("utf-8")


def test_times_are_rounded_as_in_the_csv(tmp_path):
    rows = found(("a", 1.0006, 1.0009, 0.70000049), ("b", 0.0, 4.0, -0.0))
    data = data_of(write_one(tmp_path, result=result(detections=rows), curves=None))
    assert data["segments"] == [[0, 1001, 1002, 0.7], [1, 0, 4000, 0.0]]
    assert data["truth"] is data["curves"] is None


def test_the_verdicts_are_those_of_the_evaluation(tmp_path):
    data = data_of(write_one(tmp_path, truth=TRUTH))
    assert [row[4:] for row in data["segments"]] == [[0, 0.8], [-1, 0.5], [1, 1.0], [-1, 0.0]]
    assert [row[3] for row in data["truth"]] == [0, 2, -1]


def test_a_bound_on_scores_changes_no_other_match():
    from ascnet_cli.outputs.report.truth import judge

    rng = np.random.default_rng(3)
    starts = rng.uniform(0, 50, 60)
    rows = [
        (f"c{k % 2}", float(s), float(s + rng.uniform(1, 6)), float(rng.uniform()))
        for k, s in enumerate(starts)
    ]
    truth = found(*((f"c{k % 2}", 4.0 * k, 4.0 * k + 3.5, 1.0) for k in range(12)))
    everything = found(*rows)
    whole = judge(everything, truth, 0.3)
    kept = [k for k, d in enumerate(everything) if d.score >= 0.5]
    part = judge([everything[k] for k in kept], truth, 0.3)
    assert part.instance_of == tuple(whole.instance_of[k] for k in kept)
    assert sum(place >= 0 for place in part.instance_of) > 3


def test_curves_come_back_within_a_step(tmp_path):
    seen = curves("jump", "other")
    data = data_of(write_one(tmp_path, curves=seen))["curves"]
    steps = np.frombuffer(base64.b64decode(data["activations"][1]), "<u2")
    assert np.abs(steps / CURVE_STEPS - seen.activations_TK[:, 1]).max() <= 0.5001 / CURVE_STEPS
    assert data["times_ms"] == [round(t * 1000) for t in seen.times_s]
    assert (data["alphas"], data["betas"]) == (list(seen.alphas), list(seen.betas))
    assert data_of(write_one(tmp_path, curves=curves("jump", attention=False)))["curves"]["attention"] is None


def test_classes_that_were_found_have_colours_and_the_others_are_grey(tmp_path):
    labels = {row["name"]: row["colour"] for row in data_of(write_one(tmp_path))["labels"]}
    styles = styles_of(["jump", "throw"])
    assert labels == {"jump": styles["jump"].colour, "throw": styles["throw"].colour, "other": "#8b919b"}


def test_many_videos_are_an_index_and_pages_beside_it_in_the_same_colours(tmp_path):
    one, other = page(), page(result=result("b/clip.mp4", found(("zigzag", 0.0, 1.0, 0.5))), curves=None)
    path = tmp_path / "all.html"
    written = write_report([one, other], path)
    assert written[0] == path
    assert {file.parent for file in written[1:]} == {tmp_path / "all_pages"} == {pages_folder(path)}
    linked = [path.parent / video["url"] for video in data_of(path)["videos"]]
    assert linked == list(written[1:])
    assert 'href="../all.html"' in written[1].read_text("utf-8")
    (style,) = data_of(written[2])["labels"]
    assert style["colour"] == styles_of(["jump", "throw", "zigzag"])["zigzag"].colour
    again = write_report([other, one], path)
    assert set(again) == set(written)


def test_no_video_at_all_is_an_empty_index(tmp_path):
    write_report([], tmp_path / "report.html")
    assert data_of(tmp_path / "report.html")["videos"] == []


def test_the_same_video_twice(tmp_path):
    with pytest.raises(ValueError, match=r"clip\.mp4"):
        write_report([page(), page()], tmp_path / "report.html")


@pytest.mark.parametrize("tiou", [0.0, 1.1])
def test_a_tiou_out_of_range(tmp_path, tiou):
    with pytest.raises(OptionError, match="tIoU"):
        write_report([page(truth=TRUTH)], tmp_path / "report.html", tiou=tiou)


def test_a_folder_that_is_not_there(tmp_path):
    for pages in ([page()], []):
        with pytest.raises(OutputError, match="does not exist"):
            write_report(pages, tmp_path / "missing" / "report.html")


def test_an_embedded_video_is_the_file_to_the_byte(tmp_path):
    video = tmp_path / "clip.mov"
    video.write_bytes(bytes(range(256)))
    write_report([page(video)], tmp_path / "report.html", embed=True)
    text = (tmp_path / "report.html").read_text("utf-8")
    (encoded,) = re.findall(r'src="data:video/mp4;base64,([^"]*)"', text)
    assert base64.b64decode(unescape(encoded)) == video.read_bytes()
    assert policy_of(text)["media-src"] == "data:"


def test_what_is_too_large_to_embed_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "EMBED_LIMIT_BYTES", 2_000_000)
    big = tmp_path / "big.mp4"
    with big.open("wb") as file:
        file.truncate(2_400_000)
    pages = [page(), page(big, result=result("big.mp4"))]
    with pytest.raises(OptionError, match=r"big\.mp4 has 2 MB: a page can embed 2 MB at most"):
        write_report(pages, tmp_path / "report.html", embed=True)
    assert list(tmp_path.iterdir()) == [big]


def test_what_is_to_be_embedded_and_is_not_there(tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: cannot be read"):
        write_report([page(tmp_path / "gone.mp4")], tmp_path / "report.html", embed=True)


@given(
    st.lists(
        st.binary(min_size=1, max_size=12).filter(lambda b: not set(b) & {0, 47}), min_size=1, max_size=3
    )
)
def test_a_link_leads_to_the_bytes_of_the_name(parts):
    parts = [part for part in parts if part not in (b".", b"..")] or [b"a"]
    target = Path("/videos", *map(os.fsdecode, parts))
    url = url_from(Path("/videos/reports/page.html"), target)
    assert url.isascii()
    assert not set(url) & set(":?#\"'<>& ")
    assert unquote_to_bytes(url) == b"../" + b"/".join(parts)


def test_a_link_is_relative_to_the_page_wherever_the_command_ran(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    assert url_from(Path("../out/report.html"), Path("a.mp4")) == "../in/a.mp4"


@pytest.mark.parametrize("video", ["con", "a/b.mp4", "a\\b", "x" * 300, "\udcff.mp4", "\ud800", "...", "é ö"])
def test_names_of_pages_are_safe_everywhere(video):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}-[0-9a-f]{10}\.html", page_name(video))


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_of_pages_differ_as_those_of_videos_do(one, other):
    assert (page_name(one).casefold() == page_name(other).casefold()) == (one == other)


def test_a_video_without_a_picture_has_no_thumbnail(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    write_report([page(broken), page(result=result("b.mp4"))], tmp_path / "report.html")
    assert [video["thumbnail"] for video in data_of(tmp_path / "report.html")["videos"]] == ["", ""]


def test_all_assets_travel_with_the_package():
    """What is installed is found through the package, and every asset is a part of some page."""
    from ascnet_cli.outputs.report import write

    there = {file.name for file in resources.files(html.__package__).joinpath("assets").iterdir()}
    parts = {*write._PAGE_SCRIPTS, *write._PAGE_STYLES, *write._INDEX_SCRIPTS, *write._INDEX_STYLES}
    assert there == {*parts, "page.html", "index.html"}
    for name in there:
        assert "innerHTML" not in asset(name)
        assert "</" not in asset(name) or name.endswith(".html")


def test_a_page_needs_no_label_in_its_curves(tmp_path):
    bare = replace(curves("jump"), labels=(), activations_TK=np.zeros((12, 0), np.float32))
    assert data_of(write_one(tmp_path, curves=bare))["curves"]["labels"] == []
