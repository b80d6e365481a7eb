"""Trunk and heads, tokenizers, checkpoints, and the backends that turn a model spec into completions."""
