"""Benchmarks: problems, prompts, extraction of programs, and synthetic problem generators."""
