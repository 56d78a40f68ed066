"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), and TensorFlow's masking of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt32

_POLYNOMIAL = 0x82F63B78  # reversed bits of 0x1EDC6F41
_ALL_ONES = 0xFFFFFFFF
_LANES = 1024  # a power of two
_LANES_FROM = 64 * _LANES  # bytes; below this the plain loop is as fast
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


def _make_table() -> UInt32[np.ndarray, " 256"]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


_TABLE = _make_table()
_TABLE_INTS = [int(value) for value in _TABLE]
_BITS = np.arange(32, dtype=np.uint32)


def crc32c(data: bytes) -> int:
    """Checksum of some bytes; 50 MB in under a second."""
    state, done = _ALL_ONES, 0
    if len(data) >= _LANES_FROM:
        done = len(data) // _LANES * _LANES
        state = _many_lanes(np.frombuffer(data, dtype=np.uint8, count=done).reshape(_LANES, -1))
    for byte in data[done:]:
        state = _TABLE_INTS[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ _ALL_ONES


def unmask(stored: int) -> int:
    """The checksum inside a stored one: TensorFlow rotates it and adds a constant."""
    rotated = (stored - _MASK_DELTA) & _ALL_ONES
    return ((rotated >> 17) | (rotated << 15)) & _ALL_ONES


def mask(checksum: int) -> int:
    """What TensorFlow stores for a checksum: the inverse of `unmask`."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & _ALL_ONES


def _many_lanes(data_LS: np.ndarray) -> int:
    """State after all lanes (L, S bytes each), one after the other.

    A CRC is linear: state(a then b) = shift(state(a), len b) xor state(b from zero). So all lanes run
    at once, and are then folded in pairs. 32 further lanes of zeros start from the unit vectors and so
    come out as the columns of `shift`.
    """
    n_lanes, n_steps = data_LS.shape
    state = np.zeros(n_lanes + 32, dtype=np.uint32)
    state[0] = _ALL_ONES
    state[n_lanes:] = np.uint32(1) << _BITS
    bytes_SL = np.zeros((n_steps, n_lanes + 32), dtype=np.uint32)
    bytes_SL[:, :n_lanes] = data_LS.T
    for column in bytes_SL:
        state = _TABLE[(state ^ column) & 0xFF] ^ (state >> np.uint32(8))
    lanes, shift = state[:n_lanes], state[n_lanes:]
    while len(lanes) > 1:
        lanes = _apply(shift, lanes[0::2]) ^ lanes[1::2]
        shift = _apply(shift, shift)
    return int(lanes[0])


def _apply(columns: UInt32[np.ndarray, " 32"], states: UInt32[np.ndarray, " n"]) -> UInt32[np.ndarray, " n"]:
    """Product of a 32x32 matrix over GF(2), given by its columns, with many bit vectors."""
    bits = (states[:, None] >> _BITS) & np.uint32(1)
    product: np.ndarray = np.bitwise_xor.reduce(bits * columns, axis=1)
    return product.astype(np.uint32)
