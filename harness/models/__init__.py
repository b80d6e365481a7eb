"""Trunk and heads, their configs and sizes, tokenizers, checkpoints, devices."""
