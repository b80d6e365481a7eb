"""Sources of completions: the interface, its implementations and the registry that opens one by its spec."""
