"""Studies with the synthetic tasks."""
