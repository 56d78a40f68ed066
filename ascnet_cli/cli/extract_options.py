"""What may be said to `ascnet extract`: one annotated type an option, in the order of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE|FOLDER|-]...",
        help="Videos, folders of videos, or - for a list of paths on standard input.",
        show_default=False,
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where features go; made if need be.")
]
Listed = Annotated[
    str | None,
    typer.Option(
        "--list",
        metavar="FILE",
        help="Paths of videos or folders, one a line, mirrored as written; # begins a comment.",
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="snippet (isolated 16 frames, the default) or dense (one pass, a row every 8 frames).",
    ),
]
Streams = Annotated[str | None, typer.Option(metavar="NAMES", help="rgb (the default), rgb,flow or flow.")]
Flow = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of the flow stream: tvl1 (the default), tvl1-opencv, dis or raft."),
]
Backbone = Annotated[
    str | None, typer.Option(metavar="NAME", help="i3d (the default) or i3d_r50 (RGB alone).")
]
WeightsRgb = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Weights of the RGB stream; default: i3d-rgb-kinetics400."),
]
WeightsFlow = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Weights of the flow stream; none come with ascnet."),
]
Decoder = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="pyav (the default) or decord (see the README)."),
]
EngineI3d = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What computes I3D: torch (the default), torch-bfloat16, torch-float16, openvino or"
        " openvino-int8.",
    ),
]
ForModel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Make features as this model wants them (kinetics400, mocap, a checkpoint), instead of all"
        " of the above.",
    ),
]
Dtype = Annotated[
    str,
    typer.Option(metavar="NAME", help="float32, or float16 in half the place with three digits."),
]
Layout = Annotated[
    str, typer.Option(metavar="NAME", help="ascnet, acm-net or cola: whose code will read the files.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")]
Engine = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="local: worker processes on this machine; ray: a Ray cluster (an extra)."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="With ray: of a running cluster, or auto; default: one for this run."
    ),
]
NumCpus = Annotated[
    int | None,
    typer.Option(metavar="N", help="With ray: cores, and so threads, of a video's task; default: 4."),
]
NumGpus = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With ray: graphics cards of a video's task; default: 1 where there are any."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Processes; default: one a graphics card, else one for four processor cores."
    ),
]
VideoTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="A video that takes longer fails alone; 0: never. Default: 10 minutes and 60 s for a second"
        " of video (300 s with flow).",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Only the I-th of N parts, from 1/N; in a SLURM job array this is set by itself.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Make all features again.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and what it takes; write nothing.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Count a truncated video as failed.")]
JsonSummary = Annotated[bool, typer.Option("--json", help="Print one JSON summary on standard output.")]
