"""Recipes: complete, comparable, and refused where they contradict themselves."""

import pytest

from extractors.errors import FeatureError, OptionError
from extractors.flow import TvL1Config, flow_recipe
from extractors.recipe import FeatureRecipe

SHA, OTHER = "0" * 64, "1" * 64
TVL1 = flow_recipe(TvL1Config())

RECIPES = [
    FeatureRecipe({"rgb": SHA}),
    FeatureRecipe({"rgb": OTHER}),
    FeatureRecipe({"rgb": SHA}, context="dense"),
    FeatureRecipe({"rgb": SHA}, decoder="decord"),
    FeatureRecipe({"rgb": SHA}, precision="float16"),
    FeatureRecipe({"rgb": SHA}, backbone="i3d_r50"),
    FeatureRecipe({"rgb": SHA, "flow": OTHER}, flow=TVL1),
    FeatureRecipe({"flow": OTHER}, flow=TVL1),
    FeatureRecipe({"flow": OTHER}, flow=flow_recipe(TvL1Config(n_warps=2))),
]


def test_every_choice_changes_the_digest():
    assert len({recipe.digest() for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=range(len(RECIPES)))
def test_a_recipe_comes_back_from_its_dictionary(recipe):
    again = FeatureRecipe.from_dict(recipe.as_dict())
    assert again == recipe
    assert again.digest() == recipe.digest()


def test_streams_are_ordered_and_widths_add_up():
    both = FeatureRecipe({"flow": OTHER, "rgb": SHA}, flow=TVL1)
    assert both.streams == ("rgb", "flow")
    assert both.dim == 2048
    assert FeatureRecipe({"rgb": SHA}, backbone="i3d_r50").dim == 2048


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": {}},
        {"weights": {"depth": SHA}},
        {"weights": {"rgb": SHA}, "backbone": "c3d"},
        {"weights": {"rgb": SHA}, "context": "long"},
        {"weights": {"rgb": SHA}, "decoder": "opencv"},
        {"weights": {"rgb": SHA}, "flow": TVL1},
        {"weights": {"flow": SHA}},
        {"weights": {"flow": SHA}, "flow": TVL1, "backbone": "i3d_r50"},
        {"weights": {"rgb": SHA}, "backbone": "i3d_r50", "context": "dense"},
    ],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(OptionError):
        FeatureRecipe(**wrong)


@pytest.mark.parametrize(("field", "value"), [("fps", 30), ("crop_px", 256), ("resize", "none"), ("new", 1)])
def test_a_recipe_that_this_program_cannot_follow_is_refused_by_name(field, value):
    with pytest.raises(FeatureError, match=field):
        FeatureRecipe.from_dict({**RECIPES[0].as_dict(), field: value})


def test_a_recipe_that_lacks_something_is_refused():
    values = RECIPES[0].as_dict()
    del values["context"]
    with pytest.raises(FeatureError, match="context"):
        FeatureRecipe.from_dict(values)
