"""`ascnet train`: learn from video labels."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ascnet_cli.training.data import TrainingData
    from ascnet_cli.training.loop import Progress
    from ascnet_cli.training.run import RunResult
    from ascnet_cli.training.settings import Settings

_RUNS = Path("runs")


def train(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER",
            help="See `ascnet datasets list`, or a folder with features and labels.csv.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Where a known one lies; default: $ASCNET_DATA/NAME."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", metavar="DIR", help="Default: the folder `features` of the data set."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The run's folder; default: a new one in runs/."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(metavar="paper|fixed", help="The printed equations, or these with defects repaired."),
    ] = "fixed",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of everything that is drawn at random; default: 0.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Several runs, 0-4 or 0,2,7: mean and standard deviation at the end."
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any setting, e.g. model.selector=none; may be repeated."
        ),
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--settings", help="Print every setting as this run would have it, and stop.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Take the run in --out (or the last of this name in runs/) up again, as it was begun.",
        ),
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="float32 (the default), bfloat16, or tf32 (CUDA alone)."),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps; auto says what it took.")
    ] = "auto",
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Record curves, too (pip install 'ascnet[tensorboard]')."),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line, not a table.")
    ] = False,
) -> None:
    """Train ASC-Net on features and video-level labels, choose a checkpoint, and test it.

    A run folder gets config.toml (every setting), environment.json, events.jsonl, checkpoints/,
    best.safetensors (for `ascnet detect --model`), predictions.json, test.json, MODEL_CARD.md and
    report.html, which shows how it goes while it goes on. The checkpoint is chosen on held-out training
    videos; test videos are looked at once, at the end.

    Exit codes: 0 done; 2 usage or settings; 4 nothing to learn from, or a loss that is no number any more;
    5 data missing or damaged; 6 disk or memory; 130 and 143 stopped, to be taken up again with --resume.
    """
    from ascnet_cli.errors import OptionError
    from ascnet_cli.training.seeds import parse_seeds
    from ascnet_cli.training.settings import parse_overrides, resolve

    overrides = parse_overrides(assignments or [])
    if seed is not None and seeds is not None:
        raise OptionError("--seed and --seeds are two ways to say the same", hint="give one of them")
    if "training.seed" in overrides and (seed is not None or seeds is not None):
        raise OptionError("the seed is set twice", hint="give --seed, --seeds or --set training.seed")
    if precision is not None:
        if "training.precision" in overrides:
            raise OptionError("the precision is set twice", hint="give --precision alone")
        overrides["training.precision"] = precision
    chosen_seeds = parse_seeds(seeds) if seeds is not None else None

    from ascnet_cli.training.data import load_data

    opened = load_data(dataset, data, features)
    place = _place(out, _name(dataset, preset), resume=resume)
    begun = _begun_with(place) if resume and not overrides else None
    settings = begun or resolve(preset, opened.shape, dataset=dataset, overrides=overrides)
    if seed is not None:
        settings = settings.with_seed(seed)
    if show_settings:
        _print_settings(settings)
        return
    _train(
        opened,
        [settings.with_seed(number) for number in chosen_seeds] if chosen_seeds else [settings],
        place,
        several=chosen_seeds is not None,
        resume=resume,
        device=device,
        tensorboard=tensorboard,
        json_output=json_output,
    )


def _begun_with(place: Path) -> Settings | None:
    """The settings of the run in a folder, or of the first of its seeds; None where none was begun.

    Raises:
        OptionError: there is no such folder, or the settings are damaged.
    """
    from ascnet_cli.errors import OptionError
    from ascnet_cli.training.config_file import read_settings

    if not place.is_dir():
        raise OptionError(f"there is no run {place} to resume", hint="leave --resume out to begin one")
    for config in (place / "config.toml", *sorted(place.glob("seed-*/config.toml"))):
        if config.is_file():
            return read_settings(config)
    return None


def _name(dataset: str, preset: str) -> str:
    return f"{Path(dataset).resolve().stem if Path(dataset).exists() else dataset}-{preset}"


def _place(out: Path | None, name: str, *, resume: bool) -> Path:
    """The run's folder: the one asked for, the newest of this name to resume, or the first free one.

    Raises:
        OptionError: there is nothing to resume.
    """
    from ascnet_cli.errors import OptionError

    if out is not None:
        return out
    here = {_number(path.name, name): path for path in _RUNS.glob(f"{name}*")}
    taken = {number: path for number, path in here.items() if number}
    if not resume:
        number = max(taken, default=0) + 1
        return _RUNS / (name if number == 1 else f"{name}-{number}")
    if not taken:
        raise OptionError(f"there is no run {_RUNS / name} to resume", hint="name its folder with --out")
    return taken[max(taken)]


def _number(folder: str, name: str) -> int:
    """Which run of a name a folder is; 0: none."""
    rest = folder.removeprefix(name)
    if not rest:
        return 1
    return int(rest[1:]) if rest[0] == "-" and rest[1:].isdecimal() else 0


def _train(
    data: TrainingData,
    settings: Sequence[Settings],
    place: Path,
    *,
    several: bool,
    resume: bool,
    device: str,
    tensorboard: bool,
    json_output: bool,
) -> None:
    """Every seed, one after the other; what each came to, and all together."""
    from contextlib import ExitStack

    from ascnet_cli.cli.signals import stopping
    from ascnet_cli.cli.text import say
    from ascnet_cli.cli.training_view import training_view
    from ascnet_cli.training.boards import Board
    from ascnet_cli.training.parallel import is_first
    from ascnet_cli.training.report import draw_report
    from ascnet_cli.training.run import train_and_test
    from extractors.device import resolve_device

    chosen_device = resolve_device(device)
    reports = is_first()  # of several processes that torchrun started, one speaks
    if reports:
        _say_data(data, str(chosen_device))
    results: list[RunResult] = []

    def note(text: str) -> None:
        say(f"note: {text}")

    def draw_all(at: Progress) -> None:  # the page of all seeds; each has one of its own, too
        if at.step % settings[0].training.validate_every == 0:
            draw_report(place, note)

    for number, one in enumerate(settings, 1):
        run = place / f"seed-{one.training.seed}" if several else place
        title = f"seed {one.training.seed} ({number} of {len(settings)})" if several else str(run)
        with stopping("this run stops after this step; take it up again with --resume") as stop:
            with ExitStack() as shown:
                followers: list[Callable[[Progress], None]] = []
                if reports:
                    followers.append(shown.enter_context(training_view(title)))
                if tensorboard and reports:
                    followers.append(shown.enter_context(Board(run)))
                if several and reports:
                    followers.append(draw_all)
                result = train_and_test(
                    data,
                    one,
                    run,
                    device=chosen_device,
                    resume=resume,
                    progress=_to_all(followers),
                    notes=note,
                    should_stop=stop.asked,
                )
                if several and reports:
                    draw_report(place, note)
            stop.raise_if_asked()
        results.append(result)
        if reports:
            say(_line(result))
    if reports:
        _print_results(
            results,
            place,
            several=several,
            json_output=json_output,
            detectable="published" not in data.recipe,
        )


def _say_data(data: TrainingData, device: str) -> None:
    from ascnet_cli.cli.text import say

    shape = data.shape
    say(f"device: {device}")
    say(
        f"{data.name}: {shape.n_videos} training videos, {len(data.test)} test videos,"
        f" {shape.n_classes} classes, {shape.in_dim} numbers a snippet"
    )
    for note in data.notes:
        say(f"note: {note}")


def _to_all(followers: Sequence[Callable[[Progress], None]]) -> Callable[[Progress], None]:
    def see(progress: Progress) -> None:
        for follower in followers:
            follower(progress)

    return see


def _line(result: RunResult) -> str:
    best, test = result.training.best, result.test
    parts = [f"{result.run}: seed {result.seed}"]
    if best is not None:
        parts.append(f"validation mAP {best.map:.3f} at step {best.step}")
    if test is not None:
        parts.append(f"test mAP {test.result.average:.3f}")
    return ", ".join(parts)


def _print_settings(settings: Settings) -> None:
    from ascnet_cli.cli.text import write_stdout
    from ascnet_cli.training.run_folder import toml_text

    tables = {**settings.tables(), "localization": settings.localization.to_dict()}  # lists, as TOML has them
    write_stdout(toml_text(tables))


def _print_results(
    results: Sequence[RunResult], place: Path, *, several: bool, json_output: bool, detectable: bool
) -> None:
    from ascnet_cli.training.seeds import best_run

    best = best_run(results)
    if json_output:
        import json

        from ascnet_cli.cli.text import write_stdout

        document = {**_as_json(best), "run": str(place), "seeds": [result.seed for result in results]}
        if several:
            document["runs"] = [{"seed": result.seed, **_as_json(result)} for result in results]
            document["spread"] = _spreads(results)
        write_stdout(json.dumps(document) + "\n")
        return
    _print_table(results, best, detectable=detectable)


def _as_json(result: RunResult) -> dict[str, object]:
    from ascnet_cli.evaluation.summary import summary

    trained, test = result.training, result.test
    return {
        "run": str(result.run),
        "checkpoint": str(trained.checkpoint) if trained.checkpoint else None,
        "validation_map": trained.best.map if trained.best else None,
        "test": summary(test.case, test.result) if test else None,
    }


def _spreads(results: Sequence[RunResult]) -> dict[str, object]:
    """Mean and standard deviation over the seeds, of the validation and of each test number."""
    from ascnet_cli.training.seeds import Spread

    def spread(values: Sequence[float]) -> dict[str, float] | None:
        if not values:
            return None
        found = Spread.of(values)
        return {"mean": found.mean, "std": found.std}

    tests = [result.test.result for result in results if result.test]
    return {
        "validation_map": spread([r.training.best.map for r in results if r.training.best]),
        "average": spread([test.average for test in tests]),
        "map": [spread(values) for values in zip(*(test.map for test in tests), strict=True)],
    }


def _print_table(results: Sequence[RunResult], best: RunResult, *, detectable: bool) -> None:
    """A row a seed, then mean and standard deviation; the chosen run on standard error."""
    from ascnet_cli.cli.console import plain_table
    from ascnet_cli.cli.console import results as results_console
    from ascnet_cli.cli.text import say
    from ascnet_cli.training.seeds import Spread

    tested = [result for result in results if result.test]
    tious = tested[0].test.result.tious if tested and tested[0].test else ()
    table = plain_table()
    for title in ("seed", "validation mAP", *(f"{tiou:g}" for tiou in tious), "average"):
        table.add_column(title, justify="right", no_wrap=True)
    rows: list[list[float | None]] = []
    for result in results:
        row: list[float | None] = [result.training.best.map if result.training.best else None]
        row += [*result.test.result.map, result.test.result.average] if result.test else [None]
        rows.append(row)
        table.add_row(str(result.seed), *("" if value is None else f"{value:.3f}" for value in row))
    if len(results) > 1:
        spreads = [
            Spread.of(values) if (values := [v for v in column if v is not None]) else None
            for column in zip(*rows, strict=True)
        ]
        table.add_row("mean", *("" if s is None else f"{s.mean:.3f}" for s in spreads))
        table.add_row("std", *("" if s is None else f"{s.std:.3f}" for s in spreads))
    results_console().print(table)
    if not tested:
        say("no test videos with annotations: nothing was tested")
    if best.training.checkpoint is not None:
        say(f"checkpoint: {best.training.checkpoint}")
        if detectable:
            model = shlex.quote(str(best.training.checkpoint))
            say(f"use it: ascnet detect clip.mp4 --model {model} --out segments.csv")
        else:
            say("`ascnet detect` cannot use it: published features do not say how they were made")
