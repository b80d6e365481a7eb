"""From a config and completions to records and a table: the loop that `run` and `score` share."""
