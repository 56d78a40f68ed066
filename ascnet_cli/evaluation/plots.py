"""The numbers as pictures; needs matplotlib, which is an extra: `pip install 'ascnet[plots]'`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ascnet_cli.errors import OptionError, OutputError
from ascnet_cli.evaluation.detection import EvaluationResult
from ascnet_cli.evaluation.diagnosis import FALSE_POSITIVES, KINDS, SLICES, Diagnosis
from weights import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
# Told apart by people who see few colours: P. Okabe and K. Ito's palette, black left out.
_COLOURS = ("#009E73", "#CC79A7", "#D55E00", "#E69F00", "#56B4E9", "#999999")


def check_plots(folder: Path) -> None:
    """Hold, before any work is done, that `write_plots` will work; makes the folder.

    Raises:
        OptionError: matplotlib is not installed.
        OutputError: the folder cannot be made or written to.
    """
    if find_spec("matplotlib") is None:
        raise OptionError("plots need matplotlib", hint="pip install 'ascnet[plots]'")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror}", hint="choose another folder"
        ) from error
    atomic.check_writable(folder / "map.png")


def write_plots(folder: Path, name: str, result: EvaluationResult, diagnosis: Diagnosis) -> tuple[Path, ...]:
    """Write `map.png`, `false_positives.png` and `recall_by_length.png`.

    Args:
        folder: where to; it exists.
        name: of the protocol, for the titles.
        result: the numbers.
        diagnosis: why they are so.

    Raises:
        OutputError: the folder cannot be written to.
        StorageError: the disk is full or broken.
    """
    figures = {
        "map.png": _map(name, result),
        "false_positives.png": _false_positives(name, diagnosis),
        "recall_by_length.png": _recall(name, diagnosis),
    }
    for file_name, figure in figures.items():
        with atomic.replacing(folder / file_name) as file:
            figure.savefig(file, format="png", dpi=_DPI)
    return tuple(folder / file_name for file_name in figures)


def _figure(width_in: float, height_in: float) -> Figure:
    # A Figure by itself: pyplot would look for a screen, and keep every figure alive.
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def _map(name: str, result: EvaluationResult) -> Figure:
    figure = _figure(6.0, 4.0)
    axes = figure.add_subplot()
    pairs = sorted(zip(result.tious, result.map, strict=True))
    axes.plot([tiou for tiou, _ in pairs], [value for _, value in pairs], marker="o", color=_COLOURS[4])
    axes.set(xlabel="tIoU", ylabel="mAP", ylim=(0, 1), title=f"{name}: average mAP {result.average:.3f}")
    axes.grid(alpha=0.3)
    return figure


def _false_positives(name: str, diagnosis: Diagnosis) -> Figure:
    figure = _figure(10.0, 4.0)
    shares, gains = figure.subplots(1, 2, width_ratios=(2, 1))
    slices = list(range(1, SLICES + 1))
    below = [0.0] * SLICES
    totals = [sum(diagnosis.counts[kind][i] for kind in KINDS) for i in range(SLICES)]
    for kind, colour in zip(KINDS, _COLOURS, strict=True):
        counts = diagnosis.counts[kind]
        share = [count / total if total else 0.0 for count, total in zip(counts, totals, strict=True)]
        shares.bar(slices, share, bottom=below, label=kind, color=colour)
        below = [low + high for low, high in zip(below, share, strict=True)]
    shares.set(
        xlabel="slice of predictions by score, each as many as instances of the class",
        ylabel="share",
        xticks=slices,
        ylim=(0, 1),
        title=f"{name}: predictions at tIoU {diagnosis.tiou:g}",
    )
    shares.legend(loc="upper right", fontsize="small")
    gains.barh(FALSE_POSITIVES, [diagnosis.gains[kind] for kind in FALSE_POSITIVES], color=_COLOURS[1:])
    gains.invert_yaxis()
    gains.set(xlabel=f"mAP at {diagnosis.tiou:g} gained without", title="what they cost")
    return figure


def _recall(name: str, diagnosis: Diagnosis) -> Figure:
    figure = _figure(7.0, 4.0)
    axes = figure.add_subplot()
    filled = [length for length in diagnosis.lengths if length.n_instances]
    names = [f"{length.name}\n({length.n_instances})" for length in filled]
    shown = sorted({0, len(diagnosis.tious) // 2, len(diagnosis.tious) - 1})
    width = 0.8 / len(shown)
    for place, k in enumerate(shown):
        at = [index + (place - (len(shown) - 1) / 2) * width for index in range(len(filled))]
        values = [length.recall[k] for length in filled]
        axes.bar(at, values, width, label=f"tIoU {diagnosis.tious[k]:g}", color=_COLOURS[place])
    axes.set_xticks(range(len(filled)), names)
    axes.set(xlabel="length (instances)", ylabel="recall", ylim=(0, 1), title=f"{name}: recall by length")
    axes.legend(fontsize="small")
    return figure
