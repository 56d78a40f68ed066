"""Data sets: what is annotated, and where its features lie."""
