"""Generated tasks: test problems, and training text that does not contain them."""
