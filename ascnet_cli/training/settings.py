"""All settings of a run, from a preset, the shape of the data, and what a person asks for instead.

A setting has a dotted name, its table and its field: `model.selector`, `loss.weight_nce`,
`training.updates`, `localization.alphas`. The tables are `NetworkConfig`, `LossConfig`, `TrainingConfig`
and `LocalizationConfig`; their docstrings say what each field means.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ascnet_cli.config import DATASETS, Dataset, NetworkConfig, network_config
from ascnet_cli.config_localization import LocalizationConfig, localization_config
from ascnet_cli.config_training import LossConfig, TrainingConfig, loss_config, training_config
from ascnet_cli.errors import OptionError

BORROWED: Dataset = "thumos14"  # whose constants a data set has that is in no paper

# For data sets that are in no paper, chosen by cross-validation on the training videos of `mocap`
# (EXPERIMENTS.md). The threshold is that of ActivityNet-1.3: from few videos probabilities stay low.
SUITED_EPOCHS = 60
SUITED_UPDATES = 300  # at least, where there are fewer videos than that takes
SUITED_VALIDATE_EVERY = 25
SUITED_CLASS_THRESHOLD = 0.10

_NO = ("none", "null")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# They follow from the data, and from `--preset` and `--dataset`.
_NOT_SETTABLE = {
    "model.n_classes", "model.in_dim", "model.preset", "model.dataset",
    "training.preset", "training.dataset",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataShape:
    """What settings must fit.

    Attributes:
        n_classes: action classes.
        in_dim: width of a feature row.
        longest: snippets of the longest training video.
        n_videos: training videos, held-out ones included.
    """

    n_classes: int
    in_dim: int
    longest: int
    n_videos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides a run, but for its data and the device.

    Attributes:
        network: dimensions and options of the network.
        loss: terms and weights.
        training: the schedule.
        localization: from scores to segments.
    """

    network: NetworkConfig
    loss: LossConfig
    training: TrainingConfig
    localization: LocalizationConfig

    def tables(self) -> dict[str, dict[str, Any]]:
        """Every setting by its table and its field, as dotted names have them."""
        parts: tuple[Any, ...] = (self.network, self.loss, self.training, self.localization)
        return {
            table: {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
            for table, part in zip(TABLES, parts, strict=True)
        }

    def with_seed(self, seed: int) -> Settings:
        """The same with another seed."""
        return replace(self, training=replace(self.training, seed=seed))


def settings_of(tables: Mapping[str, Mapping[str, Any]]) -> Settings:
    """The settings that a run's config.toml holds; what it leaves out has no value.

    Raises:
        OptionError: a table or field is missing, unknown, or of the wrong kind.
    """
    parts = {}
    for table, kind in TABLES.items():
        names = [field.name for field in dataclasses.fields(kind)]
        found = tables.get(table, {})
        if not isinstance(found, Mapping):
            raise OptionError(f"the settings in {table} are damaged: not a table")
        values = {name: found.get(name) for name in names}
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        try:
            parts[table] = kind(**values)
        except (TypeError, ValueError) as error:
            raise OptionError(f"the settings in {table} are damaged: {error}") from error
    return Settings(
        network=parts["model"],
        loss=parts["loss"],
        training=parts["training"],
        localization=parts["localization"],
    )


def resolve(preset: str, shape: DataShape, *, dataset: str, overrides: Mapping[str, str]) -> Settings:
    """The settings of a preset for a data set, with some of them set otherwise.

    Args:
        preset: `paper` or `fixed`.
        shape: of the training videos.
        dataset: a data set of the paper, whose constants are taken; any other borrows those of THUMOS14
            where nothing else follows from its videos: see `_suited`.
        overrides: texts by dotted name, as they are typed on a command line.

    Raises:
        OptionError: an unknown name, a value that a field cannot have, or values that contradict each other.
    """
    constants = dataset if dataset in DATASETS else BORROWED
    tables = _by_table(overrides)
    model = _parsed(NetworkConfig, tables["model"], "model")
    variant = model.get("variant", "both")
    if variant == "class_agnostic":
        # The other selectors read the branch that this variant does not train.
        model.setdefault("selector", "attention")
    network = network_config(preset, constants, n_classes=shape.n_classes, in_dim=shape.in_dim)
    training = training_config(preset, constants)
    localization = localization_config(preset, constants)
    if dataset not in DATASETS:
        training = _suited(training, shape)
        localization = replace(localization, class_threshold=SUITED_CLASS_THRESHOLD)
    if variant != "both":
        # One branch localizes by its own thresholds alone (section IV-C, Tables VII and VIII).
        family = "alphas" if variant == "class_agnostic" else "betas"
        localization = LocalizationConfig.from_dict({**localization.to_dict(), family: []})
    chosen = _parsed(TrainingConfig, tables["training"], "training")
    if "updates" in chosen and "epochs" not in chosen and chosen["updates"] is not None:
        chosen["epochs"] = None  # one of the two says how long: the one that was asked for
    elif "epochs" in chosen and "updates" not in chosen and chosen["epochs"] is not None:
        chosen["updates"] = None
    return Settings(
        network=replace(network, **model),
        loss=replace(loss_config(preset, variant=variant), **_parsed(LossConfig, tables["loss"], "loss")),
        training=replace(training, **chosen),
        localization=_localization(localization, tables["localization"]),
    )


def _suited(training: TrainingConfig, shape: DataShape) -> TrainingConfig:
    """The schedule for a data set that is in no paper.

    Videos shorter than L are not stretched: L is that of the paper, or the longest training video's where
    that is shorter, and batches are padded. `paper` keeps its 30 epochs. Otherwise the number of updates
    goes with the number of videos, within bounds; few videos are soon known by heart.
    """
    suited = replace(
        training,
        snippets=min(training.snippets, shape.longest),
        short="keep",
        batch_size=min(training.batch_size, shape.n_videos),
        validate_every=SUITED_VALIDATE_EVERY,
    )
    if training.preset == "paper":
        return replace(suited, updates=None, epochs=30)
    updates = SUITED_EPOCHS * shape.n_videos // suited.batch_size
    return replace(suited, updates=min(max(updates, SUITED_UPDATES), training.updates or updates))


def setting_names() -> list[str]:
    """The dotted names of all settings that a person may set."""
    names = [f"{table}.{field.name}" for table, kind in TABLES.items() for field in dataclasses.fields(kind)]
    return [name for name in names if name not in _NOT_SETTABLE]


def parse_overrides(texts: Sequence[str]) -> dict[str, str]:
    """`["model.selector=none"]` as names and values.

    Raises:
        OptionError: no `=`, or a name there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name:
            raise OptionError(f"not a setting: {text!r}", hint="write name=value, e.g. model.selector=none")
        if name in found:
            raise OptionError(f"{name} is set twice", hint="set it once")
        found[name] = value.strip()
    _by_table(found)
    return found


TABLES: Mapping[str, Any] = {
    "model": NetworkConfig,
    "loss": LossConfig,
    "training": TrainingConfig,
    "localization": LocalizationConfig,
}


def _by_table(overrides: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Texts by table and field.

    Raises:
        OptionError: a name that is no setting.
    """
    tables: dict[str, dict[str, str]] = {table: {} for table in TABLES}
    known = setting_names()
    for name, text in overrides.items():
        if name not in known:
            raise OptionError(f"no setting {name!r}", hint=_meant(name, known))
        table, _, field = name.partition(".")
        tables[table][field] = text
    return tables


def _meant(name: str, known: list[str]) -> str:
    if name in _NOT_SETTABLE:
        return "it follows from the data set and the preset"
    field = name.rpartition(".")[2]
    near = [other for other in known if other.endswith(f".{field}")]
    near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"settings are those of {', '.join(TABLES)}: see `ascnet train --settings`"


def _parsed(kind: type[Any], texts: Mapping[str, str], table: str) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field: parse_value(text, hints[field], f"{table}.{field}") for field, text in texts.items()}


