"""Which networks make features, and of what size: names and numbers, without loading one of them.

A command that only compares recipes, or hands videos to other processes, needs these and not torch (4 s).
"""

from __future__ import annotations

from weights.architecture import FEATURE_DIM

INPUT_PX = 224  # side of the square that goes in
BACKBONES = {"i3d": ("rgb", "flow"), "i3d_r50": ("rgb",)}  # and their streams
DIMS = {"i3d": FEATURE_DIM, "i3d_r50": 2048}  # length of a stream's features
