"""Our side of the border: it judges, and no untrusted code runs in its processes."""
