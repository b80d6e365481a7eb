"""The optimised twin of `models.transformer`, used through `decoding.network` only."""
