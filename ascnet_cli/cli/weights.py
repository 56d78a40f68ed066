"""`ascnet weights`: which pretrained weights there are, whether they are whole, and how to get others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from weights.convert import Converted, Dtype

app = typer.Typer(
    help="Pretrained weights: list, verify, convert, fetch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
_DAMAGED = 5


@app.command("list")
def list_weights(json_output: _Json = False) -> None:
    """Which weights ascnet knows, and which are here."""
    from ascnet_cli.cli.console import plain_table, printable, results
    from weights.registry import entries

    if json_output:
        rows = [
            {
                "name": known.name,
                "architecture": known.architecture,
                "stream": known.stream,
                "here": known.path.is_file(),
                "path": str(known.path),
                "sha256": known.sha256 or None,
                "licence": known.licence,
                "publisher": known.source.publisher,
            }
            for known in entries()
        ]
        _print_json(rows)
        return
    table = plain_table()
    for column in ("name", "network", "stream", "here", "licence", "published by"):
        table.add_column(column, no_wrap=True)
    for known in entries():
        here = "shipped" if known.shipped else ("fetched" if known.path.is_file() else "no")
        cells = (known.name, known.architecture, known.stream, here, known.licence, known.source.publisher)
        table.add_row(*map(printable, cells))
    results().print(table)


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="See `ascnet weights list`; default: all."),
    ] = None,
    json_output: _Json = False,
) -> None:
    """Compare weights with the hashes they should have; exit code 5 if damaged, or named and absent."""
    from ascnet_cli.cli.text import say, write_stdout
    from weights.integrity import verify as verify_one
    from weights.registry import entries, entry

    # All names are looked up before the first file is hashed.
    wanted = [entry(name).name for name in names or ()]
    checked = [verify_one(name) for name in wanted or [known.name for known in entries()]]
    for result in checked:
        if not json_output:
            write_stdout(f"{result.name}: {result.state}{'  ' + result.sha256 if result.sha256 else ''}\n")
        if result.state == "damaged" or (result.state == "absent" and wanted):
            say(f"error: {result.name}: {result.message}")
            say(f"hint: {result.hint}")
    if json_output:
        rows = [
            {
                "name": result.name,
                "state": result.state,
                "path": str(result.path),
                "sha256": result.sha256 or None,
                "error": result.message or None,
                "hint": result.hint or None,
            }
            for result in checked
        ]
        _print_json(rows)
    if any(result.state == "damaged" or (result.state == "absent" and wanted) for result in checked):
        raise typer.Exit(_DAMAGED)


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A published checkpoint: .pt, .pth, .pyth, .ckpt, or a TensorFlow bundle's .index.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to; default: the folder of fetched weights."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store kernels as float16: half the size.")] = False,
    json_output: _Json = False,
) -> None:
    """Turn a published checkpoint into ascnet's own format, without running anything in it."""
    import dataclasses

    from ascnet_cli.cli.text import one_line, write_stdout
    from weights.convert import convert as convert_file

    dtype: Dtype = "float16" if half else "float32"
    made = convert_file(source, out, dtype=dtype) if out is not None else _into_folder(source, dtype)
    if json_output:
        _print_json({**dataclasses.asdict(made), "path": str(made.path), "known_as": made.known_as or None})
        return
    known = f"the published {made.known_as}" if made.known_as else "a file that no registry entry vouches for"
    write_stdout(
        f"{one_line(str(made.path))}: {made.architecture} {made.stream}, {made.n_parameters:,} numbers,"
        f" layout {made.layout}, {known}\nsha256 {made.sha256}\n"
    )


def _into_folder(source: Path, dtype: Dtype) -> Converted:
    """Convert into the folder of fetched weights: known ones under their own name, others under the source's.

    Raises:
        OutputError: other weights lie there under that name.
    """
    import dataclasses
    import os

    from weights.convert import convert as convert_file
    from weights.errors import OutputError
    from weights.registry import entry, weights_folder

    # Known weights have their place; which they are shows only once they are read.
    working = weights_folder() / f".converting-{os.getpid()}.safetensors"
    try:
        made = convert_file(source, working, dtype=dtype)
        known = entry(made.known_as) if made.known_as else None
        if known is not None and not known.shipped:
            final = known.path
        else:
            final = weights_folder() / f"{source.stem}.safetensors"
            if final.exists() and final.read_bytes() != working.read_bytes():
                raise OutputError(f"{final} holds other weights", hint="say where these go with --out")
        working.replace(final)
    finally:
        working.unlink(missing_ok=True)
    return dataclasses.replace(made, path=final)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="See `ascnet weights list`.")],
    json_output: _Json = False,
) -> None:
    """Download published weights, check them, and convert them; the only command that uses the network."""
    from ascnet_cli.cli.console import meter
    from ascnet_cli.cli.text import say, write_stdout
    from weights.errors import WeightsError
    from weights.fetch import fetch as fetch_one
    from weights.registry import entry

    wanted = [entry(name).name for name in names]
    rows: list[dict[str, str | None]] = []
    with meter(len(wanted), unit="MB", rate=" MB/s") as shown:
        for index, name in enumerate(wanted):
            report = shown.item(name, index + 1)

            def progress(file: str, done: int, total: int | None) -> None:
                del file
                report(done / 1e6, total / 1e6 if total else None)  # noqa: B023 - called before the next

            row: dict[str, str | None] = {
                "name": name,
                "state": "failed",
                "path": None,
                "error": None,
                "hint": None,
            }
            try:
                got = fetch_one(name, progress)
            except WeightsError as error:
                row |= {"error": str(error), "hint": error.hint}
            else:
                row |= {"state": got.state, "path": str(got.path)}
            rows.append(row)
    for row in rows:
        if row["error"] is not None:
            say(f"error: {row['error']}")
            say(f"hint: {row['hint']}")
        elif not json_output:
            write_stdout(f"{row['name']}: {row['state']}  {row['path']}\n")
    if json_output:
        _print_json(rows)
    if any(row["error"] is not None for row in rows):
        raise typer.Exit(_DAMAGED)


@app.command()
def calibrate(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO", help="Videos like those to come.", show_default=False)
    ],
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="RGB weights of I3D.")
    ] = "i3d-rgb-kinetics400",
    snippets: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="From all videos; each takes 0.15 GB for a while.")
    ] = 24,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: where openvino-int8 looks for it first.")
    ] = None,
) -> None:
    """Measure how I3D is rounded to 8 bits, for `--engine-i3d openvino-int8`.

    The default weights come with a calibration; others need one.

    Features of two calibrations are not the same features, as those of two weights are not.
    """
    from ascnet_cli.cli.console import errors
    from ascnet_cli.errors import WeightsError
    from extractors.calibrate import calibrate as measured
    from extractors.calibrate import snippets_of
    from extractors.calibration import save_calibration
    from weights.files import write_whole
    from weights.store import load

    loaded = load(weights)
    if loaded.architecture != "i3d" or loaded.metadata.get("stream") != "rgb":
        raise WeightsError(
            f"{weights} are not RGB weights of I3D",
            hint="see `ascnet weights list`; flow is not calibrated here",
        )
    found = measured(loaded.sha256, loaded.tensors, snippets_of(videos, snippets))
    if out is None:
        out = save_calibration(found)
    else:
        write_whole(out, found.to_bytes())
    errors().print(f"{out}: sha256 {found.sha256}", soft_wrap=True)


def _print_json(content: object) -> None:
    import json

    from ascnet_cli.cli.text import write_stdout

    write_stdout(json.dumps(content) + "\n")
