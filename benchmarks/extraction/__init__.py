"""Studies of extraction: what the rules make of chat answers and samples files whose programs are known."""
