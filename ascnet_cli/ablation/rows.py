"""The rows of an ablation: what each changes, and what the paper says of it.

Tables III (terms of the loss), V (the selector) and VII (the branches) are of THUMOS14; IV, VI and VIII are
the same for ActivityNet-1.3. They are run with the preset that is asked for. `repairs` are `paper` with one
defect repaired and `fixed` with one repair taken back. `localization` are other ways from the same scores
to segments. `trivial` are detectors that look at no time, with the labels that `fixed` gives to videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ascnet_cli.ablation.repairs import REPAIRS, taken_from
from ascnet_cli.config import Preset
from ascnet_cli.errors import OptionError
from ascnet_cli.training.settings import DataShape, resolve

Table = Literal["III", "V", "VII", "repairs", "localization", "trivial"]
# Who finds segments: the network's scores over time, or a trivial detector.
Finder = Literal["scores", "whole_video", "uniform"]

TABLES: tuple[Table, ...] = ("III", "V", "VII", "repairs", "localization", "trivial")
_SAME_AS: Mapping[str, Table] = {"IV": "III", "VI": "V", "VIII": "VII"}  # of ActivityNet-1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        name: as `--rows` takes it; there is one of it.
        table: of the paper, or ours.
        title: what it changes.
        preset: that it starts from.
        overrides: texts by dotted name, as `settings.resolve` takes them.
        finder: who finds segments.
        against: the row that it is compared with; None: it is one of these.
        paper: average mAP in percent that the paper prints, by data set.
    """

    name: str
    table: Table
    title: str
    preset: Preset
    overrides: Mapping[str, str] = field(default_factory=dict)
    finder: Finder = "scores"
    against: str | None = None
    paper: Mapping[str, float] = field(default_factory=dict)


def all_rows(
    preset: Preset, shape: DataShape, *, dataset: str, overrides: Mapping[str, str]
) -> tuple[Row, ...]:
    """Every row for a data set, in the order of the table.

    A repair that both presets have, by their nature or since `overrides` say so, has no rows.

    Args:
        preset: of all rows but repairs and trivial ones.
        shape: of the training videos.
        dataset: whose constants are taken, see `settings.resolve`.
        overrides: settings of all rows.

    Raises:
        OptionError: a setting is unknown or cannot be.
    """
    return (
        *_loss_rows(preset),
        *_structure_rows(preset),
        *_repair_rows(shape, dataset, overrides),
        *_other_rows(preset),
    )


def chosen_rows(rows: Sequence[Row], names: str | None) -> tuple[Row, ...]:
    """The rows that a person asks for, in the order of the table.

    Args:
        rows: all there are.
        names: of rows or tables, separated by commas; None: all.

    Raises:
        OptionError: there is none of a name.
    """
    if names is None:
        return tuple(rows)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {row.name for row in rows} | {*TABLES, *_SAME_AS}
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise OptionError(
            f"no rows {', '.join(unknown)}" if unknown else "no rows were asked for",
            hint=f"tables: {', '.join(TABLES)}; rows: {', '.join(row.name for row in rows)}",
        )
    asked = {_SAME_AS.get(name, name) for name in wanted}
    return tuple(row for row in rows if row.name in asked or row.table in asked)


def table_title(table: Table, dataset: str) -> str:
    """What a table is called for a data set."""
    if table not in _SAME_AS.values():
        return table
    twin = next(name for name, same in _SAME_AS.items() if same == table)
    return f"Table {twin if dataset == 'activitynet13' else table}"


def _paper(thumos14: float, activitynet13: float) -> Mapping[str, float]:
    return {"thumos14": thumos14, "activitynet13": activitynet13}


def _without(*terms: str) -> dict[str, str]:
    return {f"loss.weight_{term}": "0" for term in terms}


