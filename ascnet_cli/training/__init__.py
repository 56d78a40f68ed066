"""Training: a run folder, a loop that can be stopped and taken up again, and the choice of a checkpoint."""
