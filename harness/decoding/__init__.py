"""Sampling, autoregressive and self-speculative decoding, batched generation."""
