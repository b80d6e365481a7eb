"""Checkpoints in other projects' layouts, read and written."""
