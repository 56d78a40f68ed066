"""Labels and segments that break what is not careful: for the tests of formats."""

from __future__ import annotations

from hypothesis import strategies as st

from ascnet_cli.segments import Detection, Segment, VideoDetections

HOSTILE = (
    "<script>alert(1)</script>",
    "<b>run</b>",
    "]]>",
    "-->",
    "00:00:01,000 --> 00:00:02,000",
    "a\nb",
    "a\n\nb",
    "\r\n",
    "\x00",
    "\x1b[31m",
    "\x0b\x0c\x85\u2028\u2029",
    "\ufeffa",
    "\ufffe",
    "&amp;",
    "&lt",
    "'\"",
    "{\\an8}run",
    "\\N",
    " run ",
    "\u3000run",
    "run (2)",
    "run (0.50)",
    "=1+1",
    "a=b;c#d\\e",
    "[CHAPTER]",
    "START=0",
    ";comment",
    "#",
    "NOTE",
    "WEBVTT",
    "1",
    "🤸",
    "العربية",
)

labels = st.text(st.characters(), min_size=1, max_size=12) | st.sampled_from(HOSTILE)
segments = st.tuples(st.integers(0, 10**9), st.integers(1, 10**7)).map(
    lambda ms: Segment(ms[0] / 1000, (ms[0] + ms[1]) / 1000)
)
detections = st.builds(
    lambda label, segment, score: Detection(label, segment, score / 100),
    labels,
    segments,
    st.integers(-(10**4), 10**4),
)


def video(*found: Detection, name: str = "a.mp4") -> VideoDetections:
    """The results of one video."""
    return VideoDetections(name, 60.0, found)


def run(start_s: float | int, end_s: float | int, score: float = 0.5, label: str = "run") -> Detection:
    """A detection."""
    return Detection(label, Segment(float(start_s), float(end_s)), score)
