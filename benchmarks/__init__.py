"""Slow studies: side by side with peers and with physical floors. Never part of the tests."""