def parse_value(text: str, hint: Any, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """A text as a field's type wants it.

    Args:
        text: as typed; `none` where a field may have no value; numbers of a list separated by commas.
        hint: the field's annotation.
        name: of the setting, for errors.

    Raises:
        OptionError: the text is no such value.
    """
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if option is type(None):
            if text.lower() in _NO:
                return None
        elif typing.get_origin(option) is Literal:
            if text in typing.get_args(option):
                return text
        elif typing.get_origin(option) is tuple:
            parts = [part for part in text.strip("[]()").split(",") if part.strip()]
            return tuple(parse_value(part.strip(), float, name) for part in parts)
        elif option is bool:
            if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
        else:
            try:
                return option(text)
            except ValueError:
                continue
    raise OptionError(f"{name} cannot be {text!r}", hint=f"give {_in_words(options)}")


def _in_words(options: Sequence[Any]) -> str:
    words: list[str] = []
    for option in options:
        if typing.get_origin(option) is Literal:
            words += typing.get_args(option)
        elif typing.get_origin(option) is tuple:
            words.append("numbers separated by commas")
        else:
            known = {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}
            words.append(known.get(option, str(option)))
    return " or ".join(words)


def _localization(preset: LocalizationConfig, texts: Mapping[str, str]) -> LocalizationConfig:
    values = _parsed(LocalizationConfig, texts, "localization")
    return LocalizationConfig.from_dict({**preset.to_dict(), **values}) if values else preset
