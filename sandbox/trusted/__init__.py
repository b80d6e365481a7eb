"""The trusted side of the sandbox: it judges, and no untrusted code runs in its processes."""
