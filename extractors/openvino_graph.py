"""I3D written in OpenVINO's operators: the same network as `extractors.i3d`, from the same tensors.

In 8 bits a tensor's values are rounded where they are made, so that what lies in memory between two
convolutions is 8 bits wide; weights are rounded for each output channel. OpenVINO's CPU plugin turns the
`FakeQuantize` operators into integer arithmetic.
Source: https://docs.openvino.ai (FakeQuantize-1; "Low precision transformations").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from extractors.calibration import (
    INPUT,
    WEIGHT_STEPS,
    Calibration,
    equalized,
    made_by,
    read_by,
    weight_parts,
)
from extractors.i3d import POOLS, same_padding
from extractors.networks import INPUT_PX
from extractors.snippets import SNIPPET_FRAMES
from weights.architecture import IN_CHANNELS, MIXED_WIDTHS, Stream

Node = Any  # openvino's nodes and outputs have no common public type
_LEVELS = 256  # of an activation


def _length(x: Node, axis: int) -> int:
    output = x.output(0) if isinstance(x, ov.Node) else x
    length: int = output.get_partial_shape()[axis].get_length()
    return length


class Graph:
    """Puts the network's operators together.

    Args:
        tensors: canonical weights, float32.
        calibration: the range of every tensor in 8 bits, and what is added to the biases; None for float32.
    """

    def __init__(
        self, tensors: Mapping[str, Float32[np.ndarray, "*_"]], calibration: Calibration | None
    ) -> None:
        self._tensors = tensors if calibration is None else equalized(tensors, calibration.scales)
        self._calibration = calibration
        self._reads = {unit: tensor for tensor, units in read_by().items() for unit in units}

    def rounded(self, x: Node, tensor: str) -> Node:
        """As the 8-bit network has a tensor; as it is in float32, and where it has no range."""
        found = self._calibration.ranges.get(tensor) if self._calibration else None
        if found is None:
            return x
        bounds = [ops.constant(np.full((1,) * 5, bound, np.float32)) for bound in found]
        return ops.fake_quantize(x, *bounds, *bounds, _LEVELS)

    def unit(
        self, x: Node, name: str, time: tuple[int, int], *, stride: int = 1, into: str | None = None
    ) -> Node:
        """Convolution, bias, ReLU.

        Args:
            x: the input.
            name: of the unit.
            time: frames of zeros before and after.
            stride: in all three directions.
            into: the tensor that the result is, or is a part of; the unit's own by default.
        """
        weight = self._tensors[f"{name}.weight"]
        bias = self._tensors[f"{name}.bias"]
        kernel = weight.shape[-1]
        space = [same_padding(_length(x, axis), kernel, stride) for axis in (3, 4)]
        pads = [(0, 0) if kernel == 1 else time, *space]
        parts = [ops.constant(weight)]
        if self._calibration is not None:
            bias = bias + self._calibration.shifts[name]
        if self._calibration is not None and self._reads[name] in self._calibration.ranges:
            parts = []
            for part, bound in weight_parts(weight):
                bounds = [ops.constant(-bound), ops.constant(bound)]
                parts.append(ops.fake_quantize(ops.constant(part), *bounds, *bounds, 2 * WEIGHT_STEPS + 1))
        begin, end = [before for before, _ in pads], [after for _, after in pads]
        y = ops.convolution(x, parts[0], [stride] * 3, begin, end, [1] * 3)
        for part in parts[1:]:
            y = ops.add(y, ops.convolution(x, part, [stride] * 3, begin, end, [1] * 3))
        y = ops.relu(ops.add(y, ops.constant(bias.reshape(1, -1, 1, 1, 1).astype(np.float32))))
        return self.rounded(y, into or name)

    @staticmethod
    def pool(
        x: Node, kernel: tuple[int, int, int], stride: tuple[int, int, int], time: tuple[int, int]
    ) -> Node:
        """Max pooling; values are not negative, so that it does not matter what padding holds."""
        sides = zip((3, 4), kernel[1:], stride[1:], strict=True)
        pads = [time, *(same_padding(_length(x, axis), k, s) for axis, k, s in sides)]
        pooled = ops.max_pool(
            x,
            list(stride),
            [1, 1, 1],
            [before for before, _ in pads],
            [after for _, after in pads],
            list(kernel),
            "floor",
            "explicit",
        )
        return pooled.output(0)  # the other one is where the maxima were

    def mixed(self, x: Node, name: str, time: tuple[int, int]) -> Node:
        """An Inception module; without padding on a side, that side's outermost frame is context alone."""
        inner, (before, after) = x, time
        if time != (1, 1):
            end = -1 if after == 0 else np.iinfo(np.int64).max
            bounds = [ops.constant(np.array([n], np.int64)) for n in (1 - before, end, 1, 2)]
            inner = ops.slice(x, *bounds)
        parts = [
            self.unit(inner, f"{name}.b0", time, into=name),
            self.unit(self.unit(x, f"{name}.b1a", time), f"{name}.b1b", time, into=name),
            self.unit(self.unit(x, f"{name}.b2a", time), f"{name}.b2b", time, into=name),
            self.unit(self.pool(x, (3, 3, 3), (1, 1, 1), time), f"{name}.b3b", time, into=name),
        ]
        return ops.concat(parts, 1)

    def channels(self, tensor: str) -> int:
        """Channels of what a unit or an Inception module makes."""
        return sum(len(self._tensors[f"{unit}.bias"]) for unit in made_by(tensor))

    def stages(self) -> list[tuple[str, Callable[[Node, tuple[int, int]], Node], int, int]]:
        """The operators that look across time: tensor that goes in, operator, kernel and stride in time."""

        def stem(x: Node, time: tuple[int, int]) -> Node:
            x = self.unit(x, "conv3d_1a_7x7", time, stride=2)
            return self.unit(self.pool(x, (1, 3, 3), (1, 2, 2), (0, 0)), "conv3d_2b_1x1", (0, 0))

        def conv_2c(x: Node, time: tuple[int, int]) -> Node:
            return self.pool(self.unit(x, "conv3d_2c_3x3", time), (1, 3, 3), (1, 2, 2), (0, 0))

        stages: list[tuple[str, Callable[[Node, tuple[int, int]], Node], int, int]] = [
            (INPUT, stem, 7, 2),
            ("conv3d_2b_1x1", conv_2c, 3, 1),
        ]
        before = "conv3d_2c_3x3"
        for name in MIXED_WIDTHS:
            if name in POOLS:
                kernel = POOLS[name]
                stages.append((before, _pooling(self, kernel), kernel, 2))
            stages.append((before, _inception(self, name), 3, 1))
            before = name
        return stages


