"""The three steps of TV-L1 that take the time, compiled for the processor when they are first called.

Every function works on one pair of pictures in arrays that it is given, and allocates nothing. It lets go of
Python's lock, so that pairs run on threads, and stays on one of them, so that a result does not depend on how
many there are. An iteration is one pass over memory: while a row of the flow is at hand, the dual field above
it follows.

Shape legend: H and W pixels. The flow has one column more, which repeats the last one; the dual field has one
row above and one column to the left, which are zero. So a neighbour needs no question whether it is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from jaxtyping import Float32

P = ParamSpec("P")
R = TypeVar("R")

PAD_PX = 4  # zeros around a picture that is warped: the reach of the cubic beyond the flow's farthest target
CUBIC = -0.75  # the cubic's parameter in OpenCV and in PyTorch
MIN_SQUARE = 1.1920929e-07  # a squared gradient up to this (float32's epsilon) is none


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel, when it is first called.

    Every process compiles for itself, some seconds: numba's cache on the disk is a pickle, which is not to be
    trusted, and a damaged or full one would stop every flow.

    The tests wrap functions to check their annotations. A compiler cannot read a wrapper, and gets what
    is inside.
    """
    kernel = numba.njit(nogil=True, fastmath=True, error_model="numpy")(inspect.unwrap(function))
    return cast("Callable[P, R]", kernel)


@compiled
def pack(picture: Float32[np.ndarray, "h w"], packed_HW4: Float32[np.ndarray, "h+8 w+8 4"]) -> None:
    """A picture and its central differences in x and y, side by side in a frame of zeros."""
    height, width = picture.shape
    half = np.float32(0.5)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            packed_HW4[y + PAD_PX, x + PAD_PX, 0] = picture[y, x]
            packed_HW4[y + PAD_PX, x + PAD_PX, 1] = half * (picture[y, right] - picture[y, left])
            packed_HW4[y + PAD_PX, x + PAD_PX, 2] = half * (picture[down, x] - picture[up, x])


@compiled
def linearize(
    before: Float32[np.ndarray, "h w"],
    packed_HW4: Float32[np.ndarray, "h+8 w+8 4"],
    flow_CHW: Float32[np.ndarray, "2 h w+1"],
    data_DHW: Float32[np.ndarray, "4 h w"],
) -> None:
    """The brightness residual as a linear function of the flow, around the flow that there is.

    The second picture and its gradient are read where the flow points, by cubic interpolation; outside of
    the picture they are zero. `data_DHW` gets the gradient in x and y, the residual at zero flow, and the
    reciprocal of the squared gradient (zero where there is no gradient).
    """
    height, width = before.shape
    for y in range(height):
        for x in range(width):
            flow_x, flow_y = flow_CHW[0, y, x], flow_CHW[1, y, x]
            # Farther out than this all sixteen samples are zero anyway.
            at_x = min(max(np.float32(x) + flow_x, np.float32(-3)), np.float32(width + 1))
            at_y = min(max(np.float32(y) + flow_y, np.float32(-3)), np.float32(height + 1))
            left, top = np.floor(at_x), np.floor(at_y)
            p, q, r, s = _cubic(at_x - left)
            weights = _cubic(at_y - top)
            column, row = int(left) + PAD_PX - 1, int(top) + PAD_PX - 1
            value = gradient_x = gradient_y = np.float32(0)
            for j in range(4):
                a = packed_HW4[row + j, column]
                b = packed_HW4[row + j, column + 1]
                c = packed_HW4[row + j, column + 2]
                d = packed_HW4[row + j, column + 3]
                value += weights[j] * (p * a[0] + q * b[0] + r * c[0] + s * d[0])
                gradient_x += weights[j] * (p * a[1] + q * b[1] + r * c[1] + s * d[1])
                gradient_y += weights[j] * (p * a[2] + q * b[2] + r * c[2] + s * d[2])
            square = gradient_x * gradient_x + gradient_y * gradient_y
            data_DHW[0, y, x] = gradient_x
            data_DHW[1, y, x] = gradient_y
            data_DHW[2, y, x] = value - gradient_x * flow_x - gradient_y * flow_y - before[y, x]
            data_DHW[3, y, x] = np.float32(1) / square if square > np.float32(MIN_SQUARE) else np.float32(0)


