"""Speed of plain and self-speculative decoding, its exactness, and the same beside transformers."""
