"""One file per subcommand of `mtp-eval`; each imports what is heavy inside its function."""
