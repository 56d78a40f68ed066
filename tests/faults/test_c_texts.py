"""C08 to C12: configurations, annotations, predictions, and names that try to become something else."""

import importlib
import io
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ascnet_cli.datasets import thumos14
from ascnet_cli.datasets.assembly import RawVideo
from ascnet_cli.datasets.rules import RULES, Findings, Policies
from ascnet_cli.datasets.thumos14 import CLASSES
from ascnet_cli.errors import OptionError, PredictionsError
from ascnet_cli.evaluation.detection import evaluate
from ascnet_cli.outputs import csv_file, files, label_studio
from ascnet_cli.outputs.media import Media
from ascnet_cli.segments import Detection, Segment, VideoDetections
from ascnet_cli.training.config_file import read_settings
from tests.ascnet_cli.folder_tools import write_folder
from tests.cli_tools import ascnet as ascnet_here
from tests.faults.commands import ascnet, said_well
from tests.faults.fuzz import text_seeds as seeds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("sports"), n_train=4, n_test=1)


# C08

ASSIGNMENTS = {
    "an unknown name": (["model.selektor=none"], "did you mean model.selector"),
    "an unknown table": (["modell.selector=none"], "did you mean model.selector"),
    "another kind": (["training.snippets=many"], "training.snippets cannot be 'many'"),
    "a fraction": (["training.snippets=1.5"], "training.snippets cannot be '1.5'"),
    "NaN": (["training.learning_rate=nan"], "learning_rate must be finite"),
    "1e400": (["training.learning_rate=1e400"], "learning_rate must be finite"),
    "a choice that is none": (["model.selector=best"], "model.selector cannot be 'best'"),
    "twice": (["loss.weight_nce=1", "loss.weight_nce=2"], "loss.weight_nce is set twice"),
    "no value": (["loss.weight_nce"], "not a setting"),
    "thousands of digits": (["training.updates=" + "9" * 5000], "training.updates cannot be"),
    "as wide as memory": (["model.embed_dim=4000000000"], "embed_dim must be from 1 to"),
}


@pytest.mark.parametrize("kind", ASSIGNMENTS)
def test_C08_a_setting_that_is_none_is_refused_with_the_nearest(data, kind):
    texts, said = ASSIGNMENTS[kind]
    arguments = [part for text in texts for part in ("--set", text)]
    ran = ascnet_here("train", "--dataset", data, "--settings", *arguments)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert ran.out == ""


@pytest.mark.slow
def test_C08_met_on_the_command_line(tmp_path, data):
    done = ascnet("train", "--dataset", data, "--set", "training.update=3", cwd=tmp_path)
    said_well(done, 2, "no setting 'training.update'", "did you mean training.updates")


CONFIGS = {
    "an unknown key": (
        "[training]",
        "[training]\nupdatez = 3",
        r"config\.toml:\d+: no setting training\.updatez",
    ),
    "an unknown table": ("[training]", "[trainning]", r"config\.toml:\d+: no table of settings 'trainning'"),
    "a table that is none": ("[model]", "loss = 3\n[model]", r"config\.toml"),
    "text for a number": ("batch_size = 8", 'batch_size = "8"', r":\d+: training\.batch_size cannot be '8'"),
    "a fraction": ("batch_size = 8", "batch_size = 8.5", r":\d+: training\.batch_size cannot be 8\.5"),
    "true for a number": ("batch_size = 8", "batch_size = true", r"training\.batch_size cannot be True"),
    "NaN": ("learning_rate = 0.0001", "learning_rate = nan", r":\d+: training\.learning_rate cannot be nan"),
    "1e400": ("learning_rate = 0.0001", "learning_rate = 1e400", r"training\.learning_rate cannot be inf"),
    "a duplicate key": (
        "batch_size = 8",
        "batch_size = 8\nbatch_size = 9",
        r"damaged: Cannot overwrite.*line \d+",
    ),
    "a duplicate table": ("[loss]", "[model]\n[loss]", r"damaged: .*\[?model.*line \d+"),
    "tags of YAML": (
        "batch_size = 8",
        "batch_size: !!python/object/apply:os.system [ls]",
        r"damaged: .*line \d+",
    ),
    "deep brackets": ("batch_size = 8", "batch_size = " + "[" * 5000, r"nested too deeply"),
    "deep tables": ("batch_size = 8", "x = " + "{a=" * 5000, r"nested too deeply"),
    "10 MB": ("batch_size = 8", "batch_size = 8\n" + "# a comment\n" * 900_000, r"larger than 1 MiB"),
    "no UTF-8": ("batch_size = 8", "batch_size = '\udcff'", r"not UTF-8"),
    "a missing key": ("batch_size = 8", "", r"config\.toml: .*training"),
    "out of range": ("batch_size = 8", "batch_size = 0", r"batch_size must be at least 1"),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_C08_a_config_file_is_refused_with_its_line(tmp_path, kind):
    old, new, said = CONFIGS[kind]
    path = seeds.config_toml(tmp_path)
    text = path.read_text()
    assert read_settings(path) == seeds.settings()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match=said) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)


