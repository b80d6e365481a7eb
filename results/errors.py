"""Errors of run folders and of what is computed from them.

    ResultsError
    ├── RunError           no run at this place, or one that cannot be read
    │   ├── RunMismatch    the folder holds a run of another configuration
    │   └── RunLocked      another process is writing the run
    ├── NotComparable      the runs differ in what was measured
    ├── OptionError        a value of k, a format, a style, a level that cannot be used
    └── RegressionFound    the comparison was made, and the candidate is significantly worse

All but the last are bad input: `try: read_run(folder) ... except ResultsError as error: print(error)`.
"""

from __future__ import annotations


class ResultsError(ValueError):
    """Base of all; the message says what was expected, what was got and what to do."""


class RunError(ResultsError):
    """There is no run at this place, or one that cannot be read."""


class RunMismatch(RunError):  # noqa: N818 - it is no fault of the program
    """The folder holds a run of another configuration; the message names each key that differs."""


class RunLocked(RunError):  # noqa: N818
    """Another process is writing this run."""


class NotComparable(ResultsError):  # noqa: N818 - it says what the runs are
    """The runs differ in what was measured; the message names what and both values."""


class OptionError(ResultsError):
    """A value of k, a format, a style or a level that cannot be used."""


class RegressionFound(ResultsError):  # noqa: N818 - what was found, not what went wrong
    """The candidate is significantly worse; the message names the comparison and the problems lost."""
