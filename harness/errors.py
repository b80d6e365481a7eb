"""Errors a user can cause or meet, each with its exit code.

    MtpEvalError            1  something went wrong that we can explain
    ├── InputError          2  wrong usage or bad input: a file, an option, a config
    ├── RegressionError     3  `compare` or `nightly` found a significant regression
    └── IsolationError      4  the sandbox cannot give the isolation asked for

Messages say what was expected, what was got, and what to do. tasks/, sandbox/ and results/ may not import this file:
they raise ValueError, FileNotFoundError and classes of their own, which `harness.cli.main` maps to the same codes.
"""

from __future__ import annotations


class MtpEvalError(Exception):
    """Base of all: `try: ... except MtpEvalError as error: print(error)`."""

    exit_code = 1


class InputError(MtpEvalError):
    """Wrong usage or bad input; the message names the option or file to change."""

    exit_code = 2


class RegressionError(MtpEvalError):
    """A significant regression; the report has been written."""

    exit_code = 3


class IsolationError(MtpEvalError):
    """A required isolation layer is missing on this host."""

    exit_code = 4
