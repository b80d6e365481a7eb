"""Tonight's checkpoints against earlier nights."""