def test_C08_the_line_is_the_one_that_is_wrong(tmp_path):
    path = seeds.config_toml(tmp_path)
    lines = path.read_text().split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("batch_size"))
    lines[at] = "batch_size = 'x'"
    path.write_text("\n".join(lines))
    with pytest.raises(OptionError, match=rf"config\.toml:{at + 1}: "):
        read_settings(path)


def test_C08_a_run_with_a_damaged_config_is_not_resumed(tmp_path, data):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_text("[training]\nupdates = maybe\n")
    ran = ascnet_here("train", "--dataset", data, "--out", run, "--resume", "--device", "cpu")
    assert ran.code == 2
    assert "config.toml is damaged" in ran.err
    assert "line" in ran.err


# C09


def annotated(**videos):
    return json.dumps({"database": videos})


def video(*instances, **more):
    told = [{"label": label, "segment": [start, end]} for label, start, end in instances]
    return {"duration": 100.0, "subset": "testing", "annotations": told, **more}


# What a file says, the rule, and what is done: refused (None), or the line of the report.
ANNOTATIONS = {
    "missing subset": ({"a": video(("run", 1, 2), subset=None)}, "missing_subset: 1 .*, kept"),
    "start after end": ({"a": video(("run", 5, 2))}, None),
    "start equal to end": ({"a": video(("run", 5, 5))}, None),
    "negative": ({"a": video(("run", -5, 2))}, None),
    "beyond the duration": (
        {"a": video(("run", 90, 120))},
        r"beyond_duration: 1 .*, kept \(a run 90-120 of 100 s\)",
    ),
    "duplicate": ({"a": video(("run", 1, 2), ("run", 1, 2))}, "duplicate: 1 .*, left out"),
    "double label": ({"a": video(("run", 1, 2), ("jump", 1, 2))}, "double_label: 1 .*, kept"),
    "numbers as text": ({"a": video(("run", "1.5", "2.5"))}, "text_number: 2 .*, kept"),
    "text that is no number": ({"a": video(("run", "soon", 2))}, None),
    "an empty video": ({"a": video(), "b": video(("run", 1, 2))}, r"empty_video: 1 .*, kept \(a\)"),
    "a class without training": (
        {"a": video(("run", 1, 2), subset="training"), "b": video(("jump", 1, 2))},
        r"class_without_training: 1 .*, kept \(jump\)",
    ),
    "an unknown subset": ({"a": video(("run", 1, 2), subset="holdout")}, None),
    "NaN": ({"a": video(("run", math.nan, 2))}, None),
}


