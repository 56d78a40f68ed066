"""Pretrained weights: which exist, where they came from, and how to load them safely."""
