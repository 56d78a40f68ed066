"""Whether features suit a model: recipes compared field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ascnet_cli.errors import FeatureError


def check_recipe(checkpoint_recipe: Mapping[str, object], feature_recipe: Mapping[str, object]) -> None:
    """Refuses features that were made in another way than those that the model was trained on.

    Args:
        checkpoint_recipe: what the model wants; nested mappings are compared field by field.
        feature_recipe: how the features at hand were made.

    Raises:
        FeatureError: naming each field that differs.
    """
    wanted, made = _flat(checkpoint_recipe), _flat(feature_recipe)
    differences = [
        f"{name}: made with {made.get(name, 'nothing said')}, the model wants "
        f"{wanted.get(name, 'nothing said')}"
        for name in sorted(wanted.keys() | made.keys())
        if made.get(name) != wanted.get(name)
    ]
    if differences:
        raise FeatureError(
            f"these features do not suit this model: {'; '.join(differences)}",
            hint="`ascnet extract VIDEOS --for-model NAME` makes what it wants; or take another model.",
        )


def _flat(recipe: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Every field of a nested recipe under its dotted name, as JSON: a list and a tuple are the same."""
    fields: dict[str, str] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            fields |= _flat(value, f"{prefix}{name}.")
        else:
            # 25.0 is the number 25, whichever way it went through a file.
            whole = isinstance(value, float) and value.is_integer()
            fields[f"{prefix}{name}"] = f"{value:.0f}" if whole else json.dumps(value)
    return fields
