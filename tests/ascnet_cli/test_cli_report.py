"""`ascnet report`."""

import json
import re
import sys
from pathlib import Path

import pytest

from ascnet_cli.cli.result_names import named_files
from ascnet_cli.errors import OptionError
from ascnet_cli.outputs.charts import raster
from tests.ascnet_cli.test_training_history import START, TEST, step, write_run
from tests.cli_tools import ascnet


def entry(subset, *instances):
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in instances]
    return {"subset": subset, "duration": 100.0, "annotations": annotations}


@pytest.fixture
def annotations(tmp_path):
    database = {
        "a": entry("test", ("run", 0, 10), ("jump", 20, 30)),
        "b": entry("test", ("run", 40, 50)),
        "quiet": entry("test"),
        "other": entry("train", ("swim", 0, 10)),
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"database": database}))
    return path


def segments(name, *rows):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["video,label,start_s,end_s,score", *rows]) + "\n")
    return path


GOOD = ("a,run,0,10,0.9", "a,jump,20,26,0.8", "b,run,60,70,0.7")
POOR = ("a,run,2,10,0.9", "a,run,50,60,0.8")


def test_two_results_beside_each_other(annotations):
    good, poor = segments("good.csv", *GOOD), segments("poor.csv", *POOR)
    ran = ascnet("report", good, f"less <b>={poor}", "--dataset", annotations, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["out"] == "comparison.html"
    assert ran.json["figure"] is None
    judged = [
        ascnet("evaluate", path, "--dataset", annotations, "--json", "--diagnose").json
        for path in (good, poor)
    ]
    assert ran.json["results"] == [
        {"name": n, **j} for n, j in zip(("good", "less <b>"), judged, strict=True)
    ]
    page = Path("comparison.html").read_text("utf-8")
    assert "less &lt;b&gt;" in page
    assert "less <b>" not in page
    for result in judged:
        assert f">{result['average']:.3f}</td>" in page
    assert "classes without an instance here, not in the mean: swim" in page
    assert re.findall("<option>(a|b|quiet|other)</option>", page) == ["a", "b"]
    assert "good: without any prediction: 1 video" in ran.errors
    assert ran.errors[-1] == "wrote comparison.html"


def test_the_videos_asked_for(annotations):
    ran = ascnet(
        "report", segments("x.csv", *GOOD), "--dataset", annotations, "--video", "quiet", "--video", "a",
        "--figure", "lanes.svg", "--out", "page.html",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    texts = set(re.findall("<text[^>]*>([^<]*)</text>", Path("lanes.svg").read_text("utf-8")))
    assert {"(a) quiet", "(b) a", "x", "truth", "2 of 2"} <= texts
    assert re.findall("<option>(a|b|quiet)</option>", Path("page.html").read_text()) == ["quiet", "a"]


def test_a_figure_of_the_first_telling_video(annotations):
    assert ascnet("report", segments("x.csv", *GOOD), "--dataset", annotations, "--figure", "a.svg").code == 0
    text = Path("a.svg").read_text("utf-8")
    assert "Segments over time in a: truth, x." in text


def test_a_figure_as_png(annotations):
    ran = ascnet("report", segments("x.csv", *GOOD), "--dataset", annotations, "--figure", "a.png")
    assert ran.code == 0, ran.err
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_thresholds_lists_of_videos_and_unknown_names(annotations):
    strange = segments("x.csv", *GOOD, "a,fly,0,10,0.9")
    ran = ascnet("report", strange, "--dataset", annotations)
    assert ran.code == 5
    assert "x.csv: the predictions have unknown labels (1): 'fly'" in ran.errors[0]
    assert not Path("comparison.html").exists()
    Path("list.txt").write_text("b\nquiet\n")
    options = ["--ignore-unknown", "--tiou", "0.5,0.75", "--videos", "list.txt", "--json"]
    ran = ascnet("report", strange, "--dataset", annotations, *options)
    (judged,) = ran.json["results"]
    assert (judged["tiou"], judged["videos_evaluated"]) == ([0.5, 0.75], 2)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["x.csv"], 2, "--dataset is missing"),
        (["nowhere.csv", "--dataset", "{}"], 5, "nowhere.csv"),
        (["x.csv", "--dataset", "{}", "--video", "c"], 5, "the video 'c' is not evaluated"),
        (["x.csv", "--dataset", "{}", "--video", "other"], 5, "the video 'other' is not evaluated"),
        (["x.csv", "--dataset", "{}", "--figure", "a.pdf"], 2, "a.pdf: the ending is not .svg or .png"),
        (["x.csv", "--dataset", "{}", "--figure", "no/a.svg"], 2, "the folder no does not exist"),
        (["x.csv", "--dataset", "{}", "--out", "no/a.html"], 2, "the folder no does not exist"),
        (["x.csv", "x.csv", "--dataset", "{}"], 2, "two results are named"),
        (["x.csv", "--dataset", "{}", "--protocol", "best"], 2, "unknown protocol 'best'"),
        (["empty", "--dataset", "{}"], 2, "empty has no predictions.json"),
        (["empty"], 5, "empty holds no run"),
        (["empty", "--video", "a"], 2, "--video needs --dataset"),
    ],
)
def test_what_cannot_be_asked_for(annotations, arguments, code, says):
    segments("x.csv", *GOOD)
    Path("empty").mkdir()
    before = sorted(Path().iterdir())
    ran = ascnet("report", *(a.format(annotations) for a in arguments))
    assert (ran.code, says in ran.err) == (code, True), ran.err
    assert (ran.out, sorted(Path().iterdir())) == ("", before)


