"""Two runs on the same problems, paired."""
