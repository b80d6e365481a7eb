"""Many machines through Ray: programs executed and completions generated wherever a cluster has room."""
