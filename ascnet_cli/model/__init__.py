"""Networks and what they say: class activation sequences over time."""