@pytest.mark.parametrize(
    ("target", "options", "code"),
    [
        ("x.csv", ["--out", "x.csv"], 2),
        ("annotations.json", ["--out", "annotations.json"], 2),
        ("link.html", ["--out", "link.html"], 2),  # leads to what is read
        ("foreign.html", ["--out", "foreign.html"], 2),
        ("foreign.svg", ["--figure", "foreign.svg"], 2),
        ("foreign.png", ["--figure", "foreign.png"], 2),
    ],
)
def test_nothing_that_matters_is_written_over(annotations, target, options, code):
    segments("x.csv", *GOOD)
    Path("link.html").symlink_to("x.csv")
    for name in ("foreign.html", "foreign.svg", "foreign.png"):
        Path(name).write_text("mine")
    before = Path(target).read_bytes()
    ran = ascnet("report", "x.csv", "--dataset", annotations, *options)
    assert (ran.code, Path(target).read_bytes()) == (code, before), ran.err
    forced = ascnet("report", "x.csv", "--dataset", annotations, *options, "--force")
    assert (Path(target).read_bytes() == before) is (not target.startswith("foreign")), forced.err


def test_the_same_command_again_needs_no_flag(annotations):
    asked = ["report", segments("x.csv", *GOOD), "--dataset", annotations]
    for figure in ("a.svg", "a.png"):
        for _ in range(2):
            ran = ascnet(*asked, "--out", "p.html", "--figure", figure)
            assert ran.code == 0, ran.err


def test_png_without_matplotlib(annotations, monkeypatch):
    monkeypatch.setattr(raster, "find_spec", lambda _name: None)
    ran = ascnet("report", segments("x.csv", *GOOD), "--dataset", annotations, "--figure", "a.png")
    assert ran.code == 2
    assert "ascnet[plots]" in ran.errors[1]


def test_names_of_results(tmp_path):
    for run in ("runs/a/seed-0", "runs/b/seed-0"):
        segments(f"{run}/predictions.json")
    segments("x=1.csv")
    assert named_files(["runs/a/seed-0", "two=runs/b/seed-0", "x=1.csv"]) == {
        "seed-0": Path("runs/a/seed-0/predictions.json"),
        "two": Path("runs/b/seed-0/predictions.json"),
        "x=1": Path("x=1.csv"),
    }
    assert list(named_files(["runs/a/seed-0", "runs/b/seed-0/predictions.json"])) == ["a/seed-0", "b/seed-0"]
    assert named_files(["a=b=c.json"]) == {"a": Path("b=c.json")}
    with pytest.raises(OptionError, match="two results are named 'a'"):
        named_files(["a=b.csv", "a=c.csv"])


def test_a_run_again(tmp_path):
    run = write_run(tmp_path / "run", [START, step(5, 10, total=2.0)], test=TEST)
    ran = ascnet("report", run, "--json")
    assert (ran.code, ran.json) == (0, {"out": str(run / "report.html")})
    assert ascnet("report", run, "--out", "other.html").code == 0
    assert Path("other.html").read_text() == (run / "report.html").read_text()


def test_seeds_again(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "runs" / f"seed-{seed}", [START, step(5, 10, total=2.0)], seed=seed)
    assert ascnet("report", tmp_path / "runs").code == 0
    assert "standard deviation" in (tmp_path / "runs" / "report.html").read_text()


@pytest.mark.slow
def test_published_predictions_on_thumos14(data_folder):
    """AutoLoc's, whose times are fractions of the videos' lengths."""
    from ascnet_cli.datasets.thumos14 import CLASSES

    truth = data_folder / "annotations" / "thumos14"
    database = json.loads((truth / "gt_acmnet.json").read_text())["database"]
    results = {}
    classes = json.loads(
        (data_folder / "predictions" / "autoloc-thumos14" / "TH14_test_rslt.json").read_text()
    )
    for label, found in zip(CLASSES, classes, strict=True):
        for name, start, end, score in zip(
            found["video-id"], found["t-start"], found["t-end"], found["score"], strict=True
        ):
            length = database.get(f"video_test_{name}", {}).get("duration")
            if length:
                row = {"label": label, "segment": [max(start, 0) * length, end * length], "score": score}
                results.setdefault(f"video_test_{name}", []).append(row)
    Path("autoloc.json").write_text(json.dumps({"results": results}))
    ran = ascnet("report", "autoloc.json", "--dataset", "thumos14", "--data", truth, "--json")
    assert ran.code == 0, ran.err
    assert Path("comparison.html").stat().st_size < 1_000_000
    assert ran.json["videos"][0] == "video_test_0000716"


def test_help_loads_nothing_heavy():
    import subprocess

    program = (
        "import sys\nfrom ascnet_cli.cli.app import main\nsys.argv = ['ascnet', 'report', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print(sorted({'torch', 'numpy', 'av', 'cv2', 'jinja2', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