def _loss_rows(preset: Preset) -> tuple[Row, ...]:
    """Tables III and IV."""

    def row(name: str, title: str, off: Sequence[str], paper: Mapping[str, float]) -> Row:
        against = "all-losses" if off else None
        overrides = _without(*off)
        return Row(
            name=name,
            table="III",
            title=title,
            preset=preset,
            overrides=overrides,
            against=against,
            paper=paper,
        )

    return (
        row("fg", "L_fg", ("bg", "ct", "gui", "nce"), _paper(37.7, 26.1)),
        row("fg-bg", "L_fg + L_bg", ("ct", "gui", "nce"), _paper(39.6, 26.4)),
        row("fg-bg-ct", "L_fg + L_bg + L_ct", ("gui", "nce"), _paper(41.9, 26.7)),
        row("fg-bg-ct-gui", "L_fg + L_bg + L_ct + L_gui", ("nce",), _paper(44.5, 27.2)),
        row("all-losses", "all terms", (), _paper(47.5, 28.1)),
    )


def _structure_rows(preset: Preset) -> tuple[Row, ...]:
    """Tables V to VIII."""
    # "For fair comparison" the branches have the classification losses alone (section IV-C).
    plain = _without("gui", "nce")
    return (
        Row(
            name="no-selector",
            table="V",
            title="without the selector",
            preset=preset,
            overrides={"model.selector": "none"},
            against="selector",
            paper=_paper(46.1, 26.3),
        ),
        Row(name="selector", table="V", title="with the selector", preset=preset, paper=_paper(47.5, 28.1)),
        Row(
            name="class-agnostic",
            table="VII",
            title="class-agnostic branch alone",
            preset=preset,
            # Without the class-aware branch there is nothing for a selector to read.
            overrides={**plain, "model.variant": "class_agnostic", "model.selector": "none"},
            against="both",
            paper=_paper(32.3, 17.1),
        ),
        Row(
            name="class-aware",
            table="VII",
            title="class-aware branch alone",
            preset=preset,
            overrides={**plain, "model.variant": "class_aware"},
            against="both",
            paper=_paper(38.8, 23.9),
        ),
        Row(
            name="both",
            table="VII",
            title="both branches",
            preset=preset,
            overrides=plain,
            paper=_paper(41.9, 26.7),
        ),
    )


def _repair_rows(shape: DataShape, dataset: str, overrides: Mapping[str, str]) -> list[Row]:
    paper, fixed = (
        resolve(preset, shape, dataset=dataset, overrides=overrides) for preset in ("paper", "fixed")
    )
    added = [Row(name="paper", table="repairs", title="the printed equations", preset="paper")]
    taken = [Row(name="fixed", table="repairs", title="all repairs", preset="fixed", against="paper")]
    for repair in REPAIRS:
        one_more, one_less = taken_from(repair, fixed, paper), taken_from(repair, paper, fixed)
        if one_more is None or one_less is None:
            continue
        added.append(
            Row(
                name=f"paper+{repair.name}",
                table="repairs",
                title=f"paper, and {repair.title}",
                preset="paper",
                overrides=one_more,
                against="paper",
            )
        )
        taken.append(
            Row(
                name=f"fixed-{repair.name}",
                table="repairs",
                title=f"fixed, but not: {repair.title}",
                preset="fixed",
                overrides=one_less,
                against="fixed",
            )
        )
    return added + taken


def _other_rows(preset: Preset) -> tuple[Row, ...]:
    return (
        Row(
            name="attention-only",
            table="localization",
            title="thresholds on the attention alone, as ACM-Net",
            preset=preset,
            overrides={"localization.alphas": ""},
            against="all-losses",
        ),
        Row(
            name="cas-only",
            table="localization",
            title="thresholds on Z_fg alone",
            preset=preset,
            overrides={"localization.betas": ""},
            against="all-losses",
        ),
        Row(
            name="whole-video",
            table="trivial",
            title="the whole video as one segment",
            preset="fixed",
            finder="whole_video",
            against="fixed",
        ),
        Row(
            name="uniform",
            table="trivial",
            title="equal pieces, as long as the median training instance",
            preset="fixed",
            finder="uniform",
            against="fixed",
        ),
    )
