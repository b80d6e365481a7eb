"""Errors of the sandbox itself; none of them says anything about a program.

SandboxError
├── SandboxOptionError     a number of workers, a limit or an isolation that cannot be used
├── IsolationUnavailable   the host lacks a layer of the isolation asked for
├── JailDied               a zygote ended while it was needed; the program is run again in a fresh one
├── BadTests               trusted tests that do not compile; the task's fault, not a program's
└── PoolClosed             submit or drain after close
"""

from __future__ import annotations


class SandboxError(Exception):
    """Base of all."""


class SandboxOptionError(SandboxError, ValueError):
    """A number of workers, a limit or an isolation that cannot be used."""


class IsolationUnavailable(SandboxError):  # noqa: N818
    """A required isolation layer is missing; the message names it, why, and what to do."""


class JailDied(SandboxError):  # noqa: N818
    """The zygote is gone or broke its protocol."""


class PoolClosed(SandboxError):  # noqa: N818
    """The pool was closed, or its workers cannot be started."""


class BadTests(SandboxError):  # noqa: N818
    """A task's tests do not compile."""


class TestsDied(SandboxError):  # noqa: N818
    """The trusted tests ended the process that they were run in."""


class TestsKilled(JailDied):
    """The process that the trusted tests were run in was killed from outside."""
