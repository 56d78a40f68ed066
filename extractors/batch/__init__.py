"""Many videos: a plan, claims, worker processes that may die, and a record of what failed."""
