"""One HTML page of a set of runs."""