@pytest.mark.parametrize("kind", ANNOTATIONS)
def test_C09_each_rule_has_a_policy_and_the_report_says_it(tmp_path, kind):
    videos, report = ANNOTATIONS[kind]
    (tmp_path / "truth.json").write_text(annotated(**videos))
    ran = ascnet_here("datasets", "check", "truth.json")
    if report is None:
        assert ran.code == 5
        assert "truth.json" in ran.err
        assert "hint: " in ran.err
        assert ran.out == ""
    else:
        assert re.search(report, ran.out), ran.out


def thumos(folder, *lines, subset="test"):
    seeds.thumos_folder(folder)
    for label, line in lines:
        path = folder / f"{label}_{subset}.txt"
        path.write_text(path.read_text() + line + "\n")
    return folder


def test_C09_thumos14_drops_the_videos_known_to_be_bad_and_says_so(tmp_path):
    bad = [f"video_test_{number:07d} 1 2" for number in (270, 1292, 1496)]
    thumos(tmp_path, *((CLASSES[0], line) for line in bad))
    ran = ascnet_here("datasets", "check", "thumos14", "--data", tmp_path)
    lines = [line for line in ran.out.splitlines() if line.startswith("known_bad")]
    assert len(lines) == 1
    assert "known_bad: 3 videos known to be annotated wrongly, left out" in lines[0]


def test_C09_a_cliff_dive_is_a_dive_too_and_both_stay(tmp_path):
    again = "video_test_0000009 50.0 60.0"
    thumos(tmp_path, ("CliffDiving", again), ("Diving", again))
    ran = ascnet_here("datasets", "check", "thumos14", "--data", tmp_path)
    assert "double_label: 1 instances that another class has with the same times, kept" in ran.out


def test_C09_an_unknown_class_of_a_known_data_set_is_refused(tmp_path):
    document = {"database": {"video_test_0000004": video(("Dancing", 1, 2), subset="test")}}
    (tmp_path / "thumos14.json").write_text(json.dumps(document))
    done = ascnet("datasets", "check", "thumos14", "--data", tmp_path / "thumos14.json")
    said_well(done, 5, "Dancing", "unknown_class")


def test_C09_a_duration_that_is_not_its_frames_is_counted_and_named():
    raw = RawVideo("v", "test", duration_s=10.0, fps=25.0, n_frames=300)
    findings = Findings(Policies(), "here")
    thumos14._settle_durations({"v": raw}, findings)
    assert raw.duration_s == 12.0
    assert [found.line() for found in findings.all()] == [
        "wrong_duration: 1 durations that are not frames / frame rate, taken instead, left out "
        "(v 10.00 s, 12.00 s by its frames)"
    ]


def test_C09_every_rule_is_attacked_somewhere(tmp_path, monkeypatch):
    """By what the rules really found when all of the above was read once more."""
    found, ask = set(), Findings.found

    def noted(self, rule, place):
        found.add(rule)
        return ask(self, rule, place)

    monkeypatch.setattr(Findings, "found", noted)
    for kind, (videos, _) in ANNOTATIONS.items():
        (tmp_path / "truth.json").write_text(annotated(**videos))
        ran = ascnet_here("datasets", "check", "truth.json")
        assert ran.code in (0, 5), kind
    document = {"database": {"video_test_0000004": video(("Dancing", 1, 2), subset="test")}}
    (tmp_path / "thumos14.json").write_text(json.dumps(document))
    ascnet_here("datasets", "check", "thumos14", "--data", tmp_path / "thumos14.json")
    (tmp_path / "texts").mkdir()
    thumos(tmp_path / "texts", (CLASSES[0], "video_test_0000270 1 2"))
    ascnet_here("datasets", "check", "thumos14", "--data", tmp_path / "texts")
    test_C09_a_duration_that_is_not_its_frames_is_counted_and_named()
    with pytest.raises(PredictionsError, match="videos of a list that are not annotated: v"):
        Findings(Policies(), "here").found("unknown_video", "v")  # tests/ascnet_cli/test_datasets_formats.py
    assert found == set(RULES)


# C10


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(annotated(a=video(("run", 0, 10)), b=video(("jump", 0, 10))))
    return path


