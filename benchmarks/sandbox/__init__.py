"""Execution beside the peers that a user would otherwise take: speed, verdicts, endurance."""
