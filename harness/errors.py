"""Errors of the harness; tasks/, results/ and sandbox/ have a root of their own in their `errors.py`.

    MtpEvalError      something went wrong that we can explain
    └── InputError    wrong usage or bad input: a file, an option, a config

No error is translated into another folder's on its way; one table in `harness.cli` says which exit code each has.
"""

from __future__ import annotations


class MtpEvalError(Exception):
    """Base of all: `try: ... except MtpEvalError as error: print(error)`.

    The message says what was expected, what was got, and what to do.
    """


class InputError(MtpEvalError):
    """Wrong usage or bad input; the message names the option or file to change."""
