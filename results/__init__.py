"""The run store, estimators and statistics, tables, reports, and comparison of runs."""
