"""Runs untrusted programs in a pool of jailed processes and says what became of each."""