@compiled
def iterate(
    data_DHW: Float32[np.ndarray, "4 h w"],
    flow_CHW: Float32[np.ndarray, "2 h w+1"],
    dual_KHW: Float32[np.ndarray, "4 h+1 w+1"],
    limit: float,
    theta: float,
    dual_step: float,
    n_iterations: int,
    rest: float,
) -> bool:
    """Iterations in place, until the squared change of the flow, summed over pixels, is `rest` or less.

    Args:
        data_DHW: made by `linearize`.
        flow_CHW: (x, y) in pixels.
        dual_KHW: of x across and down, of y across and down.
        limit: lambda theta, the longest step towards the data, in gradients.
        theta: tightness between the smooth and the data-faithful flow.
        dual_step: tau / theta.
        n_iterations: at most.
        rest: px².

    Returns:
        Whether the flow came to rest.
    """
    limit32, theta32, step32 = np.float32(limit), np.float32(theta), np.float32(dual_step)
    last = data_DHW.shape[1] - 1
    for _ in range(n_iterations):
        change = 0.0
        for y in range(last + 1):
            change += float(_update_flow(y, data_DHW, flow_CHW, dual_KHW, limit32, theta32))
            if y:
                _update_dual(0, y - 1, y, flow_CHW, dual_KHW, step32)
                _update_dual(1, y - 1, y, flow_CHW, dual_KHW, step32)
        _update_dual(0, last, last, flow_CHW, dual_KHW, step32)
        _update_dual(1, last, last, flow_CHW, dual_KHW, step32)
        if change <= rest:
            return True
    return False


@compiled
def _cubic(part: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Weights of four samples for a place that lies `part` of the way from the second to the third."""
    a, one, rest = np.float32(CUBIC), np.float32(1), np.float32(1) - part
    first = a * part * rest * rest
    fourth = a * rest * part * part
    second = ((a + np.float32(2)) * part - (a + np.float32(3))) * part * part + one
    return first, second, one - first - second - fourth, fourth


@compiled
def _update_flow(
    y: int,
    data_DHW: Float32[np.ndarray, "4 h w"],
    flow_CHW: Float32[np.ndarray, "2 h w+1"],
    dual_KHW: Float32[np.ndarray, "4 h+1 w+1"],
    limit: np.float32,
    theta: np.float32,
) -> np.float32:
    """A row of the flow: a step towards the data, and theta times the divergence of the dual field.

    Returns:
        The squared change, summed over the row.
    """
    width = data_DHW.shape[2]
    change = np.float32(0)
    for x in range(width):
        flow_x, flow_y = flow_CHW[0, y, x], flow_CHW[1, y, x]
        gradient_x, gradient_y = data_DHW[0, y, x], data_DHW[1, y, x]
        residual = data_DHW[2, y, x] + gradient_x * flow_x + gradient_y * flow_y
        step = min(max(-residual * data_DHW[3, y, x], -limit), limit)
        spread_x = (
            dual_KHW[0, y + 1, x + 1]
            - dual_KHW[0, y + 1, x]
            + dual_KHW[1, y + 1, x + 1]
            - dual_KHW[1, y, x + 1]
        )
        spread_y = (
            dual_KHW[2, y + 1, x + 1]
            - dual_KHW[2, y + 1, x]
            + dual_KHW[3, y + 1, x + 1]
            - dual_KHW[3, y, x + 1]
        )
        new_x = flow_x + step * gradient_x + theta * spread_x
        new_y = flow_y + step * gradient_y + theta * spread_y
        flow_CHW[0, y, x] = new_x
        flow_CHW[1, y, x] = new_y
        change += (new_x - flow_x) * (new_x - flow_x) + (new_y - flow_y) * (new_y - flow_y)
    flow_CHW[0, y, width] = flow_CHW[0, y, width - 1]
    flow_CHW[1, y, width] = flow_CHW[1, y, width - 1]
    return change


@compiled
def _update_dual(
    component: int,
    y: int,
    below: int,
    flow_CHW: Float32[np.ndarray, "2 h w+1"],
    dual_KHW: Float32[np.ndarray, "4 h+1 w+1"],
    dual_step: np.float32,
) -> None:
    """A row of one component's dual field: a step along the flow's gradient, and back to length 1."""
    across, down = 2 * component, 2 * component + 1
    one = np.float32(1)
    for x in range(flow_CHW.shape[2] - 1):
        here = flow_CHW[component, y, x]
        step_x = dual_step * (flow_CHW[component, y, x + 1] - here)
        step_y = dual_step * (flow_CHW[component, below, x] - here)
        shrink = one / (one + np.sqrt(step_x * step_x + step_y * step_y))
        dual_KHW[across, y + 1, x + 1] = (dual_KHW[across, y + 1, x + 1] + step_x) * shrink
        dual_KHW[down, y + 1, x + 1] = (dual_KHW[down, y + 1, x + 1] + step_y) * shrink
