"""Frames and values that pass between the trusted side and the jail. Both sides import it, and nothing else of each other's."""
