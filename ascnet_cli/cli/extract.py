"""`ascnet extract`: thousands of videos in, feature files out; run again, it does what is missing."""

from __future__ import annotations

from pathlib import Path

import typer

from ascnet_cli.cli import extract_options as options
from ascnet_cli.cli.options import MaxDamage, MaxPixels, limits_of


def extract(
    inputs: options.Inputs = None,
    out: options.Out = Path("features"),
    listed: options.Listed = None,
    context: options.Context = None,
    streams: options.Streams = None,
    flow: options.Flow = None,
    backbone: options.Backbone = None,
    weights_rgb: options.WeightsRgb = None,
    weights_flow: options.WeightsFlow = None,
    decoder: options.Decoder = None,
    engine_i3d: options.EngineI3d = None,
    for_model: options.ForModel = None,
    dtype: options.Dtype = "float32",
    layout: options.Layout = "ascnet",
    device: options.Device = "auto",
    engine: options.Engine = "local",
    address: options.Address = None,
    num_cpus: options.NumCpus = None,
    num_gpus: options.NumGpus = None,
    workers: options.Workers = None,
    video_timeout: options.VideoTimeout = None,
    shard: options.Shard = None,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    max_pixels: MaxPixels = None,
    max_damage: MaxDamage = None,
    strict: options.Strict = False,
    json_summary: options.JsonSummary = False,
) -> None:
    """Make features of videos: a .npy and a .json a video, below --out as the videos lie in their folders.

    Run it again after an interruption, with more videos, or in several terminals and on several machines at
    once: each video is done once, and what is there and right is left alone. Videos that fail are in
    failures.jsonl in the output folder.

    Exit codes: 0 all done; 2 usage; 3 some videos failed, the rest done; 4 none succeeded; 5 weights missing
    or damaged; 6 disk or memory; 130 Ctrl-C; 143 SIGTERM.
    """
    from ascnet_cli.cli.extract_request import Work, found_videos, narrowed, settled
    from ascnet_cli.cli.text import passed_over, say
    from ascnet_cli.extraction import Choices, extractor_spec

    limits = limits_of(max_pixels, max_damage)
    work = Work(engine, device, workers, video_timeout, address, num_cpus, num_gpus)
    work.check()
    found = found_videos(inputs or [], listed)
    choices = Choices(context, streams, flow, backbone, weights_rgb, weights_flow, decoder, engine_i3d)
    source = extractor_spec(choices, for_model=for_model, device=device, limits=limits)
    request = settled(found, source, out, layout, dtype, strict=strict, force=force, work=work)
    if found.n_other:
        say(passed_over(found.n_other))
    request = narrowed(request, shard)
    if dry_run:
        from ascnet_cli.cli.extract_dry_run import tell

        raise typer.Exit(tell(request, json_summary))
    from ascnet_cli.cli.extract_run import make

    raise typer.Exit(make(request, json_summary))
