"""From counts to numbers: pass@k, intervals, significance."""
