"""Several things at once: generation beside execution, one machine beside several nodes."""