def predicted(*rows):
    path = Path("found.csv")
    path.write_text("\n".join(["video,label,start_s,end_s,score", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("row", "named"), [("a,fly,0,10,0.99", "'fly'"), ("c,run,0,10,0.99", "'c'"), ("a,Run,0,10,0.99", "'Run'")]
)
def test_C10_unknown_names_are_an_error_or_false_never_merged(tmp_path, truth, row, named):
    found = predicted("a,run,0,10,0.9", "b,jump,0,10,0.9", row)
    said_well(
        ascnet("evaluate", found, "--dataset", truth, cwd=tmp_path), 5, "unknown", named, "--ignore-unknown"
    )
    ran = ascnet_here("evaluate", found, "--dataset", truth, "--ignore-unknown", "--json", "--tiou", "0.5")
    assert ran.code == 0
    assert "false positives with an unknown label or video: 1 prediction" in ran.err
    label = row.split(",")[1]
    # A false positive before the true one halves the precision of its class, where the class is judged.
    assert ran.json["per_class"] == (
        {"jump": [1.0], "run": [0.5]} if label == "run" else {"jump": [1.0], "run": [1.0]}
    )
    assert [*ran.json["unknown_labels"], *ran.json["unknown_videos"]] == [named.strip("'")]


# C11


def detections(*rows):
    return [Detection("run", Segment(float(start), float(end)), float(score)) for start, end, score in rows]


RUNS = {"v": [("run", Segment(0.0, 10.0))]}
TWO = {"v": [("run", Segment(0.0, 10.0)), ("run", Segment(20.0, 30.0))]}
GOLDEN = {
    "no predictions": (RUNS, {}, 0.5, 0.0),
    "identical boxes": (RUNS, {"v": detections((0, 10, 0.9), (0, 10, 0.9))}, 0.5, 1.0),
    "identical boxes cost precision": (
        TWO,
        {"v": detections((0, 10, 0.9), (0, 10, 0.8), (20, 30, 0.7))},
        0.5,
        5 / 6,
    ),
    "a tie goes to the earlier start": (TWO, {"v": detections((20, 30, 0.5), (50, 60, 0.5))}, 0.5, 0.5),
    "a tie with a false one before it": (TWO, {"v": detections((11, 12, 0.5), (20, 30, 0.5))}, 0.5, 0.25),
    "exactly at the threshold": (RUNS, {"v": detections((0, 5, 0.9))}, 0.5, 1.0),
    "just below the threshold": (RUNS, {"v": detections((0, math.nextafter(5, 0), 0.9))}, 0.5, 0.0),
    "exactly 0.7": (RUNS, {"v": detections((0, 7, 0.9))}, 0.7, 1.0),
    "another video": (RUNS, {"v": [], "w": detections((0, 10, 0.9))}, 0.5, 0.0),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_C11_edge_cases_have_the_values_worked_out_by_hand(kind):
    ground_truth, predictions, tiou, value = GOLDEN[kind]
    result = evaluate(ground_truth, predictions, (tiou,))
    assert result.per_class["run"][0] == pytest.approx(value, abs=1e-12)
    assert result.map[0] == pytest.approx(value, abs=1e-12)


def test_C11_a_class_without_truth_is_left_out_and_named(tmp_path, truth):
    (tmp_path / "more.json").write_text(
        annotated(a=video(("run", 0, 10)), b=video(("swim", 0, 10), subset="training"))
    )
    ran = ascnet_here(
        "evaluate", predicted("a,run,0,10,0.9", "a,swim,0,10,0.9"), "--dataset", "more.json", "--json"
    )
    assert ran.code == 0, ran.err
    assert list(ran.json["per_class"]) == ["run"]
    assert ran.json["average"] == 1.0
    assert "not in the mean: swim" in ran.err


def test_C11_a_prediction_of_no_length_is_refused(truth):
    ran = ascnet_here("evaluate", predicted("a,run,5,5,0.9"), "--dataset", truth)
    assert ran.code == 5
    assert "found.csv:2" in ran.err


# C12

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "]]><!--",
    "00:00:01,000 --> 00:00:02,000",
    "a\n\n2\n00:00:00,000 --> 00:00:09,000\nforged",
    "a\r\nNOTE forged\r\n",
    '"; drop, table',
    "=HYPERLINK(1)",
    "&lt;b&gt;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "WEBVTT",
    "[CHAPTER]\nTIMEBASE=1/1",
    "\u202egnp.exe",
    "NULL\x00byte",
)
FOUND = [
    VideoDetections(
        f"dir/{name}.mp4".replace("\x00", ""),
        20.0,
        tuple(Detection(label, Segment(float(n), n + 1.5), 0.5) for n, label in enumerate(HOSTILE)),
    )
    for name in HOSTILE[:2]
]


CHAPTERS = len(HOSTILE) + 1  # the segments run into one another, and after the last is a rest
# A format is a writer and a reader, or an object that has both.
FORMATS = getattr(files, "FORMATS", None) or dict.fromkeys(files.WRITERS)


def written(format, results):
    buffer = io.StringIO(newline="")
    if FORMATS[format] is None:
        files.WRITERS[format](results, buffer)
    else:
        FORMATS[format].write(results, buffer, files.WriteOptions())
    return buffer.getvalue()


def read_back(format, text):
    read = files.READERS[format] if FORMATS[format] is None else FORMATS[format].read
    return read(io.StringIO(text, newline=""), "here")


@pytest.mark.parametrize("format", ["csv", "json"])
def test_C12_tables_come_back_as_they_were(format):
    text = written(format, FOUND)
    back = read_back(format, text)
    for result in FOUND:
        assert [d.label for d in back[result.video]] == [d.label for d in result.detections]


@pytest.mark.parametrize("format", ["srt", "vtt", "chapters", "eaf"])
def test_C12_no_label_becomes_a_segment_of_its_own(format):
    """What is read back is as many segments as were written, when they were written."""
    if format not in FORMATS:
        pytest.skip(f"{format} is not written yet")
    text = written(format, FOUND[:1])
    (back,) = read_back(format, text).values()
    assert len(back) == len(HOSTILE)
    assert sorted(d.segment.start_s for d in back) == [float(n) for n in range(len(HOSTILE))]
    if format in ("srt", "vtt"):
        assert sum(bool(re.match(r"[\d:,.]+ --> ", line)) for line in text.splitlines()) == len(HOSTILE)
        assert "<script" not in text or format == "srt"  # players show what they do not know as it is
    if format == "chapters":
        assert sum(line == "[CHAPTER]" for line in text.splitlines()) == CHAPTERS


def test_C12_elan_is_xml_that_parses_back():
    if "eaf" not in FORMATS:
        pytest.skip("eaf is not written yet")
    tree = ElementTree.fromstring(written("eaf", FOUND[:1]))
    values = [node.text for node in tree.iter("ANNOTATION_VALUE")]
    assert len(values) == len(HOSTILE)


# What of an element may be an address, or several; a page needs none with a scheme, nor any of another host.
_ADDRESSES = {
    *("src", "href", "xlink:href", "data", "action", "formaction", "poster", "background", "cite", "ping"),
    *("srcset", "imagesrcset", "manifest", "codebase", "longdesc", "data-src"),
}
_PAINTED = {"fill", "stroke", "filter", "mask", "clip-path", "marker-start", "marker-end", "cursor"}
_SCHEME = re.compile(r"(?:^|[\s,])(?:[\x00-\x20]*[a-zA-Z][\w+.\t\n\r-]*:|[/\\\\]{2})")
# By a style: anything but a part of the page itself (`url(#hatched)`).
_LOADS = re.compile(r"url\(\s*['\"]?(?!#)[^)]*\)|@import|expression\(|image-set\(", re.I)


class _Page(HTMLParser):
    """What a browser would load or run."""

    def __init__(self):
        super().__init__()
        self.tags, self.remote, self.handlers, self.policy = [], [], [], ""
        self._styled = False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        told = dict(attrs)
        if (told.get("http-equiv") or "").lower() == "content-security-policy":
            self.policy = told.get("content") or ""
        self.handlers += [name for name in told if name.startswith("on")]
        for name, value in attrs:
            # Of a list of addresses (`srcset`) each may have a scheme; a style loads in a way of its own.
            schemes = _SCHEME.findall(value or "") if name in _ADDRESSES else []
            if schemes or _LOADS.search((value or "") if name == "style" or name in _PAINTED else ""):
                self.remote.append(f"{name}={value}")
        if "href" in told and "base" in tag:
            self.remote.append("base")
        self._styled = tag == "style"

    def handle_data(self, data):
        if self._styled:
            self.remote += _LOADS.findall(data)

    def handle_endtag(self, tag):
        self._styled = False


def test_C12_a_report_has_a_policy_and_no_remote_part_and_runs_no_name(tmp_path):
    try:
        report = importlib.import_module("ascnet_cli.outputs.report")
    except ModuleNotFoundError:
        pytest.skip("reports are not written yet")
    plain = [VideoDetections("plain.mp4", 20.0, (Detection("run", Segment(0.0, 1.0), 0.5),))]
    tags = {}
    for name, result in (("hostile", FOUND[0]), ("plain", plain[0])):
        (path, *_) = report.write_report(
            [report.VideoPage(result=result, video=None, curves=None, truth=None)], tmp_path / f"{name}.html"
        )
        text = Path(path).read_text("utf-8")
        page = _Page()
        page.feed(text)
        assert "default-src 'none'" in page.policy
        assert not page.remote
        assert not page.handlers
        assert "alert(1)</script>" not in text
        assert "{{ 7 * 7 }}" in text or name == "plain"
        tags[name] = page.tags.count("script"), page.tags.count("img")
    assert tags["hostile"] == tags["plain"]


@pytest.mark.parametrize(
    "element",
    [
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' java\nscript:alert(1)'>x</a>",
        "<iframe src='data:text/html,x'></iframe>",
        "<img srcset='a.png 1x, https://one.invalid/b.png 2x'>",
        "<img src='//one.invalid/a.png'>",
        "<p style='background: url(https://one.invalid/a)'>x</p>",
        "<style>@import 'a.css';</style>",
        "<style>p { background: URL( 'a.png' ) }</style>",
        "<svg><use xlink:href='https://one.invalid/a.svg#x'/></svg>",
        "<svg><rect fill='url(https://one.invalid/a.svg#x)'/></svg>",
        "<base href='/elsewhere/'>",
    ],
)
def test_C12_what_a_page_would_load_is_seen(element):
    page = _Page()
    page.feed(f"<!doctype html><p>before</p>{element}<p style='color: red'>url(a), javascript:</p>")
    assert page.remote


def test_C12_what_stays_in_the_page_is_no_load():
    page = _Page()
    page.feed(
        "<style>p { fill: url(#a) }</style><a href='#x' style='color:red'>javascript:</a><a href='b/c.html'>"
    )
    assert page.remote == []


def test_C12_label_studio_has_as_many_regions_and_labels():
    options = files.WriteOptions(media={FOUND[0].video: Media(frames_per_s=25.0, is_constant=True)})
    buffer = io.StringIO(newline="")
    FORMATS["label-studio"].write(FOUND[:1], buffer, options)
    (task,) = json.loads(buffer.getvalue())
    (back,) = read_back("label-studio", buffer.getvalue()).values()
    assert len(back) == len(HOSTILE)
    assert [d.segment.start_s for d in back] == pytest.approx(
        [float(n) for n in range(len(HOSTILE))], abs=0.04
    )
    config = ElementTree.fromstring(label_studio.labelling_config(HOSTILE))
    assert [element.tag for element in config.iter()] == [
        *("View", "Video", "TimelineLabels"),
        *["Label"] * len(HOSTILE),
    ]
    assert {element.get("value") for element in config.iter("Label")} >= {HOSTILE[0], HOSTILE[7], HOSTILE[8]}
    assert task["data"]["name"] == FOUND[0].video


def test_C12_pages_and_figures_of_results_have_no_part_by_a_name(tmp_path):
    """`ascnet report`, of a data set whose videos and classes are called so, and of one with plain names."""
    seen = {}
    for kind, labels in (("hostile", HOSTILE), ("plain", [f"class {n}" for n in range(len(HOSTILE))])):
        video_name = FOUND[0].video if kind == "hostile" else "plain.mp4"
        rows = [(label, float(n), n + 1.5) for n, label in enumerate(labels)]
        truth = {video_name: video(*rows)}
        Path(f"{kind}.json").write_text(json.dumps({"database": truth}))
        found = [{"label": label, "segment": [start, end], "score": 0.5} for label, start, end in rows]
        content = {"version": "VERSION 1.3", "results": {video_name: found}, "external_data": {}}
        Path(f"{kind}-found.json").write_text(json.dumps(content))
        name = f"{labels[0].replace('/', '')}={kind}-found.json"
        made = ("--out", f"{kind}.html", "--figure", f"{kind}.svg")
        ran = ascnet_here("report", name, "--dataset", f"{kind}.json", *made)
        assert ran.code == 0, ran.err
        page, figure = _Page(), _Page()
        page.feed(Path(f"{kind}.html").read_text("utf-8"))
        figure.feed(Path(f"{kind}.svg").read_text("utf-8"))
        assert "default-src 'none'" in page.policy
        assert [*page.remote, *page.handlers, *figure.remote, *figure.handlers] == []
        tree = ElementTree.fromstring(Path(f"{kind}.svg").read_bytes())
        seen[kind] = [
            Counter(page.tags)[tag] for tag in ("script", "img", "iframe", "a", "style", "meta", "td", "th")
        ]
        drawn = {str(element.tag).rpartition("}")[2] for element in tree.iter()}
        assert drawn.isdisjoint({"script", "image", "foreignObject", "use", "a", "animate", "set"})
        seen[kind] += sorted(drawn)
    assert seen["hostile"] == seen["plain"]


def test_C12_a_model_card_stays_one_document(tmp_path):
    data = write_folder(tmp_path / "<script>alert(1)<", n_train=4, n_test=1)
    ran = ascnet_here(
        "train", "--dataset", data, "--out", "run", "--device", "cpu",
        "--set", "training.updates=2", "--set", "training.validate_every=2",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "<script>" not in (tmp_path / "run" / "MODEL_CARD.md").read_text()


def test_C12_an_error_about_a_hostile_name_stays_on_its_line(tmp_path):
    name = "a\nerror: forged\x1b[2J.csv"
    (tmp_path / name).write_text("video,label\n")
    done = ascnet("evaluate", name, "--dataset", "thumos14", cwd=tmp_path)
    assert done.returncode in (2, 5)
    assert "\x1b" not in done.stderr
    assert "\nerror: forged" not in done.stderr


def test_C12_a_cell_is_quoted_where_it_would_break_a_row():
    text = written("csv", FOUND)
    rows = csv_file.read(io.StringIO(text, newline=""), "here")
    assert sum(map(len, rows.values())) == 2 * len(HOSTILE)


@pytest.mark.parametrize("format", ["csv", "json", "srt", "vtt", "chapters", "eaf"])
def test_C12_half_a_character_in_a_name_stops_no_format(format):
    r"""A hand-written JSON may say `\ud800`, which no file's name and no UTF-8 can hold."""
    half = VideoDetections("a\ud800.mp4", 20.0, (Detection("run\ud800", Segment(0.0, 1.0), 0.5),))
    assert written(format, [half])
