"""Data pipeline, losses, optimizer and schedule, and the training loop."""
