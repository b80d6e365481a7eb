"""Errors of the harness; tasks/, results/ and sandbox/ have a root of their own in their `errors.py`.

    MtpEvalError      something went wrong that we can explain
    └── InputError    wrong usage or bad input: a file, an option, a config

No error is translated into another folder's on its way; one table in `harness.cli` says which exit code each has.
"""

from __future__ import annotations

import errno


class MtpEvalError(Exception):
    """Base of all: `try: ... except MtpEvalError as error: print(error)`.

    The message says what was expected, what was got, and what to do.
    """


class InputError(MtpEvalError):
    """Wrong usage or bad input; the message names the option or file to change."""


FAILING_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
"""What a disk answers when the fault is neither the user's nor ours."""


def disk_sentence(error: OSError) -> str | None:
    """The sentence for a user whose disk is full, read-only or failing; None for any other error."""
    if error.errno == errno.ENOENT and (error.strerror or "").startswith("No usable temporary directory"):
        return f"{error.strerror} (they are full or cannot be written); make room in one of them, or name another with TMPDIR"
    if error.errno not in FAILING_DISK:
        return None
    reason = (error.strerror or "the disk fails").lower()
    place = f" {error.filename}" if error.filename else ""
    return (
        f"a file could not be written{place and ':'}{place}: {reason}; make room there and give the same command again"
    )
