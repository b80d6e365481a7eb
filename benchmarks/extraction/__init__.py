"""Extraction: what the rules make of chat answers whose programs are known."""
