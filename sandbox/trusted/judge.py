"""From a program to its outcome, in one jail: the split verdict, the same-interpreter verdict, and standard input.

Split: trusted tests run here, against proxies; what the program sends can make them fail, or fill them with plain
values, and nothing else. Which names of the program the tests see is decided from the tests alone.
"""

from __future__ import annotations

import builtins
import dis
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.exceptions import FROM_PROGRAM, one_line
from mtp_eval.sandbox.trusted.jail import Jail, Usage
from mtp_eval.sandbox.trusted.proxies import Unsendable
from mtp_eval.sandbox.trusted.remote import Link, Mispredicted, Script, opening
from mtp_eval.sandbox.trusted.session import Ended, Session
from mtp_eval.sandbox.wire.frames import NestedTooDeeply, NotEncodable, TooLarge, to_bytes


@dataclass(slots=True)
class Compiled:
    """Trusted code, compiled once for all programs of a problem, and the names it wants from them.

    `script` holds the calls that it made on a program that passed; `has_script` turns false when they once differed.
    """

    prelude: CodeType
    tests: CodeType
    wanted: tuple[str, ...]
    script: Script | None = None
    has_script: bool = True


def judge(program: Program, jail: Jail, timeout_seconds: float) -> Outcome:
    """Run one program and say what became of it.

    Raises:
        JailDied: the zygote broke; nothing is known about the program.
    """
    if program.stdin_cases:
        return _judge_output(program, jail, timeout_seconds)
    if program.same_interpreter:
        return _judged(program, None, jail, timeout_seconds)
    trusted = compile_trusted(program.prelude, program.tests)
    try:
        try:
            return _judged(program, trusted, jail, timeout_seconds)
        except Mispredicted:
            trusted.script, trusted.has_script = None, False
            return _judged(program, trusted, jail, timeout_seconds)
    except (
        Unsendable
    ):  # the tests give the program a function or object of their own: that works in one interpreter only
        return _judged(program, None, jail, timeout_seconds)


def _judged(program: Program, trusted: Compiled | None, jail: Jail, timeout_seconds: float) -> Outcome:
    first = opening(program.source, trusted.wanted, trusted.script) if trusted else opening(program.source, ())
    session = Session(jail, timeout_seconds, first)
    try:
        if trusted is None:
            _run_same_interpreter(session, program)
        else:
            _run_split(session, trusted)
        ended = session.ended or Ended(Verdict.PASSED)
    except Ended as over:
        ended = session.ended or over
    except (Mispredicted, Unsendable):
        session.close()
        raise
    wall_seconds = time.monotonic() - session.started
    usage = session.close()
    return _outcome(ended, wall_seconds, usage, jail, same_interpreter=trusted is None)


def _outcome(ended: Ended, wall: float, usage: Usage, jail: Jail, *, same_interpreter: bool = False) -> Outcome:
    return Outcome(
        verdict=ended.verdict,
        error=ended.error,
        wall_seconds=round(wall, 6),
        cpu_seconds=round(usage.cpu_seconds, 6),
        peak_bytes=usage.peak_bytes,
        same_interpreter=same_interpreter,
        isolation=jail.config.isolation,
    )


# --- split ---


def _run_split(session: Session, trusted: Compiled) -> None:
    link = Link(session, trusted.script)
    namespace: dict[str, Any] = {"__name__": "tests", **link.load(trusted.wanted)}
    try:
        exec(trusted.prelude, namespace)
        exec(trusted.tests, namespace)
    except BaseException as error:
        if link.mispredicted:
            raise Mispredicted from None
        if link.unsendable:
            raise Unsendable from None
        if isinstance(error, Ended):
            raise
        if isinstance(error, (NestedTooDeeply, TooLarge)):
            raise session.end(Verdict.ERROR, str(error)) from None
        if isinstance(error, NotEncodable):
            raise session.end(Verdict.INFRASTRUCTURE_ERROR, str(error)) from None
        raise session.end(*_verdict_of_exception(error)) from None
    if link.mispredicted:
        raise Mispredicted
    if link.unsendable:
        raise Unsendable
    if trusted.script is None and trusted.has_script and session.ended is None:
        trusted.script = link.script()
        trusted.has_script = trusted.script is not None


def _verdict_of_exception(error: BaseException) -> tuple[Verdict, str]:
    from_program = getattr(error, FROM_PROGRAM, None)
    if isinstance(from_program, str):
        return Verdict.ERROR, from_program
    line = one_line(type(error).__name__, _last_line(error))
    if isinstance(error, AssertionError):
        return Verdict.FAILED, line
    return (Verdict.MEMORY_LIMIT if isinstance(error, MemoryError) else Verdict.ERROR), line


def _last_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        return ""
    return lines[-1][:200] if lines else ""


_compiled: dict[tuple[str, str], Compiled] = {}
_MAX_COMPILED, _MAX_COMPILED_CHARS = 1_000, 8 << 20
"""Trusted code that stays compiled: a benchmark's problems come round again and again."""


