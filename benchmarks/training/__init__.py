"""Cost of a training step: memory and time by n, beside transformers' Llama and the machine's matrix product."""
