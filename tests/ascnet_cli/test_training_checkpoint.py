"""What a run is taken up again from: whole, or not there; and the run's folder beside it."""

import tomllib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.config_training import loss_config
from ascnet_cli.errors import CheckpointError, OutputError
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.training.checkpoint import (
    Best,
    load_state,
    newest_state,
    save_state,
    saved_steps,
    state_bytes,
    state_of_bytes,
)
from ascnet_cli.training.environment import changes, environment
from ascnet_cli.training.run_folder import TEMPORARY, RunFolder, toml_text
from ascnet_cli.training.seeding import generator, own_random_numbers, random_state, set_random_state
from ascnet_cli.training.step import batch_of_step, make_optimiser, train_step
from tests.ascnet_cli.training_tools import CLASSES, RECIPE, toy_network, toy_schedule, toy_videos
from weights.atomic import replacing

CPU = torch.device("cpu")


@pytest.fixture
def pairs(tmp_path):
    """Two pairs, of steps 1 and 2."""
    model = AscNet(toy_network())
    optimiser = make_optimiser(model, toy_schedule())
    for step in (1, 2):
        batch = batch_of_step(toy_videos(), toy_schedule(), step)
        train_step(model, optimiser, batch, loss_config("fixed"))
        save(tmp_path, step, model, optimiser)
    return tmp_path


def save(folder, step, model, optimiser):
    return save_state(
        folder,
        step=step,
        model=model,
        optimiser=optimiser,
        random=random_state(CPU),
        best=Best(step, 0.5, 0.75),
        labels=CLASSES,
        recipe=RECIPE,
    )


def test_the_newest_pair_is_taken_up_and_old_ones_go(pairs):
    state = newest_state(pairs, CPU)
    assert (state.step, state.best) == (2, Best(2, 0.5, 0.75))
    assert saved_steps(pairs) == [2, 1]
    model = AscNet(toy_network())
    save(pairs, 3, model, make_optimiser(model, toy_schedule()))
    assert saved_steps(pairs) == [3, 2]
    assert len(list(pairs.iterdir())) == 4


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "cut": cut,
    "text": lambda path: path.write_text("nothing"),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "other": lambda path: torch.save([1], path),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_falls_back_on_the_one_before_and_says_so_where_there_is_none(pairs, damage):
    DAMAGES[damage](pairs / "step-00000002.pt")
    assert newest_state(pairs, CPU).step == 1
    with pytest.raises(CheckpointError, match=r"step-00000002\.pt"):
        load_state(pairs, 2, CPU)
    (pairs / "step-00000001.safetensors").unlink()
    with pytest.raises(CheckpointError):
        load_state(pairs, 1, CPU)
    if damage != "gone":
        with pytest.raises(CheckpointError, match="step-00000002"):
            newest_state(pairs, CPU)


def test_a_network_that_was_changed_since_is_not_taken_up(pairs):
    flip(pairs / "step-00000002.safetensors")
    assert newest_state(pairs, CPU).step == 1
    (pairs / "step-00000001.safetensors").replace(pairs / "step-00000002.safetensors")
    with pytest.raises(CheckpointError, match="does not belong to"):
        load_state(pairs, 2, CPU)


def test_a_state_that_would_run_code_is_refused(pairs):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    torch.save({"format": Bomb()}, pairs / "step-00000002.pt")
    with pytest.raises(CheckpointError, match="damaged"):
        load_state(pairs, 2, CPU)


def test_another_format_is_refused(pairs):
    path = pairs / "step-00000002.pt"
    torch.save(torch.load(path, weights_only=True) | {"format": 2}, path)
    with pytest.raises(CheckpointError, match="format 2"):
        load_state(pairs, 2, CPU)


def test_an_empty_folder_has_nothing_to_take_up(tmp_path):
    assert newest_state(tmp_path, CPU) is None


