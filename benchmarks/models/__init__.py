"""Real checkpoints: the same questions through every door, likelihoods beside lm-eval, heads added."""
