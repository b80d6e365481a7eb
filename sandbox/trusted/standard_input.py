"""Programs that read standard input: run once for each input until an output is wrong; limits hold for each run."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict

from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import OutputRule, Program
from mtp_eval.sandbox.trusted.failures import Failure, shown
from mtp_eval.sandbox.trusted.jail import Jail, Usage
from mtp_eval.sandbox.trusted.remote import Link
from mtp_eval.sandbox.trusted.session import End, ProgramEnded, Session
from mtp_eval.sandbox.wire.frames import to_bytes


def judge_output(program: Program, jail: Jail, timeout_seconds: float) -> Outcome:
    """Run a program on each of its inputs, until an output is wrong."""
    wall, cpu, peak = 0.0, 0.0, 0
    ended, failure = End(Verdict.PASSED), Failure()
    for number, (given, expected) in enumerate(program.stdin_cases):
        started = time.monotonic()
        ended, usage, failure = _run_case(program, given, expected, jail, timeout_seconds)
        wall += time.monotonic() - started
        cpu += usage.cpu_seconds
        peak = max(peak, usage.peak_bytes)
        if ended.verdict is not Verdict.PASSED:
            if ended.verdict is not Verdict.SYNTAX_ERROR:
                where = f"input {number + 1} of {len(program.stdin_cases)}: "
                ended = End(ended.verdict, where + ended.error)
                failure = Failure(number, None, "", failure.expected, failure.actual)
            break
    return Outcome(
        ended.verdict,
        ended.error,
        round(wall, 6),
        round(cpu, 6),
        peak,
        isolation=jail.config.isolation,
        **asdict(failure),
    )


def _run_case(
    program: Program, given: str, expected: str, jail: Jail, timeout_seconds: float
) -> tuple[End, Usage, Failure]:
    with _unnamed_file() as standard_in, _unnamed_file() as standard_out:
        os.write(standard_in, given.encode("utf-8", "surrogatepass")) if given else 0
        os.lseek(standard_in, 0, os.SEEK_SET)
        session = Session(jail, timeout_seconds, to_bytes(["main", 1, program.source]), (standard_in, standard_out))
        with suppress(ProgramEnded):
            _wait_for_end(session)
        usage, ended, failure = session.close(), session.ended, Failure()
        if ended is None or (ended.verdict is Verdict.EXITED_EARLY and usage.status == 0):
            ended, failure = _compare(standard_out, expected, program.output_rule, jail.config.output_bytes)
        return ended, usage, failure


def _wait_for_end(session: Session) -> None:
    answer = session.answer()
    if answer[0] == "syntax":
        session.end(Verdict.SYNTAX_ERROR, str(answer[2])[:300])
    if answer[0] != "done":
        session.end(*Link(session).verdict(answer))
    if answer[2] != 0:
        session.end(Verdict.ERROR, f"SystemExit: {str(answer[2])[:20]}")


def _compare(fd: int, expected: str, rule: OutputRule, output_bytes: int) -> tuple[End, Failure]:
    size = os.fstat(fd).st_size
    if size >= output_bytes:
        return End(Verdict.OUTPUT_LIMIT, f"{size} bytes printed; the limit is {output_bytes}"), Failure()
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(os.dup(fd), "rb") as file:
        got = rule.lines(file.read().decode("utf-8", "replace"))
    wanted = rule.lines(expected)
    differing = (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if not rule.same(a, b))
    number = next(differing, min(len(got), len(wanted)))
    if number == len(got) == len(wanted):
        return End(Verdict.PASSED), Failure()
    told = [shown(lines[number]) if number < len(lines) else f"no such {rule.unit}" for lines in (wanted, got)]
    text = f"{rule.unit} {number + 1} of the output: expected {told[0]}, got {told[1]}"
    return End(Verdict.FAILED, text[:300]), Failure(expected=told[0], actual=told[1])


class _unnamed_file:  # noqa: N801 -- reads like `open`
    """A file without a name: in memory on Linux."""

    def __enter__(self) -> int:
        if hasattr(os, "memfd_create"):
            self.fd = os.memfd_create("mtp-eval")
        else:
            self.fd, path = tempfile.mkstemp()
            os.unlink(path)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
