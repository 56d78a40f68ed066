"""Names of clips: readable, safe everywhere, never the same twice."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascnet_cli.outputs.clip_names import clip_names
from ascnet_cli.segments import Detection, Segment, VideoDetections

# What trips file systems up, beside whatever hypothesis thinks of.
HOSTILE = [
    "con", "CON.x", "nul", "Aux", "com1", "LPT²", "CONIN$", "..", ".", "-rf", ".hidden", "a/b", "a\\b", "a:b",
    "a?*<>|\"b", "tab\tnew\nline\r", "\x00", "\u202egpj", "e\u0301", "é", "É", "ß", "SS", "ſ", "K", "K",
    "\ufb01", "fi", "高跳び", "ऊंची", "\udcff", "🏃", "x" * 300, "é" * 300, "高" * 300, "ᾂ" * 200, "a ", "a.",
    "",    "i", "İ", "ı", "I", "a\u200db", "ab", "a\ufe0f", "_", "__", "%03d", "~", "a b", "a_b", "A_B",
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))
TIMES = st.sampled_from([0.0, 0.0001, 1.0, 1.0004, 2.5, 1e4, 4e8])


ENTRIES = st.tuples(TEXTS, TIMES, TIMES, st.sampled_from([0.1, 0.2]))
VIDEOS = st.dictionaries(TEXTS, st.lists(ENTRIES, max_size=6), max_size=5)


def results_of(videos):
    # Made outside of the strategy: the checks of types draw random numbers of their own.
    return [
        VideoDetections(
            video,
            10.0,
            tuple(Detection(label or "x", Segment(a, a + b + 0.5), score) for label, a, b, score in entries),
        )
        for video, entries in videos.items()
    ]


def keys(name):
    """A name as file systems compare it: by bytes, without case, composed, decomposed, by compatibility."""
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    return {changed for form in forms for changed in (form.lower(), form.upper(), form.casefold())}


@settings(max_examples=60)
@given(VIDEOS)
def test_no_two_names_are_the_same_to_any_file_system(videos):
    results = results_of(videos)
    names = clip_names(results)
    assert {video: len(of) for video, of in names.items()} == {r.video: len(r.detections) for r in results}
    seen = {}
    for video, of in names.items():
        for place, name in enumerate(of):
            for key in keys(name):
                assert seen.setdefault(key, (video, place)) == (video, place)


@settings(max_examples=60)
@given(VIDEOS)
def test_every_name_is_safe_on_any_file_system(videos):
    for of in clip_names(results_of(videos)).values():
        for name in of:
            assert len(name.encode()) <= 200
            assert len(unicodedata.normalize("NFD", name).encode("utf-16-le")) // 2 <= 255
            assert unicodedata.normalize("NFC", name) == name
            assert name.endswith(".mp4")
            assert name[0] not in "-. ~"
            assert not name.removesuffix(".mp4").endswith((".", " "))
            assert not re.search(r'[<>:"/\\|?*%\s\x00-\x1f\x7f$\'`;&!#]', name)
            assert not any(unicodedata.category(c)[0] in "CZ" for c in name)
            device = re.fullmatch(
                r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", name.split(".")[0]
            )
            assert not device


@settings(max_examples=60)
@given(VIDEOS, st.randoms())
def test_names_do_not_depend_on_the_order_of_videos(videos, random):
    results = results_of(videos)
    before = dict(clip_names(results))
    random.shuffle(results)
    assert dict(clip_names(results)) == before


def names_of(video, *entries):
    found = tuple(Detection(label, Segment(a, b), 0.5) for label, a, b in entries)
    return clip_names([VideoDetections(video, 10.0, found)])[video]


def test_ordinary_names_are_readable():
    assert names_of(
        "day 1/v_GGSY1Qvo990.mp4", ("CliffDiving", 1.0, 2.5), ("clean and jerk", 0.0, 12.3456)
    ) == (
        "day_1_v_GGSY1Qvo990__CliffDiving__1.000-2.500.mp4",
        "day_1_v_GGSY1Qvo990__clean_and_jerk__0.000-12.346.mp4",
    )
    assert names_of("b.avi", ("高跳び", 0.0, 1.0)) == ("b__高跳び__0.000-1.000.mp4",)


def test_names_that_would_collide_end_in_a_number_of_their_own():
    names = names_of("a.mp4", ("run", 1.0, 2.0), ("Run", 1.0, 2.0), ("walk", 1.0, 2.0), ("run", 1.0, 2.0))
    assert names[2] == "a__walk__1.000-2.000.mp4"
    assert len({name.lower() for name in names}) == 4
    assert all(re.fullmatch(r"a__[rR]un__1\.000-2\.000~[0-9a-f]{8}(-2)?\.mp4", names[k]) for k in (0, 1, 3))


def test_devices_of_windows_are_not_named():
    assert names_of("con.v2.mp4", ("x", 0.0, 1.0)) == ("_con.v2__x__0.000-1.000.mp4",)


def test_a_video_that_is_there_twice_is_an_error():
    with pytest.raises(ValueError, match="twice"):
        clip_names([VideoDetections("a", 1.0, ()), VideoDetections("a", 1.0, ())])
