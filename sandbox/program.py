"""What the sandbox is given: source that is executed, and the tests that judge it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Program:
    """Source that is executed, and the tests that judge it.

    The sandbox runs `source` in a jail. In split mode the trusted side then runs `prelude`, `tests` in one namespace,
    in which the names that `source` defines are proxies that call into the jail: an AssertionError there is a failure,
    and reaching the end is a pass. With `same_interpreter` the tests run inside the jail after the source instead.

    Args:
        source: untrusted text: the model's code with whatever part of the prompt belongs to it.
        tests: trusted Python source; it ends normally if and only if the program is right.
        prelude: trusted definitions which the tests need and the source repeats (a prompt's own helper functions).
        stdin_cases: for programs that read standard input: (input, expected output) pairs; `tests` is then empty.
        timeout_seconds: the limit on the program's time; None means the pool's own.
        same_interpreter: the task knows that these tests cannot be judged from outside. Tests that give the program a
            function or object of their own need not be marked: the sandbox sees it in their text and its outcome says so.
            Set from the problem and its reference, never from what a completion did.
    """

    problem_id: str
    source: str
    tests: str = ""
    prelude: str = ""
    stdin_cases: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float | None = None
    same_interpreter: bool = False
