"""A training step and an inference against the bare layers that they cannot do without, and a step's memory.

    python -m tests.bench.training_speed [--processor-time]

The bare step is the convolutions and linear layers written out plainly, forward and backward from gradients
that are simply there: no activations, attention, pooling, selection or losses. Both get the same parameters
and the same batch (8 videos, 750 snippets of 2048 numbers, 20 classes). Steps are measured with Adam's update
on both sides, and without it on both sides. The bare inference is the embedding's convolution alone. All take
turns, so that a change of the machine's speed hits all; ratios are medians over the rounds. Two threads
wait for each other, and on a machine that other programs use that waiting is most of what a clock shows:
`--processor-time` takes one thread, and counts its time on the processor instead.

Loading is what a step's batch takes: drawing the snippets and reading them from memory-mapped files, which
the system has read before (as in all epochs but the first).

Memory is the resident set of a process of its own: before the first step, and the highest during it and one
more (the first one makes Adam's state).
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ascnet_cli.config import network_config
from ascnet_cli.config_training import loss_config, training_config
from ascnet_cli.model.ascnet import AscNet
from ascnet_cli.model.losses import total_loss
from ascnet_cli.training.step import Batch, batch_of_step, make_optimiser, train_step
from ascnet_cli.training.videos import LabelledVideos

ROUNDS = 5
N_THREADS = 2
N_VIDEOS, BATCH, SNIPPETS, WIDTH, N_CLASSES = 24, 8, 750, 2048, 20
MEMORY_WORD, PROCESSOR_WORD = "--memory-child", "--processor-time"
CLASSES = tuple(f"class {index}" for index in range(N_CLASSES))

NETWORK = network_config("fixed", "thumos14", n_classes=N_CLASSES, in_dim=WIDTH)
LOSSES = loss_config("fixed")
CONFIG = training_config("fixed", "thumos14")


def random_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        names=tuple(map(str, range(BATCH))),
        features_BTD=torch.rand(BATCH, SNIPPETS, WIDTH, generator=generator),
        valid_BT=torch.ones(BATCH, SNIPPETS, dtype=torch.bool),
        actions_BA=torch.rand(BATCH, N_CLASSES, generator=generator) < 0.1,
    )


def step_without_adam(model: AscNet, batch: Batch) -> None:
    model.train()
    output = model(batch.features_BTD, batch.valid_BT)
    queries = model.queries(output.u_BTD, batch.valid_BT)
    model.zero_grad(set_to_none=True)
    total_loss(output, queries, batch.actions_BA, LOSSES).total.backward()


class BareStep:
    """The layers alone, each on as many rows as in the network."""

    def __init__(self, model: AscNet) -> None:
        self.model = model
        self.gradients: list[torch.Tensor] | None = None

    def __call__(self, batch: Batch) -> None:
        model, queries = self.model, self.model.queries
        x_BDT = model.embed(batch.features_BTD.transpose(1, 2))
        x_BTD = x_BDT.transpose(1, 2)
        results = [
            model.attention(x_BDT),
            model.aware_head(x_BTD),
            model.agnostic_head(x_BTD[:, :3]),
            queries.w_q(queries.g),
            queries.w_k(x_BTD),
            queries.w_v(x_BTD[:, : N_CLASSES + 1]),
        ]
        if self.gradients is None:
            self.gradients = [torch.rand_like(result) for result in results]
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(results, self.gradients)


def seconds(work) -> float:
    clock = time.process_time if PROCESSOR_WORD in sys.argv else time.perf_counter
    started = clock()
    work()
    return clock() - started


def compare(names_and_work, rounds) -> dict[str, list[float]]:
    """Seconds of each, in turns, after one round that does not count."""
    took = {name: [] for name in names_and_work}
    for turn in range(rounds + 1):
        for name, work in names_and_work.items():
            spent = seconds(work)
            if turn:
                took[name].append(spent)
    return took


def report(name: str, ours: list[float], bare: list[float]) -> None:
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    print(
        f"{name}: {statistics.median(ours):.3f} s, bare {statistics.median(bare):.3f} s,"
        f" {statistics.median(ratios):.2f} times (least {min(ratios):.2f}, most {max(ratios):.2f})",
        flush=True,
    )


def steps() -> float:
    """Prints the ratios; returns seconds of a step."""
    torch.manual_seed(0)
    batch = random_batch()
    ours, plain = AscNet(NETWORK), AscNet(NETWORK)
    optimiser, plain_optimiser = make_optimiser(ours, CONFIG), make_optimiser(plain, CONFIG)
    bare = BareStep(plain)

    def bare_with_adam() -> None:
        bare(batch)
        plain_optimiser.step()

    took = compare(
        {"ours": lambda: train_step(ours, optimiser, batch, LOSSES), "bare": bare_with_adam}, ROUNDS
    )
    report("training step, with Adam on both sides", took["ours"], took["bare"])
    step_s = statistics.median(took["ours"])
    took = compare({"ours": lambda: step_without_adam(ours, batch), "bare": lambda: bare(batch)}, ROUNDS)
    report("training step, without Adam on both sides", took["ours"], took["bare"])
    return step_s


def loading(step_s: float) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(60, 1500, N_VIDEOS).tolist()  # shorter and longer than a sample
    with tempfile.TemporaryDirectory() as folder:
        features = {}
        for index, length in enumerate(lengths):
            path = Path(folder) / f"{index}.npy"
            np.save(path, rng.random((length, WIDTH), dtype=np.float32))
            features[str(index)] = np.load(path, mmap_mode="r")
        labels = {name: [CLASSES[int(name) % N_CLASSES]] for name in features}
        videos = LabelledVideos(classes=CLASSES, features=features, labels=labels)
        n_steps = N_VIDEOS // BATCH
        for step in range(n_steps):
            batch_of_step(videos, CONFIG, step)
        load_s = [seconds(lambda step=s: batch_of_step(videos, CONFIG, step)) for s in range(10 * n_steps)]
    mean = statistics.mean(load_s)
    print(f"sampling and loading a batch: {mean * 1e3:.0f} ms, {mean / (mean + step_s):.1%} of an epoch")


def inference() -> None:
    model = AscNet(NETWORK).eval()
    features_TD = np.random.default_rng(0).random((SNIPPETS, WIDTH), dtype=np.float32)
    x_BDT = torch.from_numpy(features_TD).T.contiguous().unsqueeze(0)

    @torch.inference_mode()
    def bare() -> None:
        functional.conv1d(x_BDT, model.embed.weight, model.embed.bias, padding=1)

    took = compare({"ours": lambda: model.score(features_TD, CLASSES), "bare": bare}, 3 * ROUNDS)
    report("inference of one video", took["ours"], took["bare"])


def measure_memory() -> None:
    """In a process of its own: what two steps take."""
    import psutil

    process = psutil.Process()
    started_mb = process.memory_info().rss / 2**20
    model, batch = AscNet(NETWORK), random_batch()
    optimiser = make_optimiser(model, CONFIG)
    before_mb = process.memory_info().rss / 2**20
    for _ in range(2):
        train_step(model, optimiser, batch, LOSSES)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    fixed_mb = 3 * 4 * n_parameters / 2**20
    print(
        f"memory of a training step: process {started_mb:,.0f} MB, network and batch {before_mb:,.0f} MB,"
        f" peak {peak_mb:,.0f} MB; a step adds {peak_mb - before_mb:,.0f} MB, {fixed_mb:,.0f} MB of it"
        f" gradients and Adam's two moments of {n_parameters / 1e6:.1f} million parameters"
    )


def main() -> None:
    torch.set_num_threads(1 if PROCESSOR_WORD in sys.argv else N_THREADS)
    if sys.argv[1:] == [MEMORY_WORD]:
        measure_memory()
        return
    step_s = steps()
    loading(step_s)
    inference()
    command = [sys.executable, "-m", "tests.bench.training_speed", MEMORY_WORD]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
