"""Extraction on a real Ray cluster of two nodes on this machine: a local run's files, whatever dies."""

import os
import signal
import threading

import pytest

from extractors.batch.engine import TimeLimit, time_limit
from extractors.batch.jobs import Progressed, Ready, Withdrawn
from extractors.batch.local import LocalEngine
from extractors.batch.ray_cluster import RayOptions
from extractors.batch.ray_engine import RayEngine
from extractors.batch.worker import Orders
from extractors.errors import DeviceError, OptionError
from tests.extraction_tools import PickySource, PlainSource, contents, extract_all, until
from tests.synthetic import make_video
from weights.errors import AscnetError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

N_VIDEOS = 6


@pytest.fixture
def cluster():
    """A head that takes no tasks, and two nodes for one task each."""
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes_for_tasks = [made.add_node(num_cpus=1), made.add_node(num_cpus=1)]
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for index in range(N_VIDEOS):
        make_video(folder / f"v{index}.mp4", n_frames=40 + 16 * index)
    return folder


@pytest.fixture(scope="module")
def wanted(videos, tmp_path_factory):
    """What a local worker makes of them."""
    out = tmp_path_factory.mktemp("local")
    engine = LocalEngine(
        PlainSource(), Orders(), n_workers=1, n_threads=1, limit=time_limit(None, flow=False)
    )
    extract_all(videos, out, engine)
    return contents(out)


def engine_of(cluster, delay_s=0.0, limit_s=None):
    return RayEngine(
        PlainSource(delay_s=delay_s),
        Orders(),
        options=RayOptions(cluster.address, n_cpus=1, n_gpus=0.0),
        limit=time_limit(limit_s, flow=False),
    )


def all_done(outcomes):
    assert {name: outcome.failure for name, outcome in outcomes.items() if outcome.state != "done"} == {}
    return bool(outcomes)


def test_the_files_are_those_of_a_local_run(cluster, videos, wanted, tmp_path):
    seen = []
    outcomes = extract_all(videos, tmp_path, engine_of(cluster), watch=seen.append)
    assert all_done(outcomes)
    assert contents(tmp_path) == wanted
    assert {event.device.split(" on ")[0] for event in seen if isinstance(event, Ready)} == {"cpu"}
    assert {event.video for event in seen if isinstance(event, Progressed)} == set(outcomes)
    again = extract_all(videos, tmp_path, engine_of(cluster))
    assert {outcome.state for outcome in again.values()} == {"up_to_date"}


def test_failures_are_recorded_as_in_a_local_run(cluster, videos, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "good.mp4").write_bytes((videos / "v0.mp4").read_bytes())
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"not a video" * 40)
    make_video(tmp_path / "videos" / "crash.mp4", n_frames=20)
    make_video(tmp_path / "videos" / "hang.mp4", n_frames=20)
    outcomes = extract_all(tmp_path / "videos", tmp_path / "out", engine_of(cluster, limit_s=6.0))
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "good.mp4": "done",
        "bad.mp4": "failed",
        "crash.mp4": "failed",
        "hang.mp4": "failed",
    }
    assert outcomes["bad.mp4"].failure.stage == "open"
    assert "its worker was lost 3 times" in outcomes["crash.mp4"].failure.message
    assert "took longer than 6 s" in outcomes["hang.mp4"].failure.message
    lines = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert len(lines) == 3


def workers_at_work():
    """Process ids of Ray workers that are in the middle of a task."""
    import psutil

    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "ray::do_job" in " ".join(process.info["cmdline"] or ())
    ]


def after_a_start(seen, harm):
    """Calls `harm` once, in the middle of a video."""
    done = threading.Event()

    def watch(event):
        seen.append(event)
        if isinstance(event, Progressed) and event.done_s > 0 and not done.is_set():
            done.set()
            harm()

    return watch


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster, videos, wanted, tmp_path):
    seen, killed = [], []

    def kill():
        # All of them: the one that has told its start is among them, whichever it is.
        until(workers_at_work)
        killed.extend(workers_at_work())
        for process in killed:
            os.kill(process, signal.SIGKILL)

    engine = engine_of(cluster, delay_s=0.7)
    outcomes = extract_all(videos, tmp_path, engine, watch=after_a_start(seen, kill))
    assert killed
    assert all_done(outcomes)
    assert contents(tmp_path) == wanted
    begun = [event.video for event in seen if isinstance(event, Progressed) and event.done_s == 0]
    assert len(begun) > N_VIDEOS  # one began twice


def test_a_node_that_is_taken_away_in_the_middle_loses_nothing(cluster, videos, wanted, tmp_path):
    seen, removed = [], []

    def remove():
        removed.append(cluster.nodes_for_tasks.pop())
        cluster.remove_node(removed[0], allow_graceful=False)

    engine = engine_of(cluster, delay_s=0.7)
    outcomes = extract_all(videos, tmp_path, engine, watch=after_a_start(seen, remove))
    assert removed
    assert all_done(outcomes)
    assert contents(tmp_path) == wanted


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("error", "its card is broken"),
        ("option", "decord is not installed"),
        ("hang", "not ready after 20 s"),
        ("die", "workers are lost"),
    ],
)
def test_a_node_on_which_no_worker_can_begin_is_left_out(cluster, videos, wanted, tmp_path, how, words):
    seen = []
    engine = RayEngine(
        PickySource(bad_node=cluster.nodes_for_tasks[0].node_id, how=how),
        Orders(),
        options=RayOptions(cluster.address, n_cpus=1, n_gpus=0.0),
        limit=TimeLimit(start_s=20.0),
    )
    outcomes = extract_all(videos, tmp_path, engine, watch=seen.append)
    assert all_done(outcomes)
    assert contents(tmp_path) == wanted
    (withdrawn,) = (event for event in seen if isinstance(event, Withdrawn))
    assert words in withdrawn.failure.message
    assert withdrawn.place


def test_where_no_node_can_begin_the_run_ends(cluster, videos, tmp_path):
    engine = RayEngine(
        PlainSource(error=DeviceError("no such card", hint="use the cpu")),
        Orders(),
        options=RayOptions(cluster.address, n_cpus=1, n_gpus=0.0),
        limit=time_limit(None, flow=False),
    )
    with pytest.raises(AscnetError, match="no such card") as caught:
        extract_all(videos, tmp_path, engine)
    assert (caught.value.exit_code, caught.value.hint) == (2, "use the cpu")
    assert contents(tmp_path) == {}


def test_what_tasks_elsewhere_left_half_written_is_swept_up(cluster, videos, tmp_path):
    """As of another machine: by its name alone nobody here could tell that its process has ended."""
    engine = engine_of(cluster)
    engine._owners.add(("0badcafe", 4711))
    left = tmp_path / ".ascnet-0badcafe-4711-00000001.tmp"
    left.touch()
    others = tmp_path / ".ascnet-0badcafe-4712-00000001.tmp"
    others.touch()
    extract_all(videos, tmp_path, engine)
    assert not left.exists()
    assert others.exists()
    assert len(engine._owners) > 1  # the tasks have said who they are


def test_a_task_that_no_node_can_hold_is_refused(cluster):
    with pytest.raises(OptionError, match="no node has 64 processor cores"):
        RayEngine(
            PlainSource(),
            Orders(),
            options=RayOptions(cluster.address, n_cpus=64),
            limit=time_limit(None, flow=False),
        )


def test_where_no_cluster_answers_it_is_said():
    with pytest.raises(OptionError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        RayEngine(
            PlainSource(),
            Orders(),
            options=RayOptions("127.0.0.1:1"),
            limit=time_limit(None, flow=False),
        )
