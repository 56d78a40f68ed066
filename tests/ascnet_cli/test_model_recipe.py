"""Features of another recipe are refused, and named field by field."""

import json

import pytest

from ascnet_cli.errors import FeatureError
from ascnet_cli.model.recipe import check_recipe

RECIPE = {"backbone": "i3d", "context": "snippet", "fps": 25.0, "flow": {"algorithm": "tv-l1", "bound": 20}}


def test_features_of_the_same_recipe_pass_however_they_were_stored():
    check_recipe(RECIPE, json.loads(json.dumps(RECIPE)) | {"fps": 25})
    check_recipe({"size": (224, 224)}, {"size": [224, 224]})


def test_features_of_another_recipe_are_refused_field_by_field():
    made = {"backbone": "i3d", "fps": 25, "flow": {"algorithm": "dis", "bound": 20}, "crop": 224}
    with pytest.raises(FeatureError) as caught:
        check_recipe(RECIPE, made)
    message = str(caught.value)
    assert 'flow.algorithm: made with "dis", the model wants "tv-l1"' in message
    assert 'context: made with nothing said, the model wants "snippet"' in message
    assert "crop: made with 224, the model wants nothing said" in message
    assert "fps" not in message
    assert "bound" not in message
    assert caught.value.exit_code == 5
    assert caught.value.hint


@pytest.mark.parametrize("value", [True, 1.5, "25", None])
def test_values_that_only_look_alike_differ(value):
    with pytest.raises(FeatureError, match="fps"):
        check_recipe({"fps": 25.0 if value == "25" else 1}, {"fps": value})
