import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights.crc32c import crc32c, mask, unmask


def bit_by_bit(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, appendix B.4, and the check value of the catalogue of CRCs
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_known_values(data, expected):
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [65535, 65536, 65537, 70001])
def test_the_parallel_path_agrees_with_the_definition(size):
    data = bytes((i * i + i // 7) % 256 for i in range(size))
    assert crc32c(data) == bit_by_bit(data)


@given(st.integers(0, 2**32 - 1))
def test_masking_is_undone(checksum):
    assert unmask(mask(checksum)) == checksum
