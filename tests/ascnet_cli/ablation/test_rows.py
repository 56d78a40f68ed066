"""The rows: what each changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascnet_cli.ablation.repairs import REPAIRS, taken_from, text_of, values_of
from ascnet_cli.ablation.rows import TABLES, all_rows, chosen_rows, table_title
from ascnet_cli.errors import OptionError
from ascnet_cli.training.settings import DataShape, parse_value, resolve

SHAPE = DataShape(n_classes=20, in_dim=2048, longest=900, n_videos=200)
DATASETS = ("thumos14", "activitynet13", "of one's own")
PRESETS = ("paper", "fixed")


def rows(dataset="thumos14", preset="fixed", **overrides):
    return all_rows(preset, SHAPE, dataset=dataset, overrides=overrides)


def settings(row, dataset="thumos14"):
    return resolve(row.preset, SHAPE, dataset=dataset, overrides=row.overrides)


def differences(one, other):
    a, b = values_of(one), values_of(other)
    return {name for name in a if a[name] != b[name]} - {"model.preset", "training.preset"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_difference_between_the_presets_is_in_one_repair(dataset):
    paper, fixed = (resolve(preset, SHAPE, dataset=dataset, overrides={}) for preset in PRESETS)
    named = [name for repair in REPAIRS for name in repair.settings]
    assert len(named) == len(set(named))
    assert differences(paper, fixed) <= set(named)


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(("own", "other"), [("paper", "fixed"), ("fixed", "paper")])
def test_all_repairs_together_turn_one_preset_into_the_other(dataset, own, other):
    start = "paper+" if own == "paper" else "fixed-"
    changes = {}
    for row in rows(dataset):
        if row.name.startswith(start):
            assert row.preset == own
            changes |= row.overrides
    turned = resolve(own, SHAPE, dataset=dataset, overrides=changes)
    assert not differences(turned, resolve(other, SHAPE, dataset=dataset, overrides={}))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_row_can_be_had_and_changes_what_it_says_alone(dataset, preset):
    found = rows(dataset, preset)
    names = [row.name for row in found]
    assert len(set(names)) == len(names)
    assert {row.table for row in found} == set(TABLES)
    for row in found:
        changed = differences(
            settings(row, dataset), resolve(row.preset, SHAPE, dataset=dataset, overrides={})
        )
        implied = {"localization.alphas", "localization.betas"} if "model.variant" in row.overrides else set()
        assert changed <= set(row.overrides) | implied
        assert row.against is None or row.against in names
        assert row.table in ("III", "V", "VII") or not row.paper


def test_the_loss_rows_have_the_terms_of_their_names():
    terms = ("fg", "bg", "ct", "gui", "nce")
    for row in rows():
        if row.table == "III":
            loss = settings(row).loss
            on = {term for term in terms if getattr(loss, f"weight_{term}") > 0}
            assert on == set(terms if row.name == "all-losses" else row.name.split("-"))


def test_the_branches_have_the_classification_losses_alone_and_their_own_thresholds():
    by_name = {row.name: settings(row) for row in rows() if row.table == "VII"}
    assert all(one.loss.weight_nce == one.loss.weight_gui == 0 for one in by_name.values())
    aware, agnostic = by_name["class-aware"], by_name["class-agnostic"]
    assert (aware.network.variant, agnostic.network.variant) == ("class_aware", "class_agnostic")
    assert aware.localization.alphas
    assert not aware.localization.betas
    assert agnostic.localization.betas
    assert not agnostic.localization.alphas


def test_one_family_of_thresholds():
    by_name = {row.name: settings(row).localization for row in rows()}
    assert not by_name["attention-only"].alphas
    assert by_name["attention-only"].betas
    assert not by_name["cas-only"].betas
    assert by_name["cas-only"].alphas


def test_the_papers_figures_are_the_printed_ones():
    found = {row.name: row.paper for row in rows()}
    assert found["all-losses"] == found["selector"] == {"thumos14": 47.5, "activitynet13": 28.1}
    assert found["both"] == found["fg-bg-ct"]  # the same variant in two tables
    for name, row in ((row.name, row) for row in rows() if row.paper and row.against):
        # Every part that the paper takes away makes its own result worse.
        assert all(row.paper[d] < found[row.against][d] for d in row.paper), name


def test_a_repair_that_both_presets_have_has_no_rows():
    assert "paper+updates" in {row.name for row in rows()}
    same = {row.name for row in rows(**{"training.updates": "10"})}
    assert not {"paper+updates", "fixed-updates"} & same
    assert "paper+nce" in same
    # Both train ActivityNet for 30 epochs.
    assert "paper+updates" not in {row.name for row in rows("activitynet13")}


def test_nothing_is_taken_where_both_are_alike():
    paper = resolve("paper", SHAPE, dataset="thumos14", overrides={})
    assert all(taken_from(repair, paper, paper) is None for repair in REPAIRS)


def test_rows_are_chosen_by_name_or_table_in_the_order_of_the_table():
    known = rows()
    assert chosen_rows(known, None) == known
    names = [row.name for row in chosen_rows(known, "uniform, V,fg")]
    assert names == ["fg", "no-selector", "selector", "uniform"]
    assert chosen_rows(known, "IV") == chosen_rows(known, "III")


@pytest.mark.parametrize("names", ["fg,fgg", "", " , "])
def test_an_unknown_row_is_refused_with_those_that_there_are(names):
    with pytest.raises(OptionError, match="no rows") as caught:
        chosen_rows(rows(), names)
    assert "fg-bg-ct-gui" in caught.value.hint


def test_tables_are_called_as_in_the_paper():
    assert [table_title(table, "thumos14") for table in ("III", "V", "VII")] == [
        "Table III",
        "Table V",
        "Table VII",
    ]
    assert table_title("VII", "activitynet13") == "Table VIII"
    assert table_title("repairs", "activitynet13") == "repairs"


@given(
    st.one_of(
        st.tuples(st.just(int | None), st.none() | st.integers(1, 10**9)),
        st.tuples(st.just(float), st.floats(0, 1e9)),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(tuple[float, ...]), st.lists(st.floats(0, 1)).map(tuple)),
    )
)
def test_a_value_survives_being_typed(case):
    hint, value = case
    assert parse_value(text_of(value), hint, "x") == value
