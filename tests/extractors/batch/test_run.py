"""A plan carried out, with an engine that works here and at once."""

import json
import threading
import time

import numpy as np
import pytest

from extractors.batch import state
from extractors.batch.claims import Claims
from extractors.batch.jobs import Broken, Failure, Job, Progressed, Video
from extractors.batch.plan import items_of, make_plan
from extractors.batch.run import run_plan
from extractors.batch.state import Wanted
from extractors.batch.worker import Orders
from extractors.errors import DeviceError, OptionError, VideoError
from extractors.store import load_features, up_to_date
from tests.extraction_tools import BOTH, RGB, InlineEngine, PlainSource, contents, extract_all, videos_of
from tests.synthetic import make_video
from weights.errors import AscnetError, StorageError

WANTED = Wanted(RGB)


@pytest.fixture
def videos(tmp_path):
    """Three videos, of which one is none."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    make_video(folder / "a.mp4", n_frames=20)
    make_video(folder / "sub" / "b.mp4", n_frames=8)
    (folder / "bad.mp4").write_bytes(b"text")
    return folder


def states(outcomes):
    return {name: outcome.state for name, outcome in outcomes.items()}


def test_each_video_is_made_and_one_that_fails_is_recorded(videos, tmp_path):
    outcomes = extract_all(videos, tmp_path / "out")
    assert states(outcomes) == {"a.mp4": "done", "bad.mp4": "failed", "sub/b.mp4": "done"}
    assert outcomes["a.mp4"].n_rows == 2
    stored = load_features(tmp_path / "out" / "sub" / "b.mp4.npy")
    assert (stored.video, stored.values.shape) == ("sub/b.mp4", (1, 1024))
    (record,) = map(json.loads, (tmp_path / "out" / "failures.jsonl").read_text().splitlines())
    assert (record["video"], record["stage"]) == ("bad.mp4", "open")
    assert sorted(contents(tmp_path / "out")) == [
        "a.mp4.json", "a.mp4.npy", "failures.jsonl", "sub/b.mp4.json", "sub/b.mp4.npy",
    ]  # fmt: skip


def test_a_second_run_makes_what_is_missing_alone(videos, tmp_path):
    extract_all(videos, tmp_path / "out")
    before = contents(tmp_path / "out")
    make_video(videos / "bad.mp4", n_frames=16)
    engine = InlineEngine()
    outcomes = extract_all(videos, tmp_path / "out", engine)
    assert states(outcomes) == {"a.mp4": "up_to_date", "bad.mp4": "done", "sub/b.mp4": "up_to_date"}
    assert [job.names for job in engine.jobs] == [("bad.mp4",)]
    assert engine.stopped
    after = contents(tmp_path / "out")
    assert "failures.jsonl" not in after
    assert {name: after[name] for name in before if name != "failures.jsonl"}.items() <= before.items()


def test_two_folders_of_the_same_videos_are_equal_to_the_byte(videos, tmp_path):
    extract_all(videos, tmp_path / "one")
    extract_all(videos, tmp_path / "other")
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_what_detect_keeps_is_what_extract_keeps(videos, tmp_path):
    extract_all(videos, tmp_path / "out")
    from extractors.store import fingerprint

    source = fingerprint(videos / "a.mp4")
    assert up_to_date(tmp_path / "out", "a.mp4", RGB.digest(), source) == tmp_path / "out" / "a.mp4.npy"


def test_half_precision(videos, tmp_path):
    extract_all(videos, tmp_path / "out", wanted=Wanted(RGB, "float16"))
    assert np.load(tmp_path / "out" / "a.mp4.npy").dtype == np.float16


def test_strict_fails_what_is_truncated_and_keeps_nothing_of_it(tmp_path):
    (tmp_path / "in").mkdir()
    path = make_video(tmp_path / "in" / "a.mp4", n_frames=60, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (outcome,) = extract_all(tmp_path / "in", tmp_path / "out", wanted=Wanted(RGB, strict=True)).values()
    assert outcome.state == "failed"
    assert "truncated" in outcome.failure.message
    assert sorted(contents(tmp_path / "out")) == ["failures.jsonl"]
    (outcome,) = extract_all(tmp_path / "in", tmp_path / "out").values()
    assert outcome.state == "done"
    assert any("truncated" in warning for warning in outcome.warnings)


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    path = make_video(tmp_path / "in" / "a.mp4", n_frames=16)
    from tests.extraction_tools import PlainExtractor

    extract = PlainExtractor.extract

    def grown(self, video, **options):
        made = extract(self, video, **options)
        path.write_bytes(path.read_bytes() + b"x")
        return made

    monkeypatch.setattr(PlainExtractor, "extract", grown)
    (outcome,) = extract_all(tmp_path / "in", tmp_path / "out").values()
    assert "changed while it was read" in outcome.failure.message
    assert sorted(contents(tmp_path / "out")) == ["failures.jsonl"]


def test_what_no_video_can_be_made_without_ends_the_run_and_blames_none(videos, tmp_path):
    engine = InlineEngine(PlainSource(error=DeviceError("no such card", hint="use the cpu")))
    with pytest.raises(AscnetError, match="no such card") as caught:
        extract_all(videos, tmp_path / "out", engine)
    assert (caught.value.exit_code, caught.value.hint) == (2, "use the cpu")
    assert engine.stopped
    assert contents(tmp_path / "out") == {}


def test_a_disk_that_is_full_ends_the_run_with_need_and_room(videos, tmp_path, monkeypatch):
    def full(path):
        raise StorageError(f"{path}: the disk could not take it")

    monkeypatch.setattr("extractors.store.replacing", full)
    with pytest.raises(AscnetError, match=r"needed, .* free") as caught:
        extract_all(videos, tmp_path / "out")
    assert caught.value.exit_code == 6
    assert contents(tmp_path / "out") == {}


def test_a_name_too_long_for_the_disk_fails_alone(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4", n_frames=16)
    (tmp_path / "in" / f"{'x' * 251}.mp4").write_bytes((tmp_path / "in" / "a.mp4").read_bytes())
    outcomes = extract_all(tmp_path / "in", tmp_path / "out")
    assert sorted(states(outcomes).values()) == ["done", "failed"]
    (failure,) = (outcome.failure for outcome in outcomes.values() if outcome.failure)
    assert "the name is too long" in failure.message
    assert "rename the file" in failure.hint
    assert {outcome.reason for outcome in outcomes.values()} == {"new"}


def test_a_video_called_as_the_record_of_failures_is_no_trouble(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "failures.jsonl").write_bytes(b"text")
    items = items_of(
        [Video("failures.jsonl", tmp_path / "in" / "failures.jsonl")], tmp_path / "out", "ascnet"
    )
    (tmp_path / "out").mkdir()
    plan = make_plan(items, WANTED)
    (outcome,) = run_plan(plan, InlineEngine(), tmp_path / "out", WANTED)
    assert outcome.state == "failed"


def test_colas_layout_takes_folders_below_its_subsets(tmp_path):
    folder = tmp_path / "in" / "train" / "cats"
    folder.mkdir(parents=True)
    make_video(folder / "a.mp4", n_frames=16)
    wanted = Wanted(BOTH)
    outcomes = extract_all(tmp_path / "in", tmp_path / "out", wanted=wanted, layout="cola")
    assert states(outcomes) == {"train/cats/a.mp4": "done"}
    assert (tmp_path / "out" / "train" / "flow" / "cats" / "a.npy").is_file()
    again = extract_all(tmp_path / "in", tmp_path / "out", wanted=wanted, layout="cola")
    assert states(again) == {"train/cats/a.mp4": "up_to_date"}


def test_a_link_in_the_output_is_replaced_and_what_it_leads_to_is_left_alone(videos, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    for name in ("a.mp4.npy", "failures.jsonl"):
        (tmp_path / "out" / name).symlink_to(victim)
    outcomes = extract_all(videos, tmp_path / "out")
    assert states(outcomes) == {"a.mp4": "done", "bad.mp4": "failed", "sub/b.mp4": "done"}
    assert victim.read_text() == "mine"
    assert load_features(tmp_path / "out" / "a.mp4.npy").values.size


def test_a_folder_of_the_output_that_is_a_link_to_elsewhere_is_refused(videos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="by a link"):
        extract_all(videos, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_output_folder_that_is_itself_a_link_is_fine(videos, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    assert states(extract_all(videos, tmp_path / "out"))["sub/b.mp4"] == "done"


def test_asked_to_stop_it_keeps_what_is_finished_and_gives_claims_back(videos, tmp_path):
    seen = []
    out = tmp_path / "out"
    out.mkdir()
    engine = InlineEngine()
    plan = make_plan(items_of(videos_of(videos), out, "ascnet"), WANTED)
    for outcome in run_plan(plan, engine, out, WANTED, should_stop=lambda: len(engine.jobs) >= 1):
        seen.append(outcome.video)
    assert seen == ["a.mp4"]
    assert engine.stopped
    assert sorted(contents(out)) == ["a.mp4.json", "a.mp4.npy"]


def test_progress_is_told(videos, tmp_path):
    events = []
    extract_all(videos, tmp_path / "out", watch=events.append)
    assert events[0].device == "cpu"
    begun = {event.video for event in events if isinstance(event, Progressed)}
    assert begun == {"a.mp4", "bad.mp4", "sub/b.mp4"}


def test_what_another_process_has_claimed_is_waited_for(videos, tmp_path):
    out, made = tmp_path / "out", tmp_path / "made"
    extract_all(videos, made)
    (out / "sub").mkdir(parents=True)
    other = Claims()
    with other:
        assert other.take(out / "a.mp4.claim")

        def finish():
            time.sleep(0.3)
            for name in ("a.mp4.npy", "a.mp4.json"):
                (made / name).replace(out / name)
            other.release(out / "a.mp4.claim")

        thread = threading.Thread(target=finish)
        thread.start()
        engine = InlineEngine()
        outcomes = extract_all(videos, out, engine)
        thread.join()
    assert outcomes["a.mp4"].state == "up_to_date"
    assert outcomes["a.mp4"].by_other
    assert [job.names for job in engine.jobs] == [("bad.mp4",), ("sub/b.mp4",)]


def test_what_another_process_has_made_since_is_not_read_again(videos, tmp_path, monkeypatch):
    """The other one has read the video; its features are read, and the video's size is compared."""
    made, out = tmp_path / "made", tmp_path / "out"
    extract_all(videos, made)
    (out / "sub").mkdir(parents=True)
    plan = make_plan(items_of(videos_of(videos), out, "ascnet"), WANTED)
    for name in ("a.mp4.npy", "a.mp4.json", "sub/b.mp4.npy", "sub/b.mp4.json"):
        (made / name).rename(out / name)
    changed = videos / "sub" / "b.mp4"
    make_video(changed, n_frames=30)
    read = []
    fingerprint = state.fingerprint
    monkeypatch.setattr(state, "fingerprint", lambda path: read.append(path) or fingerprint(path))
    outcomes = {outcome.video: outcome for outcome in run_plan(plan, InlineEngine(), out, WANTED)}
    assert outcomes["a.mp4"].by_other
    assert outcomes["sub/b.mp4"].state == "done"
    assert set(read) == {out / "a.mp4.npy", out / "sub" / "b.mp4.npy"}


