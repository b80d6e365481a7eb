"""Choosing n, or the weights of the heads, from the first percents of a training."""
