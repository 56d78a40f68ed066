"""Whose fault it is that a cluster's worker is lost: told without a cluster, by what was heard of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from extractors.batch.engine import TimeLimit
from extractors.batch.jobs import Broken, Item, Job, Progressed, Starting, Video, Withdrawn
from extractors.batch.ray_cluster import RayOptions
from extractors.batch.ray_engine import RayEngine
from extractors.batch.worker import Orders
from extractors.layouts import place_of
from tests.extraction_tools import PlainSource


class RayError(Exception):
    """Any of Ray's."""


def errors():
    names = (
        "OutOfMemoryError", "NodeDiedError", "ObjectLostError", "LocalRayletDiedError", "RayTaskError",
        "WorkerCrashedError",
    )  # fmt: skip
    return SimpleNamespace(RayError=RayError, **{name: type(name, (RayError,), {}) for name in names})


class FakeRay:
    """Nodes a and b; what a task tells, or how it ends, is put in by hand."""

    def __init__(self):
        self.exceptions = errors()
        self.given = []  # selectors of tasks, in order

    def nodes(self):
        return [
            {
                "NodeID": name,
                "Alive": True,
                "Resources": {"CPU": 1.0},
                "NodeManagerAddress": f"10.0.0.{number}",
            }
            for number, name in enumerate("ab")
        ]

    def put(self, value):
        return value

    def options(self, *, label_selector, **_options):
        self.selector = label_selector
        return self

    def get(self, told):
        if isinstance(told, Exception):
            raise told
        return told


@pytest.fixture
def engine(monkeypatch):
    ray = FakeRay()

    def remote(*arguments):
        if len(arguments) == 1:
            return ray
        ray.given.append(ray.selector)
        return object()

    ray.remote = remote
    monkeypatch.setattr("extractors.batch.ray_engine.connected", lambda _address: ray)
    made = RayEngine(
        PlainSource(), Orders(), options=RayOptions(None, n_cpus=1, n_gpus=0.0), limit=TimeLimit()
    )
    made.ray = ray
    return made


def told(engine, *events):
    """What comes of the newest task telling this."""
    generator = list(engine._running)[-1]
    running = engine._running.pop(generator)
    stream = iter(events)
    engine._running[stream] = running
    return [found for _ in events if stream in engine._running for found in engine._heard(stream)]


def job(name):
    return Job((Item(Video(name, Path(name)), place_of(Path("out"), name)),))


def crash(engine):
    return engine.ray.exceptions.WorkerCrashedError("signal 11")


def on(place):
    return Starting(place, (place, 1))


def test_a_video_that_crashes_its_worker_is_to_blame_and_no_node(engine):
    engine.submit(job("a.mp4"))
    for place in "ab":
        told(engine, on(place), Progressed("a.mp4", 0.0), crash(engine))
    (broken,) = told(engine, on("a"), crash(engine))[-1:]
    assert isinstance(broken, Broken)
    assert "lost 3 times" in broken.failure.message
    assert engine.ray.given == [None, None, None]


def test_what_was_told_last_may_be_lost_and_still_no_node_is_to_blame(engine):
    engine.submit(job("a.mp4"))
    for place in "aba":
        assert told(engine, on(place), crash(engine)) == []
    assert engine.ray.given == [None] * 4
    assert engine._withdrawn == set()


def test_a_node_on_which_the_workers_of_two_videos_are_lost_is_given_up(engine):
    engine.submit(job("a.mp4"))
    assert told(engine, on("a"), crash(engine)) == []
    told(engine, on("b"), Progressed("a.mp4", 0.0))
    engine.submit(job("b.mp4"))
    (withdrawn,) = told(engine, on("a"), crash(engine))
    assert isinstance(withdrawn, Withdrawn)
    assert (withdrawn.place, withdrawn.any_left, withdrawn.unfinished) == ("a", True, ("b.mp4",))
    engine.submit(job("c.mp4"))
    assert engine.ray.given[-1] == {"ray.io/node-id": "!in(a)"}
    assert engine.room() == 0  # one node is left, and has enough to do


def test_code_that_cannot_be_read_on_a_node_is_that_nodes_fault(engine):
    error = engine.ray.exceptions.RayTaskError("No module named 'extractors'")
    error.ip = "10.0.0.1"
    engine.submit(job("a.mp4"))
    (withdrawn,) = told(engine, error)
    assert (withdrawn.place, withdrawn.any_left) == ("b", True)
    assert "same version" in withdrawn.failure.hint
    engine.submit(job("a.mp4"))
    error.ip = "10.0.0.0"
    (withdrawn,) = told(engine, error)
    assert not withdrawn.any_left