def test_streams_are_told_apart_and_drawn_again():
    def draw(*key):
        return torch.rand(4, generator=generator(*key)).tolist()

    assert draw(0, "order", 1) == draw(0, "order", 1)
    drawn = [draw(0, "order", 1), draw(0, "order", 2), draw(0, "snippets", 1), draw(1, "order", 1)]
    assert len({tuple(values) for values in drawn}) == 4


def test_random_numbers_go_on_where_they_were():
    before = torch.get_rng_state()
    with own_random_numbers(3, CPU):
        torch.rand(5)
        state = random_state(CPU)
        expected = torch.rand(5)
        torch.rand(7)
        set_random_state(state, CPU)
        assert torch.equal(torch.rand(5), expected)
    assert torch.equal(torch.get_rng_state(), before)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_settings_come_back_from_toml(values):
    found = tomllib.loads(toml_text({"one": values, "two": {}}))
    assert found == {"one": {k: v for k, v in values.items() if v is not None}, "two": {}}


def test_an_event_that_a_kill_cut_short_is_forgotten(tmp_path):
    folder = RunFolder(tmp_path / "run")
    tables = {"a": {"b": 1}}
    folder.begin(tables)
    folder.event("step", step=3, total=float("nan"))
    folder.event("step", step=7, total=1.0)
    with (tmp_path / "run" / "events.jsonl").open("a") as file:
        file.write('{"event": "st')
    folder.resume(tables, 5)
    folder.event("start", step=5)
    found = [(event["event"], event["step"]) for event in folder.events()]
    assert found == [("step", 3), ("start", 5)]
    assert folder.events()[0]["total"] is None  # NaN is not JSON


def test_settings_that_cannot_be_read_are_said_to_be_damaged(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"config\.toml cannot be read"):
        folder.resume({}, 0)
    (tmp_path / "run" / "config.toml").write_text("a = ")
    with pytest.raises(CheckpointError, match=r"config\.toml is damaged"):
        folder.resume({}, 0)


def test_a_file_in_the_way_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError):
        RunFolder(tmp_path / "run")


def test_what_a_killed_run_left_half_written_is_swept_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path / "run")
    for name in (".ascnet-77-0badcafe.tmp", "checkpoints/.ascnet-77-12345678.tmp"):
        (tmp_path / "run" / name).write_text("half")
    (tmp_path / "run" / "mine.tmp").write_text("")
    folder.sweep()
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == ["checkpoints", "mine.tmp"]


def test_one_process_at_a_time_trains_in_a_folder(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.hold()
    with pytest.raises(OutputError, match="another process is training in") as caught:
        second.hold()
    assert "--out" in caught.value.hint
    first.release()
    second.hold()
    second.release()


def test_names_of_half_written_files_are_those_that_are_swept(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with replacing(folder.best):
        assert len(list((tmp_path / "run").glob(TEMPORARY))) == 1


def test_a_state_goes_from_process_to_process(pairs):
    state = load_state(pairs, 2, CPU)
    found = state_of_bytes(state_bytes(state))
    assert (found.step, found.best) == (state.step, state.best)
    assert torch.equal(found.random["cpu"], state.random["cpu"])
    assert found.model.keys() == state.model.keys()
    assert all(torch.equal(tensor, state.model[name]) for name, tensor in found.model.items())
    assert found.optimiser["param_groups"] == state.optimiser["param_groups"]


def test_an_environment_that_was_never_written_or_is_damaged_is_not_known(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.environment() == {}
    folder.note_environment({"torch": "1"})
    assert folder.environment() == {"torch": "1"}
    (tmp_path / "run" / "environment.json").write_text("[")
    assert folder.environment() == {}


def test_changes_that_matter_are_told_and_others_are_not():
    here = environment(CPU, 1)
    assert changes(here, here) == ""
    assert changes({}, here) == ""
    assert changes(here | {"python": "3.11.0", "platform": "elsewhere"}, here) == ""
    told = changes(here | {"torch": "2.13.0", "processes": 4}, here)
    assert f"torch is {here['torch']}, and was 2.13.0; processes is 1, and was 4" in told
