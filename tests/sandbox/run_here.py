"""An executor as a stranger would write it from `Executor`'s docstring: every program in a Python process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Hashable, Iterator

from mtp_eval.sandbox import Executor, Outcome, Program, Verdict

VERDICTS = {0: Verdict.PASSED, 1: Verdict.ERROR, 2: Verdict.FAILED}
RUNNER = """
import sys
try:
    exec(sys.stdin.read(), {"__name__": "program"})
except AssertionError:
    sys.exit(2)
"""


class Subprocesses(Executor):
    isolation = "none: a process"

    def __init__(self) -> None:
        self._finished: list[tuple[Hashable, Outcome]] = []

    def submit(self, program: Program, tag: Hashable) -> None:
        text = f"{program.source}\n{program.prelude}\n{program.tests}"
        done = subprocess.run([sys.executable, "-c", RUNNER], input=text, capture_output=True, text=True)
        error = done.stderr.strip().splitlines()[-1:] or [""]
        verdict = VERDICTS.get(done.returncode, Verdict.CRASHED)
        self._finished.append((tag, Outcome(verdict, error[0], isolation=self.isolation)))

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        finished, self._finished = self._finished, []
        return finished

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        yield from self.ready()