def compile_trusted(prelude: str, tests: str) -> Compiled:
    """A problem's trusted code, compiled once.

    Raises:
        ValueError: it does not compile, which is the task's fault and not a program's.
    """
    known = _compiled.get((prelude, tests))
    if known is None:
        known = _compile(prelude, tests)
        if len(_compiled) >= _MAX_COMPILED or sum(len(a) + len(b) for a, b in _compiled) > _MAX_COMPILED_CHARS:
            _compiled.clear()
        _compiled[prelude, tests] = known
    return known


def _compile(prelude: str, tests: str) -> Compiled:
    try:
        codes = [
            compile(text, name, "exec", dont_inherit=True)
            for name, text in (("<prelude>", prelude), ("<tests>", tests))
        ]
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the trusted tests do not compile: {error}") from None
    return Compiled(codes[0], codes[1], wanted_names(codes))


def wanted_names(codes: list[CodeType]) -> tuple[str, ...]:
    """The global names that the tests read and do not define themselves.

    A name that is also a builtin stays the builtin: else a program could bring its own `abs` or `all` and pass. Only
    where the tests name nothing but builtins is one of them the function under test (MBPP 126 asks for `sum`).
    """
    loaded: dict[str, None] = {}
    stored: set[str] = set()
    for code in codes:
        for inner in _nested(code):
            for step in dis.get_instructions(inner):
                if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
                    loaded[step.argval] = None
                elif step.opname in ("STORE_NAME", "STORE_GLOBAL"):
                    stored.add(step.argval)
    free = [name for name in loaded if name not in stored]
    others = [name for name in free if not hasattr(builtins, name)]
    return tuple(others or free)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


# --- same interpreter ---


def _run_same_interpreter(session: Session, program: Program) -> None:
    """Tests after the source, in the jail. The token is sent after the source has run, so that only what the program
    left behind in its interpreter could forge it.
    """
    link = Link(session)
    link.load(())
    token = os.urandom(16).hex()
    answer = session.request("tests", program.prelude, program.tests, token)
    if answer[0] == "ok" and answer[2] == token:
        return
    verdict, error = link.verdict(answer)
    failed = answer[0] == "raise" and answer[2] == "AssertionError"
    raise session.end(Verdict.FAILED if failed else verdict, error)


# --- standard input ---


def _judge_output(program: Program, jail: Jail, timeout_seconds: float) -> Outcome:
    """Run the source once for each input until an output is wrong; limits hold for each run."""
    wall, cpu, peak = 0.0, 0.0, 0
    ended, usage = Ended(Verdict.PASSED), Usage(0, 0.0, 0)
    for number, (given, expected) in enumerate(program.stdin_cases, 1):
        started = time.monotonic()
        ended, usage = _run_case(program.source, given, expected, jail, timeout_seconds)
        wall += time.monotonic() - started
        cpu += usage.cpu_seconds
        peak = max(peak, usage.peak_bytes)
        if ended.verdict is not Verdict.PASSED:
            where = "" if ended.verdict is Verdict.SYNTAX_ERROR else f"input {number} of {len(program.stdin_cases)}: "
            ended = Ended(ended.verdict, where + ended.error)
            break
    return _outcome(ended, wall, Usage(usage.status, cpu, peak), jail)


def _run_case(source: str, given: str, expected: str, jail: Jail, timeout_seconds: float) -> tuple[Ended, Usage]:
    with _unnamed_file() as standard_in, _unnamed_file() as standard_out:
        os.write(standard_in, given.encode("utf-8", "surrogatepass")) if given else 0
        os.lseek(standard_in, 0, os.SEEK_SET)
        session = Session(jail, timeout_seconds, to_bytes(["main", 1, source]), (standard_in, standard_out))
        try:
            answer = session.answer()
            if answer[0] == "syntax":
                session.end(Verdict.SYNTAX_ERROR, str(answer[2])[:300])
            elif answer[0] != "done":
                session.end(*Link(session).verdict(answer))
            elif answer[2] != 0:
                session.end(Verdict.ERROR, f"SystemExit: {str(answer[2])[:20]}")
        except Ended:
            pass
        usage = session.close()
        ended = session.ended
        if ended is None or (ended.verdict is Verdict.EXITED_EARLY and usage.status == 0):
            ended = _compare(standard_out, expected, jail.config.output_bytes)
        return ended, usage


def _compare(fd: int, expected: str, output_bytes: int) -> Ended:
    size = os.fstat(fd).st_size
    if size >= output_bytes:
        return Ended(Verdict.OUTPUT_LIMIT, f"{size} bytes printed; the limit is {output_bytes}")
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(os.dup(fd), "rb") as file:
        got = file.read().decode("utf-8", "replace")
    if lines_of(got) == lines_of(expected):
        return Ended(Verdict.PASSED)
    return Ended(Verdict.FAILED, "the output is not the expected one")


def lines_of(text: str) -> list[list[str]]:
    """What two outputs are compared by: the words of each line, without empty lines at the end."""
    lines = [line.split() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


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