def test_what_another_process_failed_at_is_not_tried_again(videos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    class Meanwhile(InlineEngine):
        def submit(self, job):
            super().submit(job)
            if job.names == ("a.mp4",):
                extract_all(videos, out)  # another process does all the rest

    engine = Meanwhile()
    outcomes = extract_all(videos, out, engine)
    assert [job.names for job in engine.jobs] == [("a.mp4",)]
    assert states(outcomes) == {"a.mp4": "done", "bad.mp4": "failed", "sub/b.mp4": "up_to_date"}
    assert outcomes["bad.mp4"].by_other


def test_what_workers_on_other_machines_left_half_written_is_swept_up(videos, tmp_path):
    """As of another machine: by a name alone nobody here could tell that its process has ended."""

    class Elsewhere(InlineEngine):
        def stop(self):
            return {("0badcafe", 4711)}

    (tmp_path / "out" / "sub").mkdir(parents=True)
    left = tmp_path / "out" / "sub" / ".ascnet-0badcafe-4711-00000001.tmp"
    others = tmp_path / "out" / "sub" / ".ascnet-0badcafe-4712-00000001.tmp"
    for file in (left, others):
        file.touch()
    extract_all(videos, tmp_path / "out", Elsewhere())
    assert not left.exists()
    assert others.exists()


class Losing(InlineEngine):
    """Loses its worker at each of these videos, in this way."""

    def __init__(self, names, *, for_memory=False, times=100):
        super().__init__()
        self.names, self.for_memory, self.times = set(names), for_memory, times

    def submit(self, job: Job) -> None:
        if self.names & set(job.names) and self.times:
            self.times -= 1
            self.jobs.append(job)
            self.told.append(Broken(job, job.names, Failure("worker", "X", "died"), self.for_memory))
        else:
            super().submit(job)


def test_a_worker_that_is_lost_fails_its_own_video(videos, tmp_path):
    outcomes = extract_all(videos, tmp_path / "out", Losing(["a.mp4"]))
    assert states(outcomes) == {"a.mp4": "failed", "bad.mp4": "failed", "sub/b.mp4": "done"}
    assert outcomes["a.mp4"].failure.message == "died"


def test_one_lost_for_memory_is_tried_once_more_after_all_others(videos, tmp_path):
    engine = Losing(["a.mp4"], for_memory=True, times=1)
    assert extract_all(videos, tmp_path / "out", engine)["a.mp4"].state == "done"
    assert [job.names[0] for job in engine.jobs] == ["a.mp4", "bad.mp4", "sub/b.mp4", "a.mp4"]
    engine = Losing(["a.mp4"], for_memory=True)
    assert extract_all(videos, tmp_path / "again", engine)["a.mp4"].state == "failed"
    assert [job.names[0] for job in engine.jobs].count("a.mp4") == 2


def test_several_videos_share_a_job_where_the_extractor_takes_them(videos, tmp_path):
    from extractors.batch.jobs import Ended, Made
    from extractors.batch.source import Seat
    from extractors.batch.worker import Worker
    from tests.extraction_tools import PlainExtractor

    class Many(PlainExtractor):
        def extract_many(self, paths):
            for path in paths:
                try:
                    yield path, self.extract(path)
                except VideoError as error:
                    yield path, error

    class Source(PlainSource):
        def build(self, seat):
            return Many(RGB), "cpu"

    items = tuple(items_of(videos_of(videos), tmp_path / "out", "ascnet"))
    told = []
    assert Worker(Source(), Orders(), Seat(0, 1)).do(Job(items), told.append)
    results = {event.video: type(event.result) for event in told if isinstance(event, Ended)}
    assert results == {"a.mp4": Made, "bad.mp4": Failure, "sub/b.mp4": Made}
    extract_all(videos, tmp_path / "single")
    single = contents(tmp_path / "single")
    del single["failures.jsonl"]
    assert contents(tmp_path / "out") == single
    # One file under two names is two videos.
    path = videos / "a.mp4"
    twice = items_of([Video("one.mp4", path), Video("two.mp4", path)], tmp_path / "twice", "ascnet")
    told.clear()
    assert Worker(Source(), Orders(), Seat(0, 1)).do(Job(tuple(twice)), told.append)
    assert [event.video for event in told if isinstance(event, Ended)] == ["one.mp4", "two.mp4"]


def test_short_videos_are_handed_over_together_and_long_ones_are_not(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcdefghijklmnop":
        make_video(folder / f"{name}.mp4", n_frames=16)
    long = folder / "c.mp4"
    long.write_bytes(long.read_bytes() + bytes(2_000_001))
    engine = InlineEngine()
    outcomes = extract_all(folder, tmp_path / "together", engine, together=3)
    jobs = ["".join(name[0] for name in job.names) for job in engine.jobs]
    assert jobs == ["ab", "c", "def", "gh", "ij", *"klmnop"]
    assert set(states(outcomes).values()) == {"done"}
    extract_all(folder, tmp_path / "single")
    assert contents(tmp_path / "together") == contents(tmp_path / "single")


def test_of_several_videos_in_a_lost_job_each_is_tried_alone(videos, tmp_path):
    class Grouping(Losing):
        def submit(self, job):
            if not self.jobs:
                self.jobs.append(job)
                both = Job((job.items[0], job.items[0]))
                self.told.append(Broken(both, job.names, Failure("worker", "X", "died")))
            else:
                super().submit(job)

    outcomes = extract_all(videos, tmp_path / "out", Grouping([]))
    assert outcomes["a.mp4"].state == "done"
