"""What a training step costs: memory and time by n, beside transformers' Llama and the machine's matrix product."""
