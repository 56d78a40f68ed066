"""A small ablation: data that a network of a few numbers learns from in a second."""

from ascnet_cli.ablation.plan import make_plan
from ascnet_cli.ablation.rows import all_rows, chosen_rows
from ascnet_cli.training.data import load_data
from tests.ascnet_cli.folder_tools import write_folder

QUICK = {"training.updates": "6", "training.validate_every": "3", "training.learning_rate": "0.01"}


def toy_data(folder):
    return load_data(str(write_folder(folder)))


def toy_rows(data, names=None, *, preset="fixed", overrides=QUICK):
    return chosen_rows(all_rows(preset, data.shape, dataset=data.name, overrides=overrides), names)


def toy_plan(data, names=None, *, seeds=(0,), overrides=QUICK, preset="fixed"):
    return make_plan(toy_rows(data, names, preset=preset, overrides=overrides), data, overrides, seeds)