def _pooling(graph: Graph, kernel: int) -> Callable[[Node, tuple[int, int]], Node]:
    return lambda x, time: graph.pool(x, (kernel,) * 3, (2, 2, 2), time)


def _inception(graph: Graph, name: str) -> Callable[[Node, tuple[int, int]], Node]:
    return lambda x, time: graph.mixed(x, name, time)


def snippet_model(
    stream: Stream, tensors: Mapping[str, Float32[np.ndarray, "*_"]], calibration: Calibration | None
) -> ov.Model:
    """One isolated clip: (1, 16, 224, 224, c) in [-1, 1] to features (1, 1024)."""
    graph = Graph(tensors, calibration)
    shape = [1, SNIPPET_FRAMES, INPUT_PX, INPUT_PX, IN_CHANNELS[stream]]
    clip = ops.parameter(shape, np.float32, name="clip")
    x = ops.transpose(clip, ops.constant(np.array([0, 4, 1, 2, 3])))
    x = graph.rounded(x, INPUT)
    for _, stage, kernel, stride in graph.stages():
        x = stage(x, same_padding(_length(x, 2), kernel, stride))
    # Two positions in time: their mean is what the published head's pool and mean come to.
    features = ops.reduce_mean(x, ops.constant(np.array([2, 3, 4])), keep_dims=False)
    return ov.Model([features], [clip], "i3d_snippet")


def stage_model(
    stream: Stream,
    tensors: Mapping[str, Float32[np.ndarray, "*_"]],
    calibration: Calibration | None,
    index: int,
    time: tuple[int, int],
) -> ov.Model:
    """One stage of a stream: (1, C, T, H, W) for any T.

    Args:
        stream: "rgb" or "flow".
        tensors: canonical weights.
        calibration: for 8 bits.
        index: of the stage, in the order of `Graph.stages`.
        time: frames of zeros that its operators put before and after.
    """
    graph = Graph(tensors, calibration)
    tensor, stage, _, _ = graph.stages()[index]
    n_channels = IN_CHANNELS[stream] if tensor == INPUT else graph.channels(tensor)
    # In space the stem shrinks pictures by 4, what follows it and the pools by 2.
    side = INPUT_PX
    for place, (_, _, _, stride) in enumerate(graph.stages()[:index]):
        side //= 2 * stride if place < 2 else stride
    frames = ops.parameter(ov.PartialShape([1, n_channels, -1, side, side]), np.float32, name="frames")
    return ov.Model([stage(graph.rounded(frames, tensor), time)], [frames], f"i3d_{tensor}")


def stage_strides() -> list[tuple[int, int]]:
    """Kernel and stride in time of each stage."""
    return [(kernel, stride) for _, _, kernel, stride in Graph({}, None).stages()]
